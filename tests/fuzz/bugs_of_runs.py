"""Bugs in how tasks, sources and operators run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import coroutine
from typing import Any

from reactivex import Observable, abc

from nadoo_flow._support.tasks import OwnedTask, take_strays_off
from nadoo_flow.nodes import execution
from nadoo_flow.policies.rate_limit import RateLimit
from nadoo_flow.streams import Subscription, allow_one_subscription, flat_map, observe_on_loop
from nadoo_flow.streams.operators import lanes
from nadoo_flow.streams.operators.key_order import KeyOrder
from nadoo_flow.streams.run_scope import RunScope
from nadoo_flow.streams.sources import async_source
from nadoo_flow.streams.sources.async_source import AsyncPump
from nadoo_flow.streams.turn import LoopTurn

from ..contract.broken_engines import Operator
from .replacing import Planting, replaced, replaced_everywhere


@contextmanager
def count_hides_the_end() -> Iterator[None]:
    """Take a task whose cancellation count is raised for one that is being ended already."""

    def deliver(task: OwnedTask[Any]) -> None:
        if not task.cancelling():
            task._insist()

    def end(task: OwnedTask[Any]) -> None:
        task.ended_by_owner = True
        deliver(task)

    with replaced(OwnedTask, "deliver", deliver), replaced(OwnedTask, "end", end):
        yield


@coroutine
def _strays_are_the_end(task: OwnedTask[Any]) -> Generator[Any, Any, None]:
    if task.cancelling():
        raise asyncio.CancelledError
    yield


def count_ends_a_source() -> AbstractContextManager[None]:
    """End a source that has left a cancel on the count of its task."""
    return replaced(async_source, "take_strays_off", _strays_are_the_end)


@coroutine
def _left_on(task: OwnedTask[Any]) -> Generator[Any, Any, None]:
    if False:
        yield


def strays_reach_the_next_item() -> AbstractContextManager[None]:
    """Leave what an item left on the count of its lane to the next one."""
    return replaced(lanes, "take_strays_off", _left_on)


def end_is_delivered_once() -> AbstractContextManager[None]:
    """Deliver the end of a task once, also if a timeout inside takes it back."""

    def deliver(task: OwnedTask[Any]) -> None:
        if not task._is_delivered:
            task._insist()

    return replaced(OwnedTask, "deliver", deliver)


def clean_up_is_broken_off() -> AbstractContextManager[None]:
    """Deliver the end of a task whenever it suspends."""

    def deliver(task: OwnedTask[Any]) -> None:
        task._insist()

    return replaced(OwnedTask, "deliver", deliver)


def generator_exit_of_a_node_passes() -> AbstractContextManager[None]:
    """Take every GeneratorExit for that of a coroutine that is closed."""
    passes = execution._passes
    return replaced(
        execution,
        "_passes",
        lambda error, *rest: isinstance(error, GeneratorExit) or passes(error, *rest),
    )


def generator_exit_of_a_source_passes() -> AbstractContextManager[None]:
    """Take the GeneratorExit of a source for that of a coroutine that is closed."""
    is_the_end = async_source._is_the_end
    return replaced(
        async_source,
        "_is_the_end",
        lambda error, task: isinstance(error, GeneratorExit) or is_the_end(error, task),
    )


def helpers_are_strangers() -> AbstractContextManager[None]:
    """Know the tasks of a run as inside of it, and not those that they start."""

    def is_around_caller(run: Any) -> bool:
        return asyncio.current_task() in (*run.tasks._lanes, *run.tasks._sources)

    return replaced(RunScope, "is_around_caller", is_around_caller)


def source_is_closed_elsewhere() -> AbstractContextManager[None]:
    """Close an async source in another task than it is iterated in."""

    async def close(pump: AsyncPump[Any], task: OwnedTask[None]) -> None:
        await take_strays_off(task)
        if (aclose := getattr(pump._iterator, "aclose", None)) is not None:
            pump._run.add_cleanup(aclose)

    return replaced(AsyncPump, "_close", close)


def items_pass_again() -> AbstractContextManager[None]:
    """Let operators subscribe to the items of a run as often as they like."""
    return replaced_everywhere(
        allow_one_subscription, lambda run, make_error: lambda source: source
    )


def threads_are_overtaken() -> AbstractContextManager[None]:
    """Bring signals of other threads to the loop, and pass on at once what the loop emits."""

    def overtaking(run: Subscription, margin: int = 0) -> Operator:
        home = threading.get_ident()

        def sent(signal: Callable[..., None], permits: int) -> Callable[..., None]:
            def send(*value: object) -> None:
                if threading.get_ident() != home:
                    run.loop.call_soon_threadsafe(send, *value)
                    return
                run.outstanding += permits
                signal(*value)

            return send

        def operator(source: Observable[Any]) -> Observable[Any]:
            def subscribe(
                observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                return source.subscribe(
                    sent(observer.on_next, 1),
                    sent(observer.on_error, 0),
                    sent(observer.on_completed, 0),
                    scheduler=scheduler,
                )

            return Observable(subscribe)

        return operator

    return replaced_everywhere(observe_on_loop, overtaking)


def limiters_race() -> AbstractContextManager[None]:
    """Make the limiters of a policy without a thought of other threads."""

    def wait_for_turn(limit: Any) -> Any:
        loop = asyncio.get_running_loop()
        known = vars(limit).setdefault("planted", {})
        if loop not in known:
            limit.planted = {old: kept for old, kept in known.items() if not old.is_closed()}
            limit.planted[loop] = limit._make_queue()
        return limit.planted[loop].wait_for_turn()

    return replaced(RateLimit, "wait_for_turn", wait_for_turn)


def limit_is_not_reached() -> AbstractContextManager[None]:
    """Have four lanes at most, whatever the limit."""
    start = lanes.Lanes._start_lanes

    def start_lanes(self: lanes.Lanes[Any, Any], wanted: int) -> None:
        start(self, min(wanted, 4 - len(self._lanes)))

    return replaced(lanes.Lanes, "_start_lanes", start_lanes)


def parked_lanes_are_forgotten() -> AbstractContextManager[None]:
    """Wake one of those that wait for a turn of the loop, and forget the others."""

    def begin(turn: LoopTurn) -> None:
        turn._is_scheduled = False
        turn.ends = float("-inf")
        if turn._waiting:
            waiter = turn._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
            turn._waiting.clear()

    return replaced(LoopTurn, "_begin", begin)


def keys_have_no_order() -> AbstractContextManager[None]:
    """Work on items of equal key at the same time."""

    def operator(
        run: Subscription,
        work: Any,
        limit: int,
        isolate: Any = "context",
        keys: object = None,
        on_held: object = None,
        drop_unstarted: Any = None,
    ) -> Operator:
        return flat_map(run, work, limit, isolate, None, drop_unstarted=drop_unstarted)

    return replaced_everywhere(flat_map, operator)


def a_failure_blocks_its_key() -> AbstractContextManager[None]:
    """Let an item that fails keep the next of its key waiting."""

    def fail(self: KeyOrder[Any, Any], item: Any, error: BaseException, started: float) -> Any:
        return self._fail(item[1].item, error, started)

    return replaced(KeyOrder, "fail", fail)


BUGS: dict[Planting, str] = {
    count_hides_the_end: "",
    count_ends_a_source: "",
    strays_reach_the_next_item: "cancel_itself",
    end_is_delivered_once: "swallow_and_uncancel|unwind_often",
    clean_up_is_broken_off: "",
    generator_exit_of_a_node_passes: "GeneratorExit",
    generator_exit_of_a_source_passes: "source=Source.*GeneratorExit",
    helpers_are_strangers: "",
    source_is_closed_elsewhere: "",
    items_pass_again: "zip|repeat|retry'",
    threads_are_overtaken: "from_thread",
    limiters_race: "way='threads'",
    limit_is_not_reached: "",
    parked_lanes_are_forgotten: "",
    keys_have_no_order: "keys=[1-9]",
    a_failure_blocks_its_key: "keys=[1-9]",
}
