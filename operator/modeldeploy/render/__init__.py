"""From decisions to Kubernetes objects, as plain dicts."""
