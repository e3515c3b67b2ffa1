"""What a stage is checked for: one function for each rule."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from reactivex import operators as ops

from ...errors import describe_error
from ..waiting_tasks import describe_task, describe_tasks
from .referee import Referee
from .rules import BrokenRuleError
from .searching import PATIENCE, run_in_loop
from .stage_case import StageCase
from .stage_subject import Items, Model, Subject


class StageChecker:
    """Makes the checks of one stage.

    Args:
        make: Makes the stage for one case.
        model: What the stage gives for a list of items. Without one each item must give what it
            gives alone.
    """

    def __init__(self, make: Callable[[], Subject], model: Model | None) -> None:
        self._make = make
        self._model = model

    def check_results(self, case: StageCase) -> None:
        """Run over a list: it ends, and the outcome is the right one, in the order of the items."""
        situation = f"A run over {case.items!r}"
        expected = self._expect(case.items)
        outcome = run_in_loop(lambda: self._make().apply(case.items), "102", situation)
        if outcome != expected:
            text = f"{situation} gave {outcome!r} instead of {expected!r}"
            if _is_reordered(outcome, expected):
                text = f"{situation} gave its outputs in another order: {outcome!r}"
            raise BrokenRuleError("R2", f"{text}.")

    def check_window(self, case: StageCase) -> None:
        """Stream more items than the window has room for: all come through."""
        items = case.items * 3
        situation = f"A stream over {len(items)} items with max_in_flight={case.window}"

        async def run() -> list[Any]:
            subject = self._make()
            options: dict[str, Any] = {"ordered": True, "max_in_flight": case.window}
            async with subject.stage.stream(Items(items).pull(), **options) as outputs:
                return [output async for output in outputs]

        outputs = run_in_loop(run, "R3", situation)
        expected = self._expect(items)
        if outputs != (expected if self._makes_list() else [expected]):
            text = f"{situation} gave {outputs!r} instead of {expected!r}."
            raise BrokenRuleError("R2", text)

    def check_concurrency(self, case: StageCase) -> None:
        """Count how many calls of the work run at a time: as many as may, and no more."""
        subject = self._make()
        # A chain has only the sum of what its stages may do.
        if subject.work is None or not case.items or len(subject.stage.stages) > 1:
            return
        limit = subject.stage.max_concurrency
        situation = f"A run over {len(case.items)} items with max_concurrency={limit}"
        run_in_loop(lambda: subject.apply(case.items), "102", situation)
        peak = subject.work.peak
        reaches_limit = subject.stage.has_keys or peak >= min(limit, len(case.items))
        if peak > limit or not reaches_limit:
            text = f"{situation} had {peak} calls of its work at a time at most."
            raise BrokenRuleError("R1", text)

    def check_demand(self, case: StageCase) -> None:
        """Take few outputs, and wait: no more is pulled than the window allows."""
        if self._model is not None or not self._makes_list() or not case.items:
            return
        if any(not self._expect([item]) for item in case.items):
            return  # what an item without outputs leaves free may be pulled
        items = Items(case.items * 9)

        async def run() -> None:
            stream = self._make().stage.stream(items.pull(), max_in_flight=case.window)
            async with stream as outputs:
                for _ in range(case.taken):
                    await anext(outputs, None)
                await asyncio.sleep(PATIENCE)

        situation = f"A stream with max_in_flight={case.window} of which {case.taken} are taken"
        run_in_loop(run, "R3", situation)
        # One that is awaited has been asked for without having come.
        if items.pulled > case.window + case.taken:
            raise BrokenRuleError("101", f"{situation} has pulled {items.pulled} items.")

    def check_signals(self, case: StageCase) -> None:
        """Watch the signals of the operator itself."""
        referee = Referee()

        async def run() -> None:
            subject = self._make()
            before = vars(subject.stage).get("operator")
            referee.watch(subject.stage)
            try:
                await subject.apply(case.items)
                await asyncio.sleep(PATIENCE)
            finally:
                del subject.stage.operator
                if before is not None:
                    subject.stage.operator = before  # type: ignore[method-assign]

        run_in_loop(run, "102", f"A run over {case.items!r}")
        if referee.broken is not None:
            text = f"In a run over {case.items!r}: {referee.broken.text}"
            raise BrokenRuleError(referee.broken.rule, text)

    def check_source_error(self, case: StageCase) -> None:
        """Have the source fail: its error comes behind all that came before."""
        error = OSError("the source failed")
        items = Items(case.items, error)

        async def run() -> tuple[list[Any], BaseException | None]:
            outputs: list[Any] = []
            try:
                async for output in self._make().stage.stream(items.pull()):
                    outputs.append(output)  # noqa: PERF401  # what came before an error counts
            except Exception as raised:
                return outputs, raised
            return outputs, None

        situation = f"A stream over {case.items!r} and an error"
        outputs, raised = run_in_loop(run, "104", situation)
        if raised is not error:
            what = "no error" if raised is None else describe_error(raised)
            raise BrokenRuleError("104", f"{situation} ended with {what}.")
        expected = self._expect(case.items)
        if self._model is None and self._makes_list() and not _has_same(outputs, expected):
            text = f"{situation} gave {outputs!r} before it, instead of {expected!r}."
            raise BrokenRuleError("104", text)

    def check_take(self, case: StageCase) -> None:
        """Take some outputs in an Rx chain: the source is stopped, and nothing is left."""
        taken = case.taken + 1
        items = Items(case.items * 9)
        situation = f"`take({taken})` of {len(case.items) * 9} items"

        async def run() -> None:
            subject = self._make()
            source = subject.stage.observe(items.pull())
            ended = asyncio.Event()
            source.pipe(ops.take(taken)).subscribe(
                on_error=lambda error: ended.set(), on_completed=ended.set
            )
            await ended.wait()
            await asyncio.sleep(PATIENCE)
            _check_nothing_left(subject, items, "206", f"{situation} has ended, and")

        run_in_loop(run, "206", situation)

    def check_cancel(self, case: StageCase) -> None:
        """Cancel a run: it ends, and nothing is left."""
        items = Items(case.items)
        situation = f"A stream over {case.items!r}, cancelled after {case.cancel_at:g} s,"

        async def run() -> None:
            subject = self._make()

            async def consume() -> None:
                async with subject.stage.stream(items.pull()) as outputs:
                    async for _ in outputs:
                        pass

            await _cancel(consume(), case, situation)
            _check_nothing_left(subject, items, "R4", f"{situation} has ended, and")

        run_in_loop(run, "R4", situation)

    def check_end(self, case: StageCase) -> None:
        """Run to the end: nothing is left."""
        items = Items(case.items)
        situation = f"A stream over {case.items!r}"

        async def run() -> None:
            subject = self._make()
            async with subject.stage.stream(items.pull()) as outputs:
                async for _ in outputs:
                    pass
            _check_nothing_left(subject, items, "313", f"{situation} has ended, and")

        run_in_loop(run, "102", situation)

    def _makes_list(self) -> bool:
        return self._make().stage.stages[-1].makes_list

    def _expect(self, items: list[Any]) -> Any:
        if self._model is not None:
            return self._model(items)

        async def run() -> list[Any]:
            return [output for item in items for output in await self._make().apply([item])]

        return run_in_loop(run, "102", "A run over one item")


async def _cancel(work: Coroutine[Any, Any, None], case: StageCase, situation: str) -> None:
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=case.cancel_at)
    for _ in range(case.turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    if not task.done():
        text = f"{situation} has not ended {PATIENCE:g} s later: {describe_task(task)}."
        raise BrokenRuleError("R4", text)


def _check_nothing_left(subject: Subject, items: Items, rule: str, situation: str) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        text = f"{situation} a task is left: {'; '.join(describe_tasks(left))}."
        raise BrokenRuleError(rule, text)
    if subject.work is not None and (subject.work.running or subject.work.cleaning):
        raise BrokenRuleError(rule, f"{situation} a call of its work has not ended.")
    if not items.is_closed:
        raise BrokenRuleError(rule, f"{situation} its source was not closed.")


def _is_reordered(outcome: Any, expected: Any) -> bool:
    return isinstance(outcome, list) and isinstance(expected, list) and _has_same(outcome, expected)


def _has_same(outputs: list[Any], expected: list[Any]) -> bool:
    return Counter(map(repr, outputs)) == Counter(map(repr, expected))
