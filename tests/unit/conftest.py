"""Properties are judged by what is found, not by how soon a busy machine finds it."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
