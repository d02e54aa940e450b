"""Where the API server is and who we are to it: a pod's service account, or a kubeconfig."""

import os
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME


async def configuration(kubeconfig: Path | None = None) -> Configuration:
    """The connection's parameters.

    In a pod, the service account: its token is read anew every minute, since the kubelet rotates it.
    Elsewhere the kubeconfig that is given, or `$KUBECONFIG`, or `~/.kube/config`; a token in it is read once.

    Raises:
        kubernetes.aio.config.ConfigException: Neither is there, or it can't be used.
    """
    settings = Configuration()
    if kubeconfig is None and os.environ.get(SERVICE_HOST_ENV_NAME):
        config.load_incluster_config(settings)
    else:
        path = str(kubeconfig) if kubeconfig else None
        await config.load_kube_config(path, client_configuration=settings, persist_config=False)
    return settings


async def api_client(kubeconfig: Path | None = None) -> ApiClient:
    """A client whose connections belong to the running event loop. Close it."""
    client = ApiClient(await configuration(kubeconfig))
    client.user_agent = "modeldeploy"
    return client
