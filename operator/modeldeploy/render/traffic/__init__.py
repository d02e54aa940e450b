"""Routes at weights over revisions, one module or package per provider."""
