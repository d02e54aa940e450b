"""`python -m modeldeploy`: run the operator."""

import modeldeploy.adapters.kube.lean  # noqa: F401, I001 - must come before whatever imports kubernetes

import asyncio
import gc
import logging
import sys

from modeldeploy import settings
from modeldeploy.process import heed_signals, run


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 2 for settings that can't be used."""
    try:
        chosen = settings.load()
    except settings.SettingError as error:
        print(f"modeldeploy: {error}", file=sys.stderr)  # noqa: T201 - the log isn't set up yet
        return 2
    logging.basicConfig(level=chosen.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    gc.freeze()  # what is imported stays, and need not be looked through again and again
    asyncio.run(_run_until_signal(chosen))
    return 0


async def _run_until_signal(chosen: settings.Settings) -> None:
    stop = asyncio.Event()
    heed_signals(stop)
    await run(chosen, stop)


if __name__ == "__main__":
    sys.exit(main())
