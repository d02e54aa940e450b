"""Import this before anything that imports kopf or kubernetes: it keeps 4 MiB of unused code out.

Whoever imports `kubernetes.aio` imports the whole package, the synchronous client and its OAuth libraries
included, and kopf looks for that client's models. Nothing here uses them. So the package is entered into
`sys.modules` without running its `__init__`, which does nothing but import everything, and the synchronous
client is marked as absent, a case that kopf is prepared for.

What else wants `kubernetes.client` in this process gets a `ModuleNotFoundError`.
"""

import importlib.util
import sys


def _leave_out() -> None:
    if "kubernetes" in sys.modules:
        return
    for name in ("kubernetes", "kubernetes.aio"):
        found = importlib.util.find_spec(name)
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.modules[name] = importlib.util.module_from_spec(found)
    sys.modules["kubernetes.client"] = None  # type: ignore[assignment]


_leave_out()
