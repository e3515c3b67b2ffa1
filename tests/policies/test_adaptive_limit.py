"""AdaptiveLimit: it finds the capacity of a service, follows it, and stays within its bounds."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    FunctionNode,
    MapNode,
    NodeResult,
    Pipeline,
    policies,
)
from nadoo_flow.policies import limit, timeout
from nadoo_flow.testing import FlakyService

from ..stand_ins import assert_only_the_caller_runs, now, slowly
from .__main__ import rows
from .services import (
    HttpError,
    called_endlessly,
    make_queueing_service,
    make_rejecting_service,
)

FIGURE = r"\d+(?:\.\d+)?"

Kind = Callable[[int], FlakyService]

of_any_capacity = pytest.mark.parametrize("capacity", [5, 20, 60])
of_either_kind = pytest.mark.parametrize(
    "kind", [make_queueing_service, make_rejecting_service], ids=["queueing", "rejecting"]
)

VARYING: tuple[Callable[[random.Random], float], ...] = (
    lambda dice: dice.uniform(0.5, 1.5),
    lambda dice: dice.lognormvariate(-0.125, 0.5),
    # Mostly quick, sometimes very slow.
    lambda dice: dice.expovariate(1),
)
"""Seconds of a call, about one in the mean."""
VARYING_IDS = ["uniform", "lognormal", "exponential"]


def throughputs(service: FlakyService, since: int, until: int, step: int = 20) -> list[float]:
    return [service.compute_throughput(start, start + step) for start in range(since, until, step)]


@pytest.mark.one_python
class TestAgainstAServiceOfUnknownCapacity:
    """Each call takes a second, so that a service of capacity 20 can give 20 answers a second."""

    @of_either_kind
    @of_any_capacity
    async def test_it_settles_within_a_fifth_of_the_best_throughput(
        self, kind: Kind, capacity: int
    ) -> None:
        service, shared = kind(capacity), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(180)
        assert_only_the_caller_runs()
        assert min(throughputs(service, 40, 180)) >= 0.8 * capacity
        # It has no long queue grow for that, and is rarely rejected.
        waited = [seconds for at, seconds in service.answered if at > 60]
        assert median(waited) <= 2.5
        assert max(waited) <= 5
        assert len([at for at in service.rejected if at > 60]) <= 0.05 * len(waited)

    @of_either_kind
    @pytest.mark.parametrize("capacity", [6, 40])
    async def test_it_backs_off_within_a_few_round_trips_when_the_capacity_halves(
        self, kind: Kind, capacity: int
    ) -> None:
        service, shared = kind(capacity), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(80)
            service.capacity = capacity // 2
            # With so many in work a round trip takes as many seconds now.
            before, sizes = shared.size, []
            round_trip = max(1, before / (capacity // 2))
            for _ in range(4):
                await asyncio.sleep(round_trip)
                sizes.append(shared.size)
            # Latencies of twice the usual are tolerated, so a little more may be in work.
            assert min(sizes) <= max(before / 2, 2.5 * (capacity // 2))
            settled = 80 + int(4 * round_trip) + 20
            await asyncio.sleep(settled + 60 - now())
        assert mean(throughputs(service, settled, settled + 60)) >= 0.8 * (capacity // 2)

    @of_either_kind
    @pytest.mark.parametrize("capacity", [6, 40])
    async def test_it_recovers_when_the_capacity_doubles_again(
        self, kind: Kind, capacity: int
    ) -> None:
        service, shared = kind(capacity), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(80)
            service.capacity = capacity // 2
            await asyncio.sleep(80)
            service.capacity = capacity
            await asyncio.sleep(100)
        assert min(throughputs(service, 200, 260)) >= 0.8 * capacity

    @pytest.mark.parametrize(
        # Of the last a median says little.
        ("draw", "least"),
        list(zip(VARYING, (0.8, 0.8, 0.65), strict=True)),
        ids=VARYING_IDS,
    )
    @pytest.mark.parametrize("capacity", [5, 20])
    async def test_it_is_not_misled_by_latencies_that_vary(
        self, capacity: int, draw: Callable[[random.Random], float], least: float
    ) -> None:
        dice = random.Random(7)
        service, shared = make_queueing_service(capacity, lambda: draw(dice)), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(220)
        assert mean(throughputs(service, 60, 220)) >= least * capacity

    async def test_it_follows_a_service_that_becomes_slower(self) -> None:
        seconds = 1.0
        service, shared = make_queueing_service(20, lambda: seconds), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(100)
            seconds = 4.0
            await asyncio.sleep(400)
        # 20 at a time, for four seconds each.
        assert mean(throughputs(service, 200, 500)) >= 0.8 * 5

    async def test_it_gets_over_a_standstill(self) -> None:
        seconds = 1.0
        service, shared = make_queueing_service(20, lambda: seconds), AdaptiveLimit()
        async with called_endlessly(service, shared):
            await asyncio.sleep(100)
            seconds = 30.0
            await asyncio.sleep(1)
            seconds = 1.0
            await asyncio.sleep(120)
        assert min(throughputs(service, 181, 221)) >= 0.8 * 20

    async def test_it_respects_its_bounds_on_the_way(self) -> None:
        sizes = set()
        for capacity in (1, 100):
            service = make_queueing_service(capacity)
            shared = AdaptiveLimit(8, minimum=4, maximum=30, target_latency=2)
            async with called_endlessly(service, shared):
                for _ in range(100):
                    await asyncio.sleep(1)
                    sizes.add(shared.size)
                    assert shared.in_use <= 30
        assert (min(sizes), max(sizes)) == (4, 30)

    @of_either_kind
    @of_any_capacity
    @pytest.mark.parametrize("initial", [200, 1_000])
    async def test_it_finds_down_from_far_above_within_ten_round_trips(
        self, kind: Kind, capacity: int, initial: int
    ) -> None:
        service, shared = kind(capacity), AdaptiveLimit(initial)
        # The caller makes 200 calls at a time, and the last of them waits for all others.
        found = 10 * 200 / capacity
        async with called_endlessly(service, shared):
            await asyncio.sleep(found)
            assert shared.size <= 2.5 * capacity
            await asyncio.sleep(100)
        late = [seconds for at, seconds in service.answered if at > found]
        assert median(late) <= 2.5
        assert service.compute_throughput(found, found + 100) >= 0.8 * capacity

    @pytest.mark.parametrize("draw", VARYING, ids=VARYING_IDS)
    @pytest.mark.parametrize("seed", range(3))
    async def test_it_finds_down_where_latencies_vary(
        self, draw: Callable[[random.Random], float], seed: int
    ) -> None:
        dice = random.Random(seed)
        service, shared = make_queueing_service(20, lambda: draw(dice)), AdaptiveLimit(200)
        async with called_endlessly(service, shared):
            await asyncio.sleep(100)
            assert shared.size <= 2.5 * 20
            await asyncio.sleep(100)
        assert service.compute_throughput(100, 200) >= 0.65 * 20

    @pytest.mark.parametrize("draw", VARYING, ids=VARYING_IDS)
    @pytest.mark.parametrize("seed", range(3))
    async def test_it_goes_back_to_a_first_size_that_was_not_too_large(
        self, draw: Callable[[random.Random], float], seed: int
    ) -> None:
        dice = random.Random(seed)
        service, shared = make_queueing_service(1_000, lambda: draw(dice)), AdaptiveLimit(100)
        async with called_endlessly(service, shared):
            await asyncio.sleep(10)
            assert shared.size >= 100
            await asyncio.sleep(60)
        assert service.compute_throughput(10, 70) >= 0.9 * 200

    async def test_a_target_latency_is_what_it_aims_at(self) -> None:
        service, shared = make_queueing_service(20), AdaptiveLimit(target_latency=4)
        async with called_endlessly(service, shared):
            await asyncio.sleep(300)
        seconds = [seconds for at, seconds in service.answered if at > 60]
        assert 2 <= median(seconds) <= 4
        assert max(seconds) <= 6
        assert min(throughputs(service, 40, 300)) >= 0.8 * 20

    async def test_it_is_shared_by_runs_and_nestings_as_any_limit(self) -> None:
        service, shared = make_queueing_service(20), AdaptiveLimit()
        node = service.pipe(limit(shared))
        nest = MapNode("map", node, max_concurrency=50).pipe(limit(shared))
        results = await asyncio.gather(
            BatchProcessor(nest, 5).batch([{"items": range(100)}] * 20),
            BatchProcessor(node, 100).batch(range(1_000)),
        )
        assert all(result.success for batch in results for result in batch)
        assert mean(throughputs(service, 40, 140)) >= 0.8 * 20
        assert shared.in_use == 0


class Executions:
    """Has executions of a known kind done behind an AdaptiveLimit, as many as it likes."""

    def __init__(self, shared: AdaptiveLimit, policies: Any = ()) -> None:
        self.shared = shared
        self._node = FunctionNode(self._work).pipe(*policies, limit(shared))
        self._kind: Callable[[], Awaitable[Any]] = self.take(1)

    @staticmethod
    def take(seconds: float) -> Callable[[], Awaitable[Any]]:
        return lambda: slowly(seconds)

    @staticmethod
    def fail(error: Exception, seconds: float = 0) -> Callable[[], Awaitable[Any]]:
        async def fail() -> None:
            await asyncio.sleep(seconds)
            raise error

        return fail

    async def _work(self, _: Any) -> None:
        await self._kind()

    async def __call__(
        self, kind: Callable[[], Awaitable[Any]], count: int, lanes: int = 100
    ) -> int:
        self._kind = kind
        await BatchProcessor(self._node, lanes).batch(range(count))
        return self.shared.size


class TestWhatCounts:
    async def test_doubles_at_first_and_grows_by_one_after_the_first_sign_of_congestion(
        self,
    ) -> None:
        done = Executions(AdaptiveLimit(10))
        sizes = [await done(done.take(1), 40) for _ in range(3)]
        assert sizes[-1] >= 40
        assert all(after in (before, 2 * before) for before, after in pairwise(sizes))
        before = await done(done.fail(HttpError(status_code=429)), 1)
        assert before == sizes[-1] * 3 // 4
        assert await done(done.take(1), before) - before in (0, 1)

    @pytest.mark.parametrize(
        "error",
        [
            TimeoutError(),
            HttpError(status_code=429),
            HttpError(status_code=503),
            HttpError(retry_after=5),
        ],
        ids=repr,
    )
    async def test_an_overload_shrinks_it_at_once_to_three_quarters(self, error: Exception) -> None:
        done = Executions(AdaptiveLimit(100))
        assert await done(done.fail(error), 1) == 75

    async def test_a_timeout_inside_is_an_overload(self) -> None:
        done = Executions(AdaptiveLimit(100), [timeout(5)])
        assert await done(done.take(10), 1) == 75

    async def test_many_overloads_at_the_same_time_are_one(self) -> None:
        done = Executions(AdaptiveLimit(100))
        assert await done(done.fail(HttpError(status_code=429), 1), 100) == 75
        assert await done(done.fail(HttpError(status_code=429), 1), 75) == 56

    async def test_other_failures_say_nothing(self) -> None:
        done = Executions(AdaptiveLimit(10))
        assert await done(done.fail(ValueError("bad input")), 1_000) == 10
        # Quick as they were, they have not become the measure for the others.
        await done(done.take(1), 200)
        assert await done(done.take(1.5), 200) > 10

    async def test_it_does_not_grow_while_permits_are_left_over(self) -> None:
        done = Executions(AdaptiveLimit(10))
        assert await done(done.take(1), 500, lanes=10) == 10
        assert await done(done.take(1), 500, lanes=11) > 10

    async def test_what_waits_around_others_says_nothing(self) -> None:
        # Only the innermost is as quick as it should be.
        shared = AdaptiveLimit(10, maximum=10, target_latency=0.5)
        node: BaseNode = FunctionNode(lambda _: slowly(0.1), "leaf").pipe(limit(shared))
        for _ in range(2):
            node = Pipeline(lambda _: slowly(1), node).pipe(limit(shared))
        await BatchProcessor(node, 20).batch(range(100))
        assert shared.size == 10

    async def test_what_was_cancelled_says_nothing(self) -> None:
        shared = AdaptiveLimit(10)
        node = FunctionNode(slowly).pipe(limit(shared), timeout(1))
        await BatchProcessor(node, 100).batch([10] * 200)
        assert (shared.size, shared.in_use) == (10, 0)

    async def test_a_result_is_left_as_it_is(self) -> None:
        handed_out = NodeResult(False, error="no", metadata={"retry_after": 1})
        node = FunctionNode(lambda _: handed_out).pipe(limit(AdaptiveLimit()))
        (result,) = await BatchProcessor(node).batch([0])
        assert (result.error, result.metadata) == ("no", {"retry_after": 1})


class TestBounds:
    def test_have_defaults(self) -> None:
        shared = AdaptiveLimit()
        assert (shared.size, shared.minimum, shared.maximum) == (10, 1, 1_000)
        assert shared.target_latency is None
        assert repr(shared) == "AdaptiveLimit(10, in_use=0)"

    @pytest.mark.parametrize(
        ("initial", "minimum", "maximum"), [(5, 6, 10), (11, 6, 10), (5, 7, 3)]
    )
    def test_must_hold_the_initial_size(self, initial: int, minimum: int, maximum: int) -> None:
        with pytest.raises(ValueError, match="initial must be between minimum and maximum"):
            AdaptiveLimit(initial, minimum, maximum)

    async def test_of_one_keep_it_at_one(self) -> None:
        done = Executions(AdaptiveLimit(1, 1, 1))
        assert await done(done.take(1), 100) == 1
        assert await done(done.fail(TimeoutError()), 10) == 1
        assert await done(done.take(50), 100) == 1


@pytest.mark.slow
@pytest.mark.one_python
def test_the_table_of_the_manual_is_what_the_simulation_gives() -> None:
    # The figures may move a little when the engine takes its turns in another order.
    page = Path(policies.__file__).with_name("README.md").read_text(encoding="utf-8")
    simulated = rows()
    table = page[page.index(simulated[0]) :].splitlines()[: len(simulated)]
    for told, row in zip(table, simulated, strict=True):
        assert re.sub(FIGURE, "", told) == re.sub(FIGURE, "", row)
        figures = [[float(figure) for figure in re.findall(FIGURE, line)] for line in (told, row)]
        assert figures[0] == pytest.approx(figures[1], rel=0.1, abs=1)
