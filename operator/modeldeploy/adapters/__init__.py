"""The only input and output: Kubernetes, Prometheus, routers, the clock."""
