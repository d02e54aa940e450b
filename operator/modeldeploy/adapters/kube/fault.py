"""A planned end of this process at one of its writes: how tests prove what survives it.

Nothing here happens unless the environment variable `MODELDEPLOY_FAULT` names a write, as in `kill before 7`,
`kill after 7` or `stop before 7`. Writes are counted from 1, as they are sent; the lease has a connection of
its own, so its renewals don't count.
"""

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "MODELDEPLOY_FAULT"
_FORM = re.compile(r"(kill|stop) (before|after) ([1-9][0-9]*)")
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class Fault:
    """A signal that this process sends to itself.

    Attributes:
        number: The write at which.
        after: When the API server has answered it; otherwise before it is sent.
        strike: SIGKILL, or SIGSTOP for a process that freezes until it is continued from outside.
    """

    number: int
    after: bool = False
    strike: signal.Signals = signal.SIGKILL
    _count: int = 0

    @classmethod
    def planned(cls, environ: Mapping[str, str] = os.environ) -> "Fault | None":
        """The fault that the environment asks for; None, as ever in production.

        Raises:
            ValueError: It asks for something else.
        """
        text = environ.get(VARIABLE, "")
        if not text:
            return None
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{VARIABLE} is {text!r}; it must be like 'kill before 7' or 'stop after 7'")
        what, when, number = match.groups()
        return cls(int(number), when == "after", _SIGNALS[what])

    def begin(self) -> int:
        """A write is about to be sent; returns its number."""
        self._count += 1
        if not self.after:
            self._strike(self._count)
        return self._count

    def end(self, number: int) -> None:
        """The API server has answered a write."""
        if self.after:
            self._strike(number)

    def _strike(self, number: int) -> None:
        if number == self.number:
            os.kill(os.getpid(), self.strike)
