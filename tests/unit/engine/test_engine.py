"""The work queue, with time standing still until a test moves it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modeldeploy.engine import Backoff, Due, Engine
from unit.engine.manual_clock import ManualClock, settle

pytestmark = pytest.mark.unit


class Work:
    """Runs that last until they are told to end."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.under_way: dict[str, asyncio.Future[Due | None]] = {}

    async def __call__(self, key: str) -> Due | None:
        assert key not in self.under_way, "one run of a key at a time"
        self.started.append(key)
        self.under_way[key] = asyncio.get_running_loop().create_future()
        try:
            return await self.under_way[key]
        finally:
            del self.under_way[key]

    async def end(self, key: str, due: Due | None = None) -> None:
        self.under_way[key].set_result(due)
        await settle()

    async def fail(self, key: str, error: Exception) -> None:
        self.under_way[key].set_exception(error)
        await settle()


class Busy(Exception):  # noqa: N818
    retry_after = 30.0


def engine_of(
    work: Callable[[str], Awaitable[Due | None]], clock: ManualClock, workers: int = 8
) -> Engine[str]:
    engine = Engine(work, workers=workers, clock=clock, dice=lambda: 1.0)
    engine.open()
    return engine


async def test_a_wake_runs_the_key_once_and_then_nothing_is_left() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    await work.end("a")
    assert work.started == ["a"]
    assert (engine.depth, engine.running, clock.armed) == (0, 0, 0)


async def test_wakes_before_the_run_are_one_and_a_wake_during_it_is_one_more() -> None:
    work, clock = Work(), ManualClock()
    engine = Engine(work, clock=clock)
    for _ in range(3):
        engine.wake("a")
    engine.open()
    await settle()
    assert work.started == ["a"]
    for _ in range(3):
        engine.wake("a")
    await settle()
    assert work.started == ["a"], "not while it runs"
    await work.end("a")
    assert work.started == ["a", "a"]
    await work.end("a")
    assert work.started == ["a", "a"]
    assert engine.counts.coalesced == 4


async def test_keys_run_in_the_order_of_their_wakes_and_a_busy_one_goes_to_the_end() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock, workers=1)
    engine.wake_all("abc")
    await settle()
    engine.wake("a")
    for key in "abc":
        await work.end(key)
    assert work.started == ["a", "b", "c", "a"]


async def test_as_many_run_at_once_as_there_are_workers() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock, workers=2)
    engine.wake_all("abc")
    await settle()
    assert set(work.under_way) == {"a", "b"}
    await work.end("b")
    assert set(work.under_way) == {"a", "c"}


async def test_the_earliest_due_time_wins_and_a_run_forgets_it() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake_at("a", clock.monotonic() + 50)
    engine.wake_at("a", clock.now() + timedelta(seconds=20))
    engine.wake_at("a", clock.monotonic() + 40)
    await clock.advance(19.9)
    assert work.started == []
    await clock.advance(0.2)
    assert work.started == ["a"]
    await work.end("a")
    await clock.advance(100)
    assert work.started == ["a"]


async def test_a_run_says_when_the_key_is_due_again() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    await work.end("a", clock.monotonic() + 5)
    await clock.advance(4.9)
    assert work.started == ["a"]
    await clock.advance(0.2)
    assert work.started == ["a", "a"]


async def test_a_wake_makes_an_older_due_time_void() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake_at("a", clock.monotonic() + 10)
    engine.wake("a")
    await settle()
    await work.end("a", clock.monotonic() + 30)
    await clock.advance(20)
    assert work.started == ["a"]
    await clock.advance(11)
    assert work.started == ["a", "a"]


async def test_a_due_time_in_the_past_runs_at_once() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake_at("a", clock.now() - timedelta(hours=1))
    await clock.advance(0)
    assert work.started == ["a"]


async def test_idle_means_no_timer_but_the_next_due_one() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    for number in range(1000):
        engine.wake_at(f"k{number}", clock.monotonic() + 3600 + number)
    assert clock.armed == 1
    await clock.advance(3599)
    assert clock.rings == 0


async def test_many_re_armings_leave_no_heap_of_stale_entries() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    for _ in range(1000):
        engine.wake("a")
        await settle()
        await work.end("a", clock.monotonic() + 3600)
    assert len(engine._heap) < 200
    assert clock.armed == 1


async def test_failures_rest_longer_each_time_and_a_success_forgets_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    rests = []
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            began = clock.monotonic()
            runs = len(work.started)
            await work.fail("a", ValueError("no"))
            while len(work.started) == runs:
                await clock.advance(0.5)
            rests.append(clock.monotonic() - began)
        assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
        await work.end("a")
        engine.wake("a")
        await settle()
        began = clock.monotonic()
        await work.fail("a", ValueError("no"))
        await clock.advance(1.0)
    assert len(work.started) == 11
    assert engine.counts.failures == 9
    assert "a failed (8 in a row), again in 60.0 s" in caplog.text


async def test_an_exception_can_ask_for_a_longer_rest() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    await work.fail("a", Busy())
    await clock.advance(29)
    assert work.started == ["a"]
    await clock.advance(2)
    assert work.started == ["a", "a"]


async def test_a_wake_does_not_wait_for_the_back_off() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    await work.fail("a", Busy())
    engine.wake("a")
    await settle()
    assert work.started == ["a", "a"]


async def test_a_run_cancelled_from_outside_comes_back() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    work.under_way["a"].cancel()
    await settle()
    assert engine.running == 0
    await clock.advance(1.0)
    assert work.started == ["a", "a"]


@pytest.mark.parametrize("failures", [1, 3, 7, 1000])
def test_jitter_takes_up_to_half_of_the_rest(failures: int) -> None:
    backoff = Backoff(first=1.0, longest=60.0)
    whole = min(60.0, 2.0 ** (failures - 1))
    assert backoff.delay(failures, lambda: 0.0) == whole / 2
    assert backoff.delay(failures, lambda: 0.5) == whole * 0.75


async def test_nothing_runs_while_shut_and_what_gathered_runs_when_opened() -> None:
    work, clock = Work(), ManualClock()
    engine = Engine(work, clock=clock)
    engine.wake("a")
    engine.wake_at("b", clock.monotonic() + 5)
    await clock.advance(10)
    assert work.started == []
    assert engine.lag() == 0.0, "waiting for leadership is no lack of progress"
    engine.open()
    await settle()
    assert work.started == ["a", "b"]


async def test_shutting_lets_a_run_end_but_begins_no_other() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock, workers=1)
    engine.wake_all("ab")
    await settle()
    engine.shut()
    await work.end("a")
    assert work.started == ["a"]
    engine.open()
    await settle()
    assert work.started == ["a", "b"]


async def test_lag_is_the_age_of_the_oldest_unfinished_wake() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock, workers=1)
    assert engine.lag() == 0.0
    engine.wake("a")
    await clock.advance(7)
    engine.wake("b")
    await clock.advance(3)
    assert engine.lag() == 10.0
    await work.end("a")
    assert engine.lag() == 3.0
    await work.end("b")
    assert engine.lag() == 0.0


async def test_a_forgotten_key_does_not_come_back() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock, workers=1)
    engine.wake_all("ab")
    engine.wake_at("c", clock.monotonic() + 5)
    engine.forget("b")
    engine.forget("c")
    await clock.advance(10)
    await work.end("a")
    assert work.started == ["a"]
    assert clock.armed == 0


async def test_stop_lets_a_run_end_within_its_grace() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    stopping = asyncio.create_task(engine.stop(grace=5))
    await settle()
    assert not stopping.done()
    await work.end("a", clock.monotonic() + 1)
    await stopping
    await clock.advance(10)
    engine.wake("a")
    engine.open()
    await settle()
    assert work.started == ["a"]
    assert clock.armed == 0


async def test_stop_cancels_a_run_that_does_not_end() -> None:
    work, clock = Work(), ManualClock()
    engine = engine_of(work, clock)
    engine.wake("a")
    await settle()
    await engine.stop(grace=0.01)
    assert work.under_way == {}
    assert engine.running == 0


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: one run of a key at a time, and no wake is ever lost."""

    keys = st.sampled_from("abcd")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.work = Work()
        self.engine = Engine(self.work, workers=2, clock=self.clock, dice=lambda: 0.0)
        self.owed: set[str] = set()  # keys woken since their last run began
        self.seen = 0

    def turn(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()
            await settle()

        self.loop.run_until_complete(act())
        self.note()

    def note(self) -> None:
        self.owed -= set(self.work.started[self.seen :])
        self.seen = len(self.work.started)

    @rule(key=keys)
    def wake(self, key: str) -> None:
        self.owed.add(key)
        self.turn(lambda: self.engine.wake(key))

    @rule(key=keys, seconds=st.integers(0, 10))
    def wake_at(self, key: str, seconds: int) -> None:
        self.turn(lambda: self.engine.wake_at(key, self.clock.monotonic() + seconds))

    @rule(seconds=st.integers(0, 10))
    def advance(self, seconds: int) -> None:
        self.loop.run_until_complete(self.clock.advance(seconds))
        self.note()

    @rule(opens=st.booleans())
    def gate(self, opens: bool) -> None:  # noqa: FBT001
        self.turn(self.engine.open if opens else self.engine.shut)

    @precondition(lambda self: self.work.under_way)
    @rule(data=st.data(), due=st.none() | st.integers(0, 10))
    def end(self, data: st.DataObject, due: int | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.work.under_way)))
        when = None if due is None else self.clock.monotonic() + due
        self.loop.run_until_complete(self.work.end(key, when))
        self.note()

    @precondition(lambda self: self.work.under_way)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.work.under_way)))
        logging.disable(logging.WARNING)
        self.loop.run_until_complete(self.work.fail(key, ValueError("no")))
        logging.disable(logging.NOTSET)
        self.note()

    @invariant()
    def workers_are_busy_while_keys_wait(self) -> None:
        waiting = set(self.engine._waiting)
        assert self.engine.running <= 2
        if self.engine.acting and waiting:
            assert self.engine.running == 2

    @invariant()
    def no_wake_is_lost(self) -> None:
        assert self.owed <= set(self.engine._waiting) | set(self.engine._again)

    @invariant()
    def one_timer_for_all_due_times(self) -> None:
        assert self.clock.armed <= 1
        if self.engine._due:
            assert self.clock.armed == 1

    def teardown(self) -> None:
        self.loop.run_until_complete(self.engine.stop(grace=0.0))
        self.loop.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
