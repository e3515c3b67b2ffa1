"""The order within a key: who waits for whom, who goes first, and how it ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    Isolation,
    Keys,
    Plan,
    Subscription,
    drain,
    flat_map,
)
from tests.work import Mapped

from ...stand_ins import assert_only_the_caller_runs, now, raised_by
from ..runs import Seen, never, same, sleeping, started, values_of

both_isolations = pytest.mark.parametrize("isolate", ["context", "task"])


class By(Keys[Any]):
    """Keys by a function."""

    def __init__(self, function: Callable[[Any], Hashable]) -> None:
        self.function = function
        self.failures: list[tuple[Any, BaseException]] = []

    def get_key(self, item: Any) -> Hashable:
        return self.function(item)

    def note_failure(self, item: Any, error: BaseException) -> None:
        self.failures.append((item, error))


def keyed_plan(
    source: Any,
    mapper: Callable[[Any], Any],
    key: Callable[[Any], Hashable] | Keys[Any],
    max_concurrent: int = 2,
    *,
    window: int | None = None,
    isolate: Isolation = "context",
) -> Plan[Any]:
    keys = key if isinstance(key, Keys) else By(key)

    def build(run: Subscription) -> Any:
        lanes = flat_map(run, Mapped(mapper), max_concurrent, isolate, keys)
        return values_of(source)(run).pipe(lanes)

    return Plan(build, max_concurrent, window)


class Log:
    """A mapper that sleeps for the seconds in an item ``(key, seconds)``, and notes its times."""

    def __init__(self) -> None:
        self.starts: list[tuple[Any, float]] = []

    async def __call__(self, item: tuple[Hashable, float]) -> Any:
        self.starts.append((item, now()))
        await asyncio.sleep(item[1])
        return item


def take_back_cancels() -> None:
    task = asyncio.current_task()
    while task is not None and task.uncancel():
        pass


def first(item: tuple[Hashable, float]) -> Hashable:
    return item[0]


# --- Who waits for whom ---


@both_isolations
async def test_rule_r40_the_next_of_a_key_starts_when_the_one_before_it_has_ended(
    isolate: Isolation,
) -> None:
    log, results = Log(), []
    items = [("a", 3), ("a", 1), ("b", 2), ("a", 1), ("b", 2)]
    await drain(keyed_plan(items, log, first, 10, isolate=isolate), results.append)
    assert log.starts == [
        (("a", 3), 0),
        (("b", 2), 0),
        (("b", 2), 2),
        (("a", 1), 3),
        (("a", 1), 4),
    ]
    assert results == [("b", 2), ("a", 3), ("b", 2), ("a", 1), ("a", 1)]
    assert now() == 5


async def test_rule_r41_a_free_lane_takes_the_oldest_item_whose_key_is_free() -> None:
    # The second "a" came before "c" and "d", so it goes first when it may go.
    log = Log()
    items = [("a", 2), ("b", 9), ("a", 1), ("c", 1), ("d", 1), ("e", 1)]
    await drain(keyed_plan(items, log, first, 2), lambda _: None)
    assert [(item[0], time) for item, time in log.starts] == [
        ("a", 0),
        ("b", 0),
        ("a", 2),
        ("c", 3),
        ("d", 4),
        ("e", 5),
    ]


@both_isolations
async def test_rule_r40_and_r41_hold_under_load(isolate: Isolation) -> None:
    """10,000 items of 50 keys with random latencies on 10 lanes."""
    chance = random.Random(17)
    items = [(number, chance.randrange(50), chance.random()) for number in range(10_000)]
    waiting: dict[int, int] = {}  # the items that were pulled and have not started, by number
    starts: dict[int, list[int]] = {key: [] for key in range(50)}
    at_work: set[int] = set()
    looks: Counter[int] = Counter()

    def pull() -> Iterator[tuple[int, int, float]]:
        for item in items:
            waiting[item[0]] = item[1]
            yield item

    def look() -> None:
        # A moment after an item has ended, when all that may start has started.
        if any(key not in at_work for key in waiting.values()):
            looks[len(at_work)] += 1

    async def work(item: tuple[int, int, float]) -> int:
        number, key, latency = item
        assert key not in at_work
        at_work.add(key)
        assert not [n for n, k in waiting.items() if n < number and k not in at_work]
        del waiting[number]
        starts[key].append(number)
        await asyncio.sleep(latency)
        at_work.remove(key)
        asyncio.get_running_loop().call_later(1e-7, look)
        return number

    results: list[int] = []
    plan = keyed_plan(pull(), work, lambda item: item[1], 10, isolate=isolate)
    await drain(plan, results.append)
    assert sorted(results) == list(range(10_000))
    assert starts == {
        key: [number for number, other, _ in items if other == key] for key in range(50)
    }
    assert set(looks) == {10}
    assert looks[10] > 9_000


async def test_rule_r40_work_that_never_suspends_keeps_the_order_too() -> None:
    results: list[int] = []
    await drain(keyed_plan(range(1_000), same, lambda item: item % 3, 4), results.append)
    assert results == list(range(1_000))


async def test_equal_keys_are_one_key_whatever_their_types() -> None:
    log = Log()
    await drain(keyed_plan([(1, 1), (1.0, 1), (True, 1)], log, first, 3), lambda _: None)
    assert [time for _, time in log.starts] == [0, 1, 2]


# --- Memory, and the end ---


@pytest.mark.parametrize("window", [1, 2, 8])
async def test_rule_r42_items_that_wait_for_their_key_stay_within_the_window(window: int) -> None:
    ahead: list[int] = []
    ended = 0

    def pull() -> Iterator[int]:
        for number in range(20):
            ahead.append(number + 1 - ended)
            yield number

    async def work(item: int) -> int:
        nonlocal ended
        await asyncio.sleep(1)
        ended += 1
        return item

    results: list[int] = []
    run = await drain(keyed_plan(pull(), work, lambda _: "hot", 4, window=window), results.append)
    assert results == list(range(20))
    assert now() == 20
    assert max(ahead) == window
    assert run.outstanding == 0


async def test_rule_r42_a_hot_key_leaves_one_lane_at_work_and_others_go_on_behind_it() -> None:
    log = Log()
    items = [*[("hot", 1)] * 6, ("cold", 1), ("cool", 1)]
    await drain(keyed_plan(items, log, first, 4, window=4), lambda _: None)
    # Four in the window: the others come in when the first ones of the hot key have been settled.
    assert [(item[0], time) for item, time in log.starts] == [
        ("hot", 0),
        ("hot", 1),
        ("hot", 2),
        ("hot", 3),
        ("cold", 3),
        ("hot", 4),
        ("cool", 4),
        ("hot", 5),
    ]


@pytest.mark.parametrize("error", [None, ValueError("no more")])
async def test_rule_r42_the_end_of_the_source_waits_for_those_that_wait(
    error: Exception | None,
) -> None:
    def pull() -> Iterator[int]:
        yield from range(5)
        if error is not None:
            raise error

    results: list[int] = []
    plan = keyed_plan(pull(), sleeping, lambda _: "hot", 4)
    assert await raised_by(drain(plan, results.append)) is error
    assert results == [0, 1, 2, 3, 4]
    assert now() == 5


@pytest.mark.parametrize("work", [never, sleeping])
async def test_rule_r42_a_cancel_ends_those_that_wait(work: Callable[[Any], Any]) -> None:
    begun: list[int] = []

    async def begin(item: int) -> Any:
        begun.append(item)
        return await work(item)

    run, seen = started(keyed_plan(range(5), begin, lambda _: "hot", 4))
    await asyncio.sleep(0.5)
    run.cancel()
    await run.join()
    assert (begun, seen.values, seen.ends) == ([0], [], [])
    assert_only_the_caller_runs()


async def test_rule_r42_a_take_ends_those_that_wait() -> None:
    begun: list[int] = []

    async def swallow(item: int) -> int:
        begun.append(item)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return item

    plan = keyed_plan([0, 1, 1, 2, 2], swallow, lambda item: item, 4)
    taken = Plan(lambda run: plan.build(run).pipe(ops.take(1)), 4)
    async with CloseableAsyncIterator(taken) as values:
        assert [value async for value in values] == [0]
    assert begun == [0, 1, 2]
    assert_only_the_caller_runs()


async def test_rule_r42_a_part_that_is_disposed_of_starts_nothing_more() -> None:
    """What is left by an operator behind it ends, though the run goes on."""
    begun: list[int] = []

    async def swallow(item: int) -> int:
        begun.append(item)
        try:
            await asyncio.sleep(item + 1)
        except asyncio.CancelledError:
            take_back_cancels()
        return item

    plan = keyed_plan([0, 1, 1], swallow, lambda item: item, 4)

    def build(run: Subscription) -> Any:
        return plan.build(run).pipe(ops.take(1), ops.concat(values_of([7])(run)))

    run, seen = Plan(build, 4).open(), Seen()
    run.start(build, seen)
    await run.join()
    assert seen.values == [0, 7]
    assert begun == [0, 1]


# --- Code of others ---


class Comparing:
    """A key of which all have the same hash, and which raises when it is compared."""

    def __init__(self, broken: bool = True) -> None:
        self.broken = broken

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if self.broken:
            raise ValueError("not to be compared")
        return self is other


async def test_rule_r43_a_key_that_cannot_be_compared_waits_for_nothing() -> None:
    keys = By(lambda item: Comparing())
    results: list[int] = []
    await drain(keyed_plan(range(3), sleeping, keys, 3), results.append)
    assert (results, now()) == ([0, 1, 2], 1)
    assert [(item, str(error)) for item, error in keys.failures] == [
        (1, "not to be compared"),
        (2, "not to be compared"),
    ]


class Changing:
    """A key whose value, by which it is compared, can be changed."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __hash__(self) -> int:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Changing) and other.value == self.value


async def test_rule_r43_a_key_that_changes_holds_nothing_up() -> None:
    key = Changing(0)
    times: list[float] = []

    async def change(item: int) -> int:
        times.append(now())
        key.value = 1
        await asyncio.sleep(1)
        return item

    def get_key(item: int) -> Changing:
        key.value = 0
        return key

    plan = keyed_plan(range(3), change, get_key, 2, window=1)
    await drain(plan, lambda _: None)
    assert times == [0, 1, 2]


async def test_rule_r43_a_key_that_becomes_another_takes_nothing_from_it() -> None:
    log, changing = Log(), Changing(0)
    items = [(changing, 1), (Changing(5), 3), (Changing(5), 1)]

    async def change(item: tuple[Changing, float]) -> Any:
        await log(item)
        changing.value = 5
        return item

    await drain(keyed_plan(items, change, first, 2, window=2), lambda _: None)
    assert [time for _, time in log.starts] == [0, 0, 3]


async def test_rule_r43_keys_that_cannot_be_compared_later_end_nothing() -> None:
    keys = Comparing(broken=False), Comparing(broken=False)

    async def break_keys(item: int) -> int:
        await asyncio.sleep(2 - item)
        for key in keys:
            key.broken = True
        return item

    results: list[int] = []
    await drain(keyed_plan(range(2), break_keys, keys.__getitem__), results.append)
    assert results == [1, 0]


async def test_rule_r43_keys_that_are_equal_only_at_times_lose_no_item() -> None:
    class Fickle:
        compared = 0

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            Fickle.compared += 1
            return Fickle.compared % 2 == 1

    results: list[int] = []
    await drain(keyed_plan(range(9), sleeping, lambda _: Fickle(), 3), results.append)
    assert sorted(results) == list(range(9))
