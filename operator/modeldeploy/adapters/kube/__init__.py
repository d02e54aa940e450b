"""Kubernetes: requests, what was seen of the cluster, leadership and Events."""
