"""The programs of a cluster, built from pinned Go modules and kept by the hash of what pins them."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import built, digest, files_digest, is_built
from cluster.progress import Step, step
from cluster.shell import ClusterError, UnavailableError, run, tail

MODULE = Path(__file__).parent / "tools"
KUBERNETES = "v1.35.4"
KWOK = "v0.8.0"
KIND = "v0.33.0"
AMPLE_MEMORY = 7 << 30
CLIENTS = ("k8s.io/kubernetes/cmd/kubectl", "helm.sh/helm/v4/cmd/helm")
VERSION_PACKAGE = "k8s.io/component-base/version"
LINKER = f"-s -w -X {VERSION_PACKAGE}.gitVersion={KUBERNETES}"


@dataclass(frozen=True)
class Tools:
    """The folder of built programs: etcd, kube-*, kubelet, kubectl, helm, coredns, pause."""

    folder: Path

    def __getitem__(self, name: str) -> Path:
        """The path of one program."""
        return self.folder / name


def go() -> str:
    """The go command.

    Raises:
        UnavailableError: there is none.
    """
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not found:
        raise UnavailableError("Go 1.21 or newer is not installed (https://go.dev/doc/install)")
    return found


def environment() -> dict[str, str]:
    """What every build sets: static programs, and no stray settings of the person's."""
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >= AMPLE_MEMORY:
        # the compiler collects its garbage less often: an eighth less CPU time for all of Kubernetes
        settings["GOGC"] = "400"
    return settings


def _key() -> str:
    sources = [path for path in MODULE.rglob("*") if path.is_file()]
    version = run([go(), "env", "GOVERSION", "GOARCH"], cwd=MODULE)
    return files_digest(MODULE, sources, [version, LINKER])


def tools() -> Tools:
    """The programs of the tools module, built unless they are there (about six minutes on two cores)."""

    def build(folder: Path) -> None:
        # one `go build` for all: shared packages compile once, and linking overlaps compiling
        _build(folder, ["tool", "./..."])
        (folder / "server").rename(folder / "etcd")

    return Tools(built("tools", _key(), build))


def clients() -> Tools:
    """kubectl and helm alone, for clusters that were not made here."""
    key = _key()
    if is_built("tools", key):
        return tools()
    return Tools(built("clients", key, lambda folder: _build(folder, list(CLIENTS))))


def _build(folder: Path, wanted: list[str]) -> None:
    with step("programs of the cluster (Go, once)") as part:
        packages = run([go(), "list", "-deps", *wanted], cwd=MODULE, env=environment()).count("\n")
        command = [go(), "build", "-v", "-trimpath", "-ldflags", LINKER, "-o", f"{folder}/", *wanted]
        _watched(command, packages, part)


def _watched(command: list[str], packages: int, part: Step) -> None:
    with subprocess.Popen(
        command,
        cwd=MODULE,
        env={**os.environ, **environment()},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        printed: list[str] = []
        for line in process.stderr or ():
            if not line.startswith("go: downloading"):
                printed.append(line)
            part.note(f"{len(printed)} of at most {packages} packages")
    if process.returncode != 0:
        raise ClusterError(f"{' '.join(command[:3])} in {MODULE} failed:\n{tail(''.join(printed))}")


def installed(package: str, version: str) -> Path:
    """A program by plain ``go install``, for what does not fit the tools module; kept like the others."""
    name = package.rpartition("/")[2]
    key = digest([package, version, run([go(), "env", "GOVERSION", "GOARCH"])])

    def build(folder: Path) -> None:
        with step(f"{name} {version} (Go, once)"):
            env = {**environment(), "GOBIN": str(folder)}
            run([go(), "install", "-trimpath", "-ldflags", "-s -w", f"{package}@{version}"], env=env)

    return built(name, key, build) / name


def kwok() -> tuple[Path, list[Path]]:
    """The program that plays nodes and pods, and the files of its module that say what these go through."""
    program = installed("sigs.k8s.io/kwok/cmd/kwok", KWOK)
    module = json.loads(run([go(), "mod", "download", "-json", f"sigs.k8s.io/kwok@{KWOK}"]))["Dir"]
    stages = Path(module) / "kustomize" / "stage"
    nodes = [*stages.glob("node/fast/node-*.yaml"), *stages.glob("node/heartbeat-with-lease/node-*.yaml")]
    return program, [*nodes, *stages.glob("pod/fast/pod-*.yaml")]


def kind() -> Path:
    """The kind command: the installed one, else one built from its module."""
    found = shutil.which("kind")
    return Path(found) if found else installed("sigs.k8s.io/kind", KIND)
