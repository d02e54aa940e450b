"""The acts: v1 serves, a bad version is rolled back, a better one is promoted."""

import time
from collections.abc import Callable

from demo.cases import BETTER, FIRST, NAME, Case, manifest
from demo.observer import Observer
from demo.report import Facts, restarts
from demo.screen import Screen
from demo.stage import NAMESPACE, Stage
from demo.traffic import Traffic, router_url

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
        self._observer: Observer | None = None
        self._traffic: Traffic | None = None

    def play(self) -> None:
        """Show it all; what was recorded stands in `facts` afterwards, whatever happened.

        Raises:
            Missed: Something did not happen in time.
            ClusterError: The cluster refused something.
        """
        try:
            self._play()
        finally:
            if self._traffic:
                self.facts.load = self._traffic.stop()
            if self._observer:
                self.facts.seen = self._observer.seen()
                self._observer.stop()

    def _play(self) -> None:
        screen, case = self._screen, self._case
        screen.zero = time.time()
        screen.act(f"{FIRST} is applied: the first deployment")
        observer = self._apply(FIRST)
        self._until(lambda: _is_ready(observer), f"{FIRST} being Ready", READY_SECONDS)
        with router_url(self._stage) as url:
            self._traffic = Traffic(url, self._rate)
            self._traffic.start()
            self.facts.loaded_at = time.time()
            screen.act(f"{self._rate:g} requests a second go through the router")
            screen.linger(observer, self._traffic, WARM)

            screen.act(f"{case.version} is applied: it {case.fault}")
            self._apply(case.version)
            self._until(lambda: _has_ended(observer, case.version), f"the rollback of {case.version}")
            screen.linger(observer, self._traffic, AFTER)
            self._find_first_bad(observer)

            screen.act(f"{BETTER} is applied: a better model")
            self._apply(BETTER)
            self._promote(observer)
            screen.linger(observer, self._traffic, AFTER)
            self.facts.load = self._traffic.stop()

    def _apply(self, version: str) -> Observer:
        self.facts.applied[version] = time.time()
        self._stage.apply(manifest(version, self._stage.images[f"digits:{version}"]))
        if self._observer is None:
            self._observer = Observer(self._stage.cluster.kubeconfig, NAMESPACE, NAME)
        return self._observer

    def _until(self, so: Callable[[], bool], awaited: str, timeout: float = ROLLOUT_SECONDS) -> None:
        assert self._observer is not None  # noqa: S101 - every act begins with an apply
        self._screen.follow(self._observer, so, awaited=awaited, timeout=timeout, traffic=self._traffic)

    def _find_first_bad(self, observer: Observer) -> None:
        ended = observer.look.ended(self._case.version) if observer.look else None
        if ended is None:
            return
        of = f'namespace="{NAMESPACE}",modeldeploy_name="{NAME}",modeldeploy_revision="{ended.revision}"'
        series = self._stage.prometheus(f"{{{self._case.selector},{of}}}[15m]")
        self.facts.first_bad = self._case.first_bad(series)

    def _promote(self, observer: Observer) -> None:
        """Promotion must start no pod anew: the candidate's are compared before and after."""
        self._until(lambda: _has_weight(observer, BETTER), f"the first step of {BETTER}")
        candidate = observer.look.candidate if observer.look else None
        before = self._stage.pods(candidate.revision) if candidate else {}
        self._until(
            lambda: _has_ended(observer, BETTER) and _is_ready(observer), f"the promotion of {BETTER}"
        )
        if candidate and before:
            self.facts.restarted = restarts(before, self._stage.pods(candidate.revision))


def _is_ready(observer: Observer) -> bool:
    return observer.look is not None and observer.look.ready


def _has_ended(observer: Observer, version: str) -> bool:
    return observer.look is not None and observer.look.ended(version) is not None


def _has_weight(observer: Observer, version: str) -> bool:
    look = observer.look
    if look is None:
        return False
    candidate = look.candidate
    is_on_trial = candidate is not None and candidate.version == version and candidate.weight > 0
    return is_on_trial or look.ended(version) is not None
