"""A Kubernetes operator that brings machine learning models into production and keeps them healthy."""
