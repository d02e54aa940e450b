"""The acts: v1 serves, a bad version is rolled back, a better one is promoted."""

import time
from collections.abc import Callable

from demo.cases import BETTER, FIRST, NAME, Case, manifest
from demo.observer import Observer
from demo.report import Facts, restarts
from demo.screen import Screen
from demo.stage import NAMESPACE, Stage
from demo.traffic import Traffic, router_url
from modeldeploy.cli.look import Ended, Look

READY_SECONDS = 240.0
ROLLOUT_SECONDS = 420.0
WARM = 8.0
"""Seconds of load on v1 alone."""
AFTER = 5.0
"""Seconds that one may look at the outcome."""


class Story:
    """One run.

    Args:
        stage: Where.
        case: The bad version.
        rate: Requests per second.
        screen: Where to show it.
    """

    def __init__(self, stage: Stage, case: Case, rate: float, screen: Screen) -> None:
        self.facts = Facts(case)
        self._stage, self._case, self._rate, self._screen = stage, case, rate, screen

    def play(self) -> None:
        """Show it all; what was recorded stands in `facts` afterwards, whatever happened.

        Raises:
            Missed: Something did not happen in time.
            ClusterError: The cluster refused something.
        """
        screen = self._screen
        try:
            self._play()
        finally:
            screen.end()
            if screen.traffic:
                self.facts.load = screen.traffic.stop()
            if screen.observer:
                self.facts.seen = screen.observer.seen()
                screen.observer.stop()

    def _play(self) -> None:
        screen, case = self._screen, self._case
        screen.zero = time.time()
        screen.act(f"{FIRST} is applied: the first deployment, then {self._rate:g} requests a second")
        self._apply(FIRST)
        screen.observer = Observer(self._stage.cluster.kubeconfig, NAMESPACE, NAME)
        screen.wait(self._is_ready, awaited=f"{FIRST} being Ready", timeout=READY_SECONDS)
        with router_url(self._stage) as url:
            screen.traffic = Traffic(url, self._rate)
            screen.traffic.start()
            self.facts.loaded_at = time.time()
            screen.linger(WARM)

            screen.act(f"{case.version} is applied: it {case.fault}")
            self._apply(case.version)
            self._wait(lambda: self._ended(case.version) is not None, f"the rollback of {case.version}")
            screen.linger(AFTER)
            self._find_first_bad()

            screen.act(f"{BETTER} is applied: a better model")
            self._apply(BETTER)
            self._promote()
            screen.linger(AFTER)
            self.facts.load = screen.traffic.stop()

    def _apply(self, version: str) -> None:
        self.facts.applied[version] = time.time()
        self._stage.apply(manifest(version, self._stage.images[f"digits:{version}"]))

    def _wait(self, until: Callable[[], bool], awaited: str) -> None:
        self._screen.wait(until, awaited=awaited, timeout=ROLLOUT_SECONDS)

    def _find_first_bad(self) -> None:
        ended = self._ended(self._case.version)
        if ended is not None:
            of = f'namespace="{NAMESPACE}",modeldeploy_name="{NAME}",modeldeploy_revision="{ended.revision}"'
            # No further back: an earlier run's pods were of the same revision.
            span = max(1, int(time.time() - self.facts.applied[self._case.version]))
            series = self._stage.prometheus(f"{{{self._case.selector},{of}}}[{span}s]")
            self.facts.first_bad = self._case.first_bad(series)

    def _promote(self) -> None:
        """Promotion must start no pod anew: the candidate's are compared before and after."""
        self._wait(self._has_begun, f"the first step of {BETTER}")
        candidate = self._look.candidate if self._look else None
        before = self._stage.pods(candidate.revision) if candidate else {}
        self._wait(lambda: self._is_promoted() or self._has_failed(), f"the promotion of {BETTER}")
        if candidate and before:
            self.facts.restarted = restarts(before, self._stage.pods(candidate.revision))

    @property
    def _look(self) -> Look | None:
        return self._screen.observer.look if self._screen.observer else None

    def _ended(self, version: str) -> Ended | None:
        return self._look.ended(version) if self._look else None

    def _is_ready(self) -> bool:
        return self._look is not None and self._look.ready

    def _has_begun(self) -> bool:
        candidate = self._look.candidate if self._look else None
        is_on_trial = candidate is not None and candidate.version == BETTER and candidate.weight > 0
        return is_on_trial or self._ended(BETTER) is not None

    def _is_promoted(self) -> bool:
        return self._ended(BETTER) is not None and self._is_ready()

    def _has_failed(self) -> bool:
        ended = self._ended(BETTER)
        return ended is not None and ended.outcome != "Promoted"
