"""etcd, kube-apiserver, kube-controller-manager and, where something is to be scheduled, kube-scheduler."""

import http.client
import json
import shutil
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cluster import certificates, network, process
from cluster.progress import step
from cluster.record import NODE, Record
from cluster.shell import ClusterError, run, tail
from cluster.tools import Tools

READY_SECONDS = 400.0
PLAYED_NODE = "kwok-0"
PROXY = "front-proxy"
NODE_READY = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
SERVICES_ALONE = "10.96.0.0/16"
API_SERVICE_ALONE = "10.96.0.1"
KUBERNETES_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def wait_until(ready: Callable[[], bool], record: Record, guilty: Sequence[str], what: str) -> None:
    """Wait for `ready`; when a program of `guilty` ends or time runs out, show the end of its log.

    Raises:
        ClusterError: it did not become ready; the message holds the last lines of the log and its path.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        ended = [name for name in guilty if not process.alive(record.processes[name])]
        if ended or time.monotonic() > deadline:
            name = (ended or list(guilty))[-1]
            log = Path(record.processes[name].log)
            why = f"{name} ended" if ended else f"nothing after {READY_SECONDS:.0f} s"
            text = log.read_text(encoding="utf-8", errors="replace")
            raise ClusterError(f"{what}: {why}; the end of {log}:\n{tail(text)}")
        time.sleep(0.1)


def begin(record: Record, name: str, argv: Sequence[object], *, path: str = "") -> None:
    """Start one program of the cluster unless it runs, and write it down at once."""
    running = record.processes.get(name)
    if running and process.alive(running):
        return
    log = record.logs / f"{name}.log"
    record.processes[name] = process.start(name, argv, log, netns=record.namespace, path=path)
    record.save()


def answers(record: Record, path: str = "/readyz") -> bool:
    """Whether the API server says 200 at `path`."""
    where = urlsplit(record.server)
    try:
        context = ssl.create_default_context(cafile=str(record.pki / "ca.crt"))
        context.load_cert_chain(record.pki / "admin.crt", record.pki / "admin.key")
        connection = http.client.HTTPSConnection(str(where.hostname), where.port, context=context, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return False


def _addresses(record: Record) -> tuple[str, str, str]:
    """The API server's address, the Services' range and the ClusterIP of ``kubernetes.default``."""
    if record.flavour == NODE:
        net = network.Network(record.namespace, record.octet)
        return net.node, net.services, net.api_service
    return "127.0.0.1", SERVICES_ALONE, API_SERVICE_ALONE


def prepare(record: Record) -> None:
    """Choose ports and write certificates and kubeconfigs, unless that was done before."""
    if record.kubeconfig.exists():
        return
    address, _, service = _addresses(record)
    record.ports = {"api": 6443, "etcd": 2379, "peer": 2380}
    if record.flavour != NODE:
        record.ports = {name: network.free_port() for name in record.ports}
    record.server = f"https://{address}:{record.ports['api']}"
    certificates.make_authority(record.pki)
    certificates.make_token_keys(record.pki)
    names = [f"IP:{each}" for each in {address, service, "127.0.0.1"}]
    names += [f"DNS:{each}" for each in KUBERNETES_NAMES]
    certificates.issue(record.pki, "apiserver", "kube-apiserver", names=names)
    certificates.issue(record.pki, "admin", "modeldeploy-admin", "system:masters")
    for component in ("kube-controller-manager", "kube-scheduler"):
        certificates.issue(record.pki, component, f"system:{component}")
        certificates.kubeconfig(record.pki, component, record.server, record.pki / f"{component}.kubeconfig")
    certificates.kubeconfig(record.pki, "admin", record.server, record.kubeconfig)
    record.save()


def _identify_proxy(folder: Path) -> None:
    """Write what the API server shows to the servers of aggregated APIs when it forwards a request.

    They believe whoever holds a certificate of this authority about who asks, so it is not the cluster's own.
    """
    if not (folder / f"{PROXY}.crt").exists():
        certificates.make_authority(folder)
        certificates.issue(folder, PROXY, PROXY)


def _etcd(record: Record, tools: Tools) -> list[object]:
    client = f"http://127.0.0.1:{record.ports['etcd']}"
    peer = f"http://127.0.0.1:{record.ports['peer']}"
    return [
        tools["etcd"],
        f"--data-dir={record.folder / 'etcd'}",
        "--name=main",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=main={peer}",
    ]


def _apiserver(record: Record, tools: Tools) -> list[object]:
    address, services, _ = _addresses(record)
    pki = record.pki
    return [
        tools["kube-apiserver"],
        f"--etcd-servers=http://127.0.0.1:{record.ports['etcd']}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={record.ports['api']}",
        f"--service-cluster-ip-range={services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--profiling=false",
        f"--requestheader-client-ca-file={pki / PROXY / 'ca.crt'}",
        f"--requestheader-allowed-names={PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / PROXY / f'{PROXY}.crt'}",
        f"--proxy-client-key-file={pki / PROXY / f'{PROXY}.key'}",
    ]


def _controller_manager(record: Record, tools: Tools) -> list[object]:
    pki = record.pki
    identity = pki / "kube-controller-manager.kubeconfig"
    command: list[object] = [
        tools["kube-controller-manager"],
        f"--kubeconfig={identity}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]
    if record.flavour == NODE:
        net = network.Network(record.namespace, record.octet)
        command += ["--allocate-node-cidrs", f"--cluster-cidr={net.pods}", "--node-cidr-mask-size=24"]
        # a third of the default: tests wait for autoscalers
        command += ["--horizontal-pod-autoscaler-sync-period=5s"]
    return command


def start(record: Record, tools: Tools, *, scheduler: bool) -> None:
    """Bring the control plane up, starting what does not run, and wait until the API server is ready."""
    with step("etcd and API server"):
        prepare(record)
        _identify_proxy(record.pki / PROXY)
        begin(record, "etcd", _etcd(record, tools))
        begin(record, "kube-apiserver", _apiserver(record, tools))
        wait_until(lambda: answers(record), record, ("etcd", "kube-apiserver"), "the API server is not ready")
    begin(record, "kube-controller-manager", _controller_manager(record, tools))
    if scheduler:
        identity = record.pki / "kube-scheduler.kubeconfig"
        scheduling: list[object] = [tools["kube-scheduler"], f"--kubeconfig={identity}"]
        begin(record, "kube-scheduler", [*scheduling, "--leader-elect=false", "--secure-port=0"])
    with step("service accounts"):
        # pods are refused until the controller manager has made the namespace's default account
        _wait_for_account(record)


def _wait_for_account(record: Record) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    guilty = ("kube-apiserver", "kube-controller-manager")
    wait_until(lambda: answers(record, path), record, guilty, "no default service account")


def play_nodes(record: Record, tools: Tools, kwok: tuple[Path, list[Path]]) -> None:
    """Let kwok play one node, with the pods that are scheduled to it."""
    room = {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": PLAYED_NODE},
        "status": {"allocatable": room, "capacity": room},
    }
    program, stages = kwok
    kubectl = [tools["kubectl"], "--kubeconfig", record.kubeconfig]
    command = [program, f"--kubeconfig={record.kubeconfig}", "--manage-all-nodes=true"]
    command += [f"--config={stage}" for stage in stages]

    def ready() -> bool:
        conditions = run([*kubectl, "get", "node", PLAYED_NODE, "-o", NODE_READY])
        return conditions == "True"

    with step("kwok"):
        run([*kubectl, "apply", "-f", "-"], given=json.dumps(node))
        begin(record, "kwok", [*command, "--node-lease-duration-seconds=40"])
        wait_until(ready, record, ("kwok",), "the node that kwok plays is not ready")


def stop(record: Record) -> None:
    """End every program of the cluster and forget its data; what is kept beside is the caller's business."""
    # killed rather than asked: the API server takes seconds to drain connections, and its data goes anyway
    process.stop(record.processes.values(), first=signal.SIGKILL)
    record.processes = {}
    for name in ("etcd", "pki", "kubeconfig", "record.json"):
        path = record.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
