"""Stages that break one rule each, as someone might write them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from reactivex import Observable, abc
from reactivex import operators as ops

from nadoo_flow.stages import ListStage
from nadoo_flow.stages.fusion import Operator, StageRun
from nadoo_flow.streams import flat_map

from ...work import Mapped

DoWork: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]
Item: TypeAlias = tuple[int, Any]


class Sound(ListStage[Any, Any, Any]):
    """Do the work on each item, and break nothing."""

    def __init__(self, work: DoWork) -> None:
        super().__init__(None, "items", "results", max_concurrency=2)
        self.do_work = work

    def operator(self, stage_run: StageRun) -> Operator:
        return self.lanes(stage_run, self.max_concurrency)

    def lanes(self, stage_run: StageRun, lanes: int) -> Any:
        return flat_map(stage_run.run, Mapped(self.work_on), lanes)

    async def work_on(self, item: Item) -> Item:
        return item[0], await self.do_work(item[1])


class Losing(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        def is_kept(item: Item) -> bool:
            if item[0] == 2:
                stage_run.run.release()
            return item[0] != 2

        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(lanes, ops.filter(is_kept))


class Reordering(Sound):
    async def work_on(self, item: Item) -> Item:
        return -item[0], await self.do_work(item[1])


class Endless(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(lanes, ops.concat(Observable()))


class Limitless(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        return self.lanes(stage_run, 1000)


class Serial(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        return self.lanes(stage_run, 1)


class Twice(Sound):
    async def work_on(self, item: Item) -> Item:
        first, _ = await asyncio.gather(self.do_work(item[1]), self.do_work(item[1]))
        return item[0], first


class Keeping(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        # A stage has to settle what it drops.
        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(lanes, ops.filter(lambda item: item[1] % 2 == 0))


class Hoarding(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        def settle(item: Item) -> None:
            stage_run.run.release()

        def take_again(item: Item) -> None:
            stage_run.run.outstanding += 1

        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(ops.do_action(settle), lanes, ops.do_action(take_again))


class _Behind(Observable[Any]):
    """Does something when its source has completed."""

    def __init__(self, items: Any, behind: Callable[[abc.ObserverBase[Any]], object]) -> None:
        super().__init__()
        self._items = items
        self._behind = behind

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        def on_completed() -> None:
            observer.on_completed()
            self._behind(observer)

        subscription: abc.DisposableBase = self._items.subscribe(
            observer.on_next, observer.on_error, on_completed
        )
        return subscription


class Late(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        def emit_later(observer: abc.ObserverBase[Any]) -> None:
            asyncio.get_running_loop().call_later(60, observer.on_next, (0, "late"))

        lanes = self.lanes(stage_run, 2)
        return lambda items: _Behind(lanes(items), emit_later)


class CompletingTwice(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        lanes = self.lanes(stage_run, 2)
        return lambda items: _Behind(lanes(items), lambda observer: observer.on_completed())


class Hiding(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(ops.catch(lambda *_: Observable()), lanes)


class Consoling(Sound):
    def operator(self, stage_run: StageRun) -> Operator:
        lanes = self.lanes(stage_run, 2)
        return lambda items: items.pipe(ops.on_error_resume_next(_completed()), lanes)


def _completed() -> Observable[Any]:
    def subscribe(
        observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> Any:
        observer.on_completed()

    return Observable(subscribe)


class Hanging(Sound):
    async def work_on(self, item: Item) -> Item:
        try:
            return await super().work_on(item)
        except asyncio.CancelledError:
            await asyncio.get_running_loop().create_future()
            raise


class Leaking(Sound):
    async def work_on(self, item: Item) -> Item:
        return await asyncio.shield(asyncio.ensure_future(super().work_on(item)))


class Forgetting(Sound):
    tasks: set[Any]

    async def work_on(self, item: Item) -> Item:
        self.tasks = {asyncio.create_task(asyncio.sleep(86_400))}
        return await super().work_on(item)


BROKEN = {
    Losing: "R2",
    Reordering: "R2",
    Endless: "102",
    Limitless: "R1",
    Serial: "R1",
    Twice: "R1",
    Keeping: "R3",
    Hoarding: "101",
    Late: "107",
    CompletingTwice: "105",
    Hiding: "104",
    Consoling: "104",
    Hanging: "R4",
    Leaking: "R4",
    Forgetting: "313",
}
"""The rule that each of them breaks."""
