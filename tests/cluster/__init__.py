"""A real Kubernetes cluster for tests, benchmarks and the demo, on a machine that has none.

from cluster import ensure
found = ensure("node")
reference = found.image("operator")
"""

from cluster.images import TABLE as IMAGES
from cluster.manager import Cluster, choose, down, ensure
from cluster.shell import ClusterError, UnavailableError

__all__ = ["IMAGES", "Cluster", "ClusterError", "UnavailableError", "choose", "down", "ensure"]
