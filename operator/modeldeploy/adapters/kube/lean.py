"""Import this before kopf, kubernetes, aiohttp and requests: it keeps 9 MiB of unused things out.

- Whoever imports `kubernetes.aio` imports the whole package, the synchronous client and its OAuth libraries
  included, and kopf looks for that client's models. So the package is entered into `sys.modules` without
  running its `__init__`, which does nothing but import everything, and the synchronous client is marked as
  absent, a case that kopf is prepared for. What else wants `kubernetes.client` in this process gets a
  `ModuleNotFoundError`.
- requests loads tables of how often letters occur, to guess the encoding of a text that doesn't tell; it is
  prepared for their absence, too. Metrics stores answer in JSON.
- aiohttp reads the machine's certificate authorities twice as it is imported, for sessions that bring no TLS
  context of their own. The API server's are its own authority's.
"""

import importlib.util
import os
import ssl
import sys
import warnings


def _leave_out() -> None:
    if "kubernetes" in sys.modules:
        return
    for name in ("kubernetes", "kubernetes.aio"):
        found = importlib.util.find_spec(name)
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.modules[name] = importlib.util.module_from_spec(found)
    sys.modules["kubernetes.client"] = None  # type: ignore[assignment]


def _guess_no_encodings() -> None:
    if "requests" in sys.modules:
        return
    sys.modules["charset_normalizer"] = None  # type: ignore[assignment]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
        importlib.import_module("requests")


def _read_no_authorities() -> None:
    paths = ssl.get_default_verify_paths()
    names = (paths.openssl_cafile_env, paths.openssl_capath_env)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        importlib.import_module("aiohttp")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_leave_out()
_guess_no_encodings()
_read_no_authorities()
