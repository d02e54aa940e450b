"""The certificates of one cluster: its authorities, a pair for each component, made with openssl."""

import base64
from collections.abc import Sequence
from pathlib import Path

import yaml

from cluster.shell import run

DAYS = "3650"
CONFIG = """\
[req]
distinguished_name = name
prompt = no
x509_extensions = parts
[name]
{organisation}CN = {common_name}
[parts]
basicConstraints = critical,CA:{authority}
keyUsage = critical,{usage}
{rest}
"""
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_authority(folder: Path) -> None:
    """Write ``ca.crt`` and ``ca.key`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = CONFIG.format(
        organisation="",
        common_name="modeldeploy-test",
        authority="TRUE",
        usage="keyCertSign,cRLSign",
        rest="",
    )
    _request(folder, "ca", config, ())


def make_token_keys(folder: Path) -> None:
    """Write ``sa.key`` and ``sa.pub``, which sign service account tokens and check them, into `folder`."""
    run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", folder / "sa.key"])
    run(["openssl", "ec", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"])


def issue(
    folder: Path, name: str, common_name: str, organisation: str = "", names: Sequence[str] = ()
) -> None:
    """Write ``<name>.crt`` and ``<name>.key``, for a client and, with `names` (SANs), a server."""
    sans = f"subjectAltName = {','.join(names)}\n" if names else ""
    config = CONFIG.format(
        organisation=f"O = {organisation}\n" if organisation else "",
        common_name=common_name,
        authority="FALSE",
        usage="digitalSignature,keyEncipherment",
        rest=f"extendedKeyUsage = clientAuth,serverAuth\n{sans}",
    )
    _request(folder, name, config, ("-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")))


def _request(folder: Path, name: str, config: str, signer: Sequence[str]) -> None:
    settings = folder / f"{name}.cnf"
    settings.write_text(config, encoding="ascii")
    output = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    run(["openssl", "req", "-x509", *NEW_KEY, *output, "-days", DAYS, "-config", settings, *signer])


def kubeconfig(folder: Path, name: str, server: str, target: Path) -> None:
    """Write a kubeconfig, everything inside it, for the pair `name` and the API server at `server`."""

    def inline(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode("ascii")

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "main", "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")}}
        ],
        "users": [
            {
                "name": "main",
                "user": {
                    "client-certificate-data": inline(f"{name}.crt"),
                    "client-key-data": inline(f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
        "current-context": "main",
    }
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(document), encoding="ascii")
