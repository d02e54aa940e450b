"""The cluster that a command talks to: kubectl's configuration, understood as kubectl understands it."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException

DEFAULT_PATH = "~/.kube/config"


class ConnectionProblem(Exception):  # noqa: N818 - told to people, never handled
    """The configuration can't be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A way to a cluster.

    Attributes:
        api: Close it.
        namespace: The one asked for, else the context's, else `default`.
    """

    api: ApiClient
    namespace: str


async def connect(
    *, kubeconfig: Path | None = None, context: str | None = None, namespace: str | None = None
) -> Connection:
    """Read kubectl's configuration: the file given, else `$KUBECONFIG`, else `~/.kube/config`.

    Raises:
        ConnectionProblem: There is none, it can't be read, or it has no such context.
    """
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or DEFAULT_PATH
    settings = Configuration()
    try:
        loader = await config.load_kube_config(
            _files(named),
            context=context,
            client_configuration=settings,
            persist_config=False,
        )
    except (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise ConnectionProblem(f"the kubeconfig {named} can't be used: {why}") from error
    current = (loader.current_context or {}).get("context") or {}
    api = ApiClient(settings)
    api.user_agent = "modeldeploy-cli"
    return Connection(api, namespace or current.get("namespace") or "default")


def _files(named: str) -> str:
    paths = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    if not any(path.is_file() for path in paths):
        raise ConnectionProblem(f"there is no kubeconfig at {named}; name one with --kubeconfig")
    return os.pathsep.join(str(path) for path in paths)
