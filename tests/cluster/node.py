"""The single node: containerd, kubelet, kube-proxy and the DNS, in a network namespace of its own."""

import contextlib
import json
from pathlib import Path

import yaml

from cluster import archive, certificates, cgroups, containers, controlplane, network
from cluster.progress import step
from cluster.record import NODE, Record, load, names
from cluster.shell import run
from cluster.tools import Tools

HERE = Path(__file__).parent
# what a kubelet sets on its machine; written down before and put back when the node goes
KUBELET_SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")


def _kubelet_config(record: Record, net: network.Network) -> dict[str, object]:
    folder = record.folder / "kubelet"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(record.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{record.namespace}",
        "clusterDNS": [net.dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{containers.socket(record)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(folder / "pod-logs"),
        "resolvConf": str(folder / "resolv.conf"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "serializeImagePulls": False,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        # images were built here and can't be fetched again, and the disk is shared with other work
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _proxy_config(record: Record, net: network.Network) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": net.pods,
        "hostnameOverride": record.namespace,
        "clientConnection": {"kubeconfig": str(record.pki / "kube-proxy.kubeconfig")},
        # the connection tracking table is the machine's and can't be resized from inside a namespace
        "conntrack": {"maxPerCore": 0, "min": 0},
        # the default gathers changes for a second; a Service should lead to its pods sooner here
        "nftables": {"minSyncPeriod": "20ms", "syncPeriod": "30s"},
    }


def _start_kubelet(record: Record, net: network.Network, tools: Tools) -> None:
    folder = record.folder / "kubelet"
    folder.mkdir(exist_ok=True)
    (folder / "resolv.conf").write_text(f"nameserver {net.dns}\n", encoding="ascii")
    config = folder / "config.json"
    config.write_text(json.dumps(_kubelet_config(record, net)), encoding="ascii")
    command: list[object] = [
        tools["kubelet"],
        f"--config={config}",
        f"--kubeconfig={record.pki / 'kubelet.kubeconfig'}",
        f"--root-dir={folder / 'root'}",
        f"--cert-dir={folder / 'pki'}",
        f"--hostname-override={record.namespace}",
        f"--node-ip={net.node}",
    ]
    controlplane.begin(record, "kubelet", command)


def _start_proxy(record: Record, net: network.Network, tools: Tools) -> None:
    config = record.folder / "kubelet" / "kube-proxy.json"
    text = json.dumps(_proxy_config(record, net))
    # kube-proxy ends whenever this file is written, be it with what was in it
    if not config.exists() or config.read_text(encoding="ascii") != text:
        config.write_text(text, encoding="ascii")
    controlplane.begin(record, "kube-proxy", [tools["kube-proxy"], f"--config={config}"])


def _identities(record: Record) -> None:
    pairs: dict[str, tuple[str, str]] = {
        "kubelet": (f"system:node:{record.namespace}", "system:nodes"),
        "kube-proxy": ("system:kube-proxy", ""),
    }
    for name, (common_name, organisation) in pairs.items():
        if not (record.pki / f"{name}.kubeconfig").exists():
            certificates.issue(record.pki, name, common_name, organisation)
            certificates.kubeconfig(record.pki, name, record.server, record.pki / f"{name}.kubeconfig")


def _dns(record: Record, net: network.Network, tools: Tools, image: str) -> None:
    manifest = (HERE / "coredns.yaml").read_text(encoding="ascii")
    manifest = manifest.replace("@IMAGE@", image).replace("@ADDRESS@", net.dns)
    kubectl = [tools["kubectl"], "--kubeconfig", record.kubeconfig]
    run([*kubectl, "apply", "--server-side", "-f", "-"], given=manifest)


def _ready(record: Record, tools: Tools) -> bool:
    kubectl = [tools["kubectl"], "--kubeconfig", record.kubeconfig, "get", "--ignore-not-found"]
    state = run([*kubectl, "node", record.namespace, "-o", controlplane.NODE_READY])
    return state == "True"


def _dns_ready(record: Record, tools: Tools) -> bool:
    kubectl = [tools["kubectl"], "--kubeconfig", record.kubeconfig, "-n", "kube-system"]
    deployment = yaml.safe_load(run([*kubectl, "get", "deployment", "coredns", "-o", "yaml"]))
    return bool(deployment.get("status", {}).get("availableReplicas"))


def _other_nodes(record: Record) -> list[Record]:
    known = [load(name) for name in names() if name != record.name]
    return [each for each in known if each and each.flavour == NODE]


def _remember_sysctls(record: Record) -> None:
    if not record.sysctls:
        # another node of ours has changed them already, and knows what they were
        before = [each.sysctls for each in _other_nodes(record) if each.sysctls]
        paths = {name: Path("/proc/sys") / name for name in KUBELET_SYSCTLS}
        now = {
            name: path.read_text(encoding="ascii").strip() for name, path in paths.items() if path.exists()
        }
        record.sysctls = before[0] if before else now
        record.save()


def start(record: Record, tools: Tools, packages: Path) -> None:
    """Bring the node up, starting what does not run, and wait until it and its DNS are ready.

    Its network must have been set up.
    """
    net = network.Network(record.namespace, record.octet)
    cgroups.make(record.namespace)
    _remember_sysctls(record)
    pause, pause_archive = archive.of_program(tools["pause"])
    coredns, coredns_archive = archive.of_program(tools["coredns"])
    with step("containerd"):
        containers.start(record, packages, net, pause)
        containers.load(record, packages, {pause: pause_archive, coredns: coredns_archive})
    controlplane.start(record, tools, scheduler=True)
    _identities(record)
    with step("node ready"):
        _start_kubelet(record, net, tools)
        parts = ("kube-apiserver", "containerd", "kubelet")
        controlplane.wait_until(lambda: _ready(record, tools), record, parts, "the node is not ready")
    with step("Services and DNS of the cluster"):
        # not before the node is there: kube-proxy takes its absence for a change of address and ends
        _start_proxy(record, net, tools)
        _dns(record, net, tools, coredns)
        pods = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        controlplane.wait_until(lambda: _dns_ready(record, tools), record, pods, "CoreDNS is not ready")


def stop(record: Record) -> None:
    """End the node and take back what it changed on the machine; images stay in containerd's folder."""
    containers.stop(record)
    controlplane.stop(record)
    containers.unmount(record)
    network.tear_down(network.Network(record.namespace, record.octet))
    for name, value in ({} if _other_nodes(record) else record.sysctls).items():
        with contextlib.suppress(OSError):  # read-only inside a container
            (Path("/proc/sys") / name).write_text(value, encoding="ascii")
