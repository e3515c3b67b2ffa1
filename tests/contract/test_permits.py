"""Permits balance, whatever filters, folds and failures are in a chain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import FilterNode, MapNode, NodeError, ReduceNode, WorkflowContext
from nadoo_flow.stages import ListStage
from nadoo_flow.stages.fusion import Link, fuse
from nadoo_flow.streams import Plan, Subscription, drain, emit, flat_map
from nadoo_flow.testing import VirtualTimeLoop
from tests.work import Mapped

from ..stand_ins import assert_only_the_caller_runs
from ..streams.runs import Seen, in_any_case, in_virtual_time


class Permits(RuleBasedStateMachine):
    """One run by hand: its inputs, its lanes and its consumer each move when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.subject: Subject[int] = Subject()
        self.seen = Seen()
        self.at_work: dict[int, asyncio.Future[str]] = {}
        self.sent = 0
        self.kept = 0
        self.dropped = 0
        self.taken = 0
        self.owed_at_end: int | None = None
        self.closed = False

    @initialize(max_concurrent=st.integers(1, 4), window=st.one_of(st.none(), st.integers(1, 9)))
    def open(self, max_concurrent: int, window: int | None) -> None:
        self.max_concurrent = max_concurrent
        machine = self

        class Consumer(Seen):
            def on_completed(self) -> None:
                not_taken = len(self.values) - machine.taken
                machine.owed_at_end = machine.run.outstanding - not_taken
                super().on_completed()

        self.seen = Consumer()
        self.run = self._in_loop(Plan(self._chain, max_concurrent, window).open)
        self._in_loop(lambda: self.run.start(self._chain, self.seen))

    def _chain(self, run: Subscription) -> Observable[Any]:
        async def mapper(indexed: tuple[int, int]) -> str:
            verdict: asyncio.Future[str] = self.loop.create_future()
            self.at_work[indexed[0]] = verdict
            try:
                return await verdict
            finally:
                del self.at_work[indexed[0]]

        def keep(verdict: str) -> bool:
            if verdict == "drop":
                run.release()
            return verdict == "keep"

        lanes = flat_map(run, Mapped(mapper), self.max_concurrent)
        return emit(run, self.subject).pipe(lanes, ops.filter(keep))

    def _in_loop(self, step: Callable[[], Any]) -> Any:
        """Do something in the loop, and let all that follows of it happen."""

        async def main() -> Any:
            outcome = step()
            await asyncio.sleep(1)
            return outcome

        return self.loop.run_until_complete(main())

    @property
    def settled(self) -> int:
        return self.dropped + self.taken

    @precondition(lambda self: not self.closed)
    @rule(items=st.integers(1, 12))
    def send(self, items: int) -> None:
        for _ in range(items):
            self.subject.on_next(self.sent)
            self.sent += 1
        self._in_loop(lambda: None)

    @rule()
    def wait(self) -> None:
        self._in_loop(lambda: None)

    @precondition(lambda self: self.at_work)
    @rule(verdict=st.sampled_from(["keep", "drop"]), data=st.data())
    def finish(self, verdict: str, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted(self.at_work)))
        self._in_loop(lambda: self.at_work[item].set_result(verdict))
        self.kept += verdict == "keep"
        self.dropped += verdict == "drop"

    @precondition(lambda self: self.kept > self.taken)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        items = data.draw(st.integers(1, self.kept - self.taken))
        self.taken += items
        self._in_loop(lambda: self.run.release(items))

    @precondition(lambda self: not self.run.stopped)
    @rule(extra=st.integers(1, 5))
    def take_too_many(self, extra: int) -> None:
        too_many = self.run.outstanding + extra
        with pytest.raises(ValueError, match=f"released {too_many} items"):
            self.run.release(too_many)

    @precondition(lambda self: self.sent > 10 and not self.closed)
    @rule()
    def complete(self) -> None:
        self.closed = True
        self._in_loop(self.subject.on_completed)

    @precondition(lambda self: self.at_work and self.sent > 20)
    @rule()
    def fail(self) -> None:
        item, error = min(self.at_work), OSError("broken")
        self.closed = True
        self._in_loop(lambda: self.at_work[item].set_exception(error))
        assert self.seen.ends == [error]
        assert not self.at_work
        self._in_loop(lambda: self.run.release(1000))

    @invariant()
    def permits_balance(self) -> None:
        assert self.run.outstanding <= self.run.window
        if self.run.stopped:
            return
        assert self.run.outstanding == self.run.pulled - self.settled
        assert len(self.seen.values) == self.kept
        # Whoever is not at work wants for items or for permits, and the source for neither.
        unfinished = self.run.pulled - self.kept - self.dropped
        assert len(self.at_work) == min(self.max_concurrent, unfinished)
        if self.sent > self.run.pulled:
            assert self.run.outstanding > self.run.low

    def teardown(self) -> None:
        try:
            if hasattr(self, "run") and not self.seen.ends:
                self._come_to_the_end()
        finally:
            self.loop.close()

    def _come_to_the_end(self) -> None:
        if not self.closed:
            self._in_loop(self.subject.on_completed)
        while self.at_work or self.kept > self.taken:
            self._in_loop(self._drop_all)
            held = self.kept - self.taken
            self.taken += held
            self._in_loop(partial(self.run.release, held))
        assert self.seen.ends == ["completed"]
        assert (self.run.pulled, self.settled) == (self.sent, self.sent)
        assert self.owed_at_end == 0

    def _drop_all(self) -> None:
        for verdict in self.at_work.values():
            verdict.set_result("drop")
            self.dropped += 1


@pytest.mark.slow
@pytest.mark.one_python  # the lowest version of Hypothesis takes a minute for it, others a second
def test_rule_r3_permits_balance_at_every_step_of_a_run() -> None:
    run_state_machine_as_test(
        Permits, settings=settings(in_any_case, max_examples=60, stateful_step_count=30)
    )


# --- Chains of the real stages ---


def stage(kind: str, limit: int, patience: int, watch: Callable[[], None]) -> ListStage:
    """Make a stage on numbers that takes its time, and looks at the permits whenever it works."""

    async def map_fn(value: int) -> int:
        watch()
        await asyncio.sleep(value * 7 % patience)
        watch()
        if "failing" in kind and value % 3 == 0:
            raise ValueError(value)
        return value + 1

    async def filter_fn(value: int) -> bool:
        watch()
        await asyncio.sleep(value * 5 % patience)
        watch()
        return value % 2 == 0

    def reduce_fn(so_far: int, value: int) -> int:
        watch()
        return so_far + value

    match kind:
        case "filter":
            return FilterNode(kind, filter_fn, max_concurrency=limit)
        case "reduce":
            return ReduceNode(kind, reduce_fn, 0)
        case _:
            strict = "strict" in kind
            return MapNode(kind, map_fn, max_concurrency=limit, continue_on_error=not strict)


Outstanding = list[tuple[int, int]]


def run_chain(
    kinds: list[str], length: int, limit: int, window: int | None, patience: int, ordered: bool
) -> tuple[Outstanding, Callable[[], Coroutine[Any, Any, Subscription]]]:
    """Return what a chain of stages had outstanding of its window each time, and the run of it."""
    looks: Outstanding = []

    def build(run: Subscription) -> Observable[Any]:
        def watch() -> None:
            looks.append((run.outstanding, run.window))

        stages = [stage(kind, limit, patience, watch) for kind in kinds]
        links = [
            Link(each.node_id, each.needs_order, each.flattens, each.has_keys, each.operator)
            for each in stages
        ]
        chain = fuse(links, run, WorkflowContext(), *[lambda *_: None] * 2, ordered=ordered)
        return emit(run, range(length)).pipe(chain)

    async def main() -> Subscription:
        try:
            return await drain(Plan(build, limit, window), lambda _: None)
        finally:
            assert_only_the_caller_runs()

    return looks, main


def chains(kinds: list[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return given(
        kinds=st.lists(st.sampled_from(kinds), min_size=1, max_size=4),
        length=st.integers(0, 40),
        limit=st.integers(1, 4),
        window=st.one_of(st.none(), st.integers(1, 6)),
        patience=st.integers(1, 4),
        ordered=st.booleans(),
    )


@pytest.mark.slow
@in_any_case
@chains(["map", "failing map", "filter", "reduce"])
def test_rule_r3_a_completed_chain_owes_no_permit(
    kinds: list[str], length: int, **how: Any
) -> None:
    looks, main = run_chain(kinds, length, **how)
    # A permit that did not come back would also stall a source that is longer than the window.
    run = in_virtual_time(main)
    assert (run.outstanding, run.pulled) == (0, length)
    assert all(0 <= outstanding <= window for outstanding, window in looks)


@pytest.mark.slow
@in_any_case
@chains(["map", "strict failing map", "filter"])
def test_rule_r3_a_chain_that_fails_never_had_more_than_its_window(
    kinds: list[str], length: int, **how: Any
) -> None:
    looks, main = run_chain([*kinds, "strict failing map"], length, **how)
    with contextlib.suppress(NodeError):
        assert in_virtual_time(main).outstanding == 0
    assert all(0 <= outstanding <= window for outstanding, window in looks)
