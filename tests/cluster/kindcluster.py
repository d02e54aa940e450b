"""A kind cluster, on machines where a container engine answers."""

import json
import shutil
from pathlib import Path

from cluster.paths import REPOSITORY, built, cache_root, digest
from cluster.progress import step
from cluster.shell import ClusterError, UnavailableError, run
from cluster.tools import clients as built_clients
from cluster.tools import kind

CONFIG = REPOSITORY / "kind-config.yaml"
HELM_IMAGE = (
    "docker.io/alpine/helm:4.1.3@sha256:a572075a78666ad6fb1f40cb477a9e2eabbc46f3739beeb81904a6121f6ef027"
)
CLIENT_MINORS = (34, 35, 36)


def kubeconfig(name: str) -> Path:
    """The kubeconfig of the kind cluster `name`; the person's own is not touched."""
    return cache_root() / "clusters" / name / "kind.kubeconfig"


def names() -> list[str]:
    """The names of the kind clusters that were made here."""
    return sorted(path.parent.name for path in (cache_root() / "clusters").glob("*/kind.kubeconfig"))


def node(name: str) -> str:
    """The container that is the cluster's one node."""
    return f"{name}-control-plane"


def up(name: str) -> tuple[Path, Path]:
    """Make the cluster unless it is there; give back kubectl and helm."""
    target = kubeconfig(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    program = kind()
    if name not in run([program, "get", "clusters"]).split():
        with step(f"kind cluster {name}"):
            create = [program, "create", "cluster", "--name", name, "--config", CONFIG, "--wait", "180s"]
            run([*create, "--kubeconfig", target])
        return clients(name)
    run(["docker", "start", node(name)])  # it stays stopped when the machine was
    run([program, "export", "kubeconfig", "--name", name, "--kubeconfig", target])
    kubectl, helm = clients(name)
    run(
        [kubectl, "--kubeconfig", target, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s"]
    )
    return kubectl, helm


def down(name: str) -> bool:
    """Delete the cluster; whether there was one."""
    target = kubeconfig(name)
    if not target.exists():
        return False
    run([kind(), "delete", "cluster", "--name", name, "--kubeconfig", target])
    target.unlink(missing_ok=True)
    return True


def has_image(name: str, reference: str) -> bool:
    """Whether the cluster's node has an image."""
    listed = run(["docker", "exec", node(name), "ctr", "--namespace=k8s.io", "images", "list", "--quiet"])
    return reference in listed.split()


def load(name: str, reference: str) -> None:
    """Put an image of the engine's onto the node."""
    run([kind(), "load", "docker-image", reference, "--name", name])


def _installed_kubectl() -> Path | None:
    found = shutil.which("kubectl")
    if not found:
        return None
    try:
        version = json.loads(run([found, "version", "--client", "-o", "json"]))["clientVersion"]
        minor = int(version["minor"].rstrip("+"))
    except (ClusterError, KeyError, ValueError):
        return None
    return Path(found) if minor in CLIENT_MINORS else None


def _from_container(image: str, path: str, name: str) -> Path:
    """A program copied out of an image, for machines that have an engine and nothing else."""

    def build(folder: Path) -> None:
        container = run(["docker", "create", image]).strip()
        try:
            run(["docker", "cp", f"{container}:{path}", folder / name])
        finally:
            run(["docker", "rm", container])

    return built("copied", digest([image, path]), build) / name


def clients(name: str | None) -> tuple[Path, Path]:
    """kubectl and helm: the installed ones where they fit, else built ones, else out of images.

    Raises:
        UnavailableError: none of these is possible.
    """
    kubectl, found = _installed_kubectl(), shutil.which("helm")
    helm = Path(found) if found else None
    if kubectl and helm:
        return kubectl, helm
    try:
        made = built_clients()
    except UnavailableError as error:
        if name is None:
            raise UnavailableError("kubectl and helm must be installed, or Go to build them") from error
        image = run(["docker", "inspect", "--format", "{{.Config.Image}}", node(name)]).strip()
        kubectl = kubectl or _from_container(image, "/usr/bin/kubectl", "kubectl")
        return kubectl, helm or _from_container(HELM_IMAGE, "/usr/bin/helm", "helm")
    return kubectl or made["kubectl"], helm or made["helm"]
