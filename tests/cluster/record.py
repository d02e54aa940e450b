"""What is written down about a cluster, so that a later command finds it again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cluster.paths import cache_root
from cluster.process import Process, alive
from cluster.shell import ClusterError

NODE = "node"
CONTROL_PLANE = "control-plane"
KIND = "kind"
GIVEN = "given"


@dataclass
class Record:
    """One cluster: its kind, its addresses and the programs started for it.

    `octet` is the second octet of a node's network, 0 for a control plane alone; `ports` goes by
    what listens there; `ready` means that a start went through to its end.
    """

    name: str
    flavour: str
    server: str = ""
    octet: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    ready: bool = False

    @property
    def folder(self) -> Path:
        """Where the cluster keeps everything."""
        return cache_root() / "clusters" / self.name

    @property
    def pki(self) -> Path:
        """Its certificates."""
        return self.folder / "pki"

    @property
    def logs(self) -> Path:
        """The outputs of its programs, one file each."""
        return self.folder / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def namespace(self) -> str:
        """The network namespace of a node; empty for a control plane alone."""
        return f"modeldeploy-{self.name}" if self.flavour == NODE else ""

    def save(self) -> None:
        """Write the record, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        work = self.folder / "record.json.new"
        work.write_text(json.dumps(asdict(self), indent=1), encoding="ascii")
        work.replace(self.folder / "record.json")

    def dead(self) -> list[str]:
        """Those of its programs that have ended."""
        return [name for name, process in self.processes.items() if not alive(process)]


def load(name: str) -> Record | None:
    """The record of the cluster called `name`, if there is one.

    Raises:
        ClusterError: the file is damaged.
    """
    path = cache_root() / "clusters" / name / "record.json"
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="ascii"))
        data["processes"] = {key: Process(**each) for key, each in data["processes"].items()}
        return Record(**data)
    except (ValueError, TypeError, KeyError) as error:
        raise ClusterError(f"{path} cannot be read ({error}); remove it to start afresh") from error


def names() -> list[str]:
    """The names of the clusters that are written down."""
    return sorted(path.parent.name for path in (cache_root() / "clusters").glob("*/record.json"))
