"""rate_limit(RateBudget(...)): no window is charged more than a limit, and all pause together."""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
from fractions import Fraction
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode, MapNode, NodeResult
from nadoo_flow.policies import ExceedsBudget, RateBudget, rate_limit, retry, timeout
from nadoo_flow.testing import advance

from ..stand_ins import now
from .services import HttpError, outcome
from .test_rate_limit import Starts, most_in_a_window

Used = tuple[float, float]
"""When something was used, and how much of it."""


def most_used_in_a_window(used: list[Used], per: float) -> Fraction:
    """Add up what the fullest window ``[t, t + per)`` has, without any rounding."""
    exact = sorted((Fraction(at), Fraction(str(amount))) for at, amount in used)
    most = total = Fraction(0)
    first = 0
    for at, amount in exact:
        total += amount
        while exact[first][0] + Fraction(per) <= at:
            total -= exact[first][1]
            first += 1
        most = max(most, total)
    return most


class Calls:
    """A function of items such as ``{"tokens": 5, "seconds": 1}``, with a record of its starts."""

    def __init__(self) -> None:
        self.used: list[Used] = []

    async def __call__(self, item: dict[str, Any]) -> Any:
        self.used.append((now(), item["tokens"]))
        await asyncio.sleep(item.get("seconds", 0))
        if "fail" in item:
            raise item["fail"]
        return item

    @property
    def starts(self) -> list[float]:
        return [at for at, _ in self.used]


def tokens(item: dict[str, Any]) -> dict[str, float]:
    return {"tokens": item["tokens"]}


def used(result: NodeResult) -> dict[str, float]:
    return {"tokens": result.output["used"]}


def items(*amounts: float, **others: Any) -> list[dict[str, Any]]:
    return [{"tokens": amount, **others} for amount in amounts]


class TestTheWindow:
    async def test_is_filled_at_once_and_again_when_it_has_passed(self) -> None:
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(RateBudget(per=60, requests=5)))
        await BatchProcessor(node, 50).batch(range(12))
        assert starts == pytest.approx([0] * 5 + [60] * 5 + [120] * 2)
        assert most_in_a_window(starts, 60) == 5

    async def test_has_as_many_units_as_one_likes(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, requests=3, tokens=100, usd=0.5)
        node = FunctionNode(calls).pipe(
            rate_limit(budget, estimate=lambda item: {**tokens(item), "usd": item["usd"]})
        )
        work = [(10, 0.1), (90, 0.1), (1, 0.1), (1, 0.1), (1, 0.4), (1, 0)]
        inputs = [{"tokens": amount, "usd": usd} for amount, usd in work]
        await BatchProcessor(node, 50).batch(inputs)
        # The third waits for tokens, the fifth for dollars, the last for nothing but the fifth.
        assert calls.starts == pytest.approx([0, 0, 60, 60, 120, 120])
        assert budget.used == {"requests": 2, "tokens": 2, "usd": 0.4}

    async def test_is_as_full_of_fractions_as_they_are_written(self) -> None:
        calls = Calls()
        policy = rate_limit(RateBudget(per=1, tokens=0.3), estimate=tokens)
        await BatchProcessor(FunctionNode(calls).pipe(policy), 50).batch(items(*[0.1] * 9))
        # 0.1 + 0.1 + 0.1 is more than 0.3 as floats.
        assert calls.starts == pytest.approx([0] * 3 + [1] * 3 + [2] * 3)

    async def test_is_exact_where_the_loop_is_late(self) -> None:
        starts = Starts()

        async def blocking(item: int) -> None:
            await starts(item)
            advance(0.001 * (item % 7) ** 4)

        policy = rate_limit(RateBudget(per=1, requests=10))
        await BatchProcessor(FunctionNode(blocking).pipe(policy), 50).batch(range(500))
        assert len(starts) == 500
        assert most_in_a_window(starts, 1) == 10

    @pytest.mark.parametrize("share", [1, 3, 5])
    async def test_is_used_to_at_least_95_percent_under_load(self, share: int) -> None:
        calls = Calls()
        budget = RateBudget(per=60, requests=10_000, tokens=9_000)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens))
        largest = 9_000 * share // 100
        amounts = [1 + (n * n * 7_919) % largest for n in range(10 * 100 * 2 // share)]
        await BatchProcessor(node, 200).batch(items(*amounts, seconds=1.7))
        assert most_used_in_a_window(calls.used, 60) <= 9_000
        windows = int(calls.starts[-1] // 60)
        assert windows >= 5
        in_full_windows = sum(amount for at, amount in calls.used if at < windows * 60)
        assert in_full_windows >= 0.95 * 9_000 * windows

    async def test_lets_no_small_item_overtake_a_large_one(self) -> None:
        calls = Calls()
        policy = rate_limit(RateBudget(per=10, tokens=10), estimate=tokens)
        await BatchProcessor(FunctionNode(calls).pipe(policy), 50).batch(items(6, 9, 1, 1, 1, 8))
        assert [amount for _, amount in calls.used] == [6, 9, 1, 1, 1, 8]
        assert calls.starts == pytest.approx([0, 10, 10, 20, 20, 20])

    async def test_is_shared_by_nodes_and_runs(self) -> None:
        starts = Starts(seconds=0.7)
        budget = RateBudget(per=1, requests=10)
        nodes = [FunctionNode(starts, name).pipe(rate_limit(budget)) for name in "abc"]
        mapping = MapNode("map", nodes[2], max_concurrency=4)
        await asyncio.gather(
            BatchProcessor(nodes[0], 20).batch(range(100)),
            BatchProcessor(nodes[1], 3).batch(range(100)),
            BatchProcessor(mapping, 5).batch([{"items": range(10)}] * 10),
        )
        assert len(starts) == 300
        assert most_in_a_window(starts, 1) == 10

    async def test_keeps_no_more_charges_than_it_has_calls(self) -> None:
        budget = RateBudget(per=1, requests=10)
        node = FunctionNode(Starts()).pipe(rate_limit(budget))
        await BatchProcessor(node, 50).batch(range(1_000))
        charge = type(budget.get_queue().start_at_once((1,)))
        gc.collect()
        assert sum(type(each) is charge for each in gc.get_objects()) <= 20


class TestWhatWasUsedInFact:
    async def test_gives_back_what_was_estimated_too_high(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, tokens=10)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens, actual=used))
        await BatchProcessor(node, 50).batch(items(10, 8, 4, used=1, seconds=5))
        assert calls.starts == [0, 5, 10]
        assert budget.used == {"tokens": 3}
        await asyncio.sleep(45.001)
        assert budget.used == {"tokens": 2}

    async def test_counts_from_the_start_on_where_it_is_more(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, tokens=10)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens, actual=used))
        first = asyncio.create_task(node.run({"tokens": 2, "used": 25, "seconds": 20}))
        await asyncio.sleep(30)
        assert budget.used == {"tokens": 25}
        await node.run({"tokens": 1, "used": 1})
        assert calls.starts == pytest.approx([0, 60])
        await first

    async def test_is_nothing_to_wait_for_when_its_window_has_passed(self) -> None:
        budget = RateBudget(per=60, tokens=10)
        node = FunctionNode(Calls()).pipe(rate_limit(budget, estimate=tokens, actual=used))
        await node.run({"tokens": 2, "used": 25, "seconds": 61})
        assert budget.used == {"tokens": 0}

    async def test_does_not_make_those_wait_that_need_nothing_of_it(self) -> None:
        budget = RateBudget(per=60, requests=10, tokens=10)
        busy = rate_limit(budget, estimate=tokens, actual=used)
        await FunctionNode(Calls()).pipe(busy).run({"tokens": 2, "used": 25})
        await (
            FunctionNode(Calls()).pipe(rate_limit(budget, estimate=lambda _: {})).run({"tokens": 0})
        )
        assert now() == 0

    async def test_of_other_units_stays_as_estimated(self) -> None:
        budget = RateBudget(per=60, requests=10, tokens=10)
        node = FunctionNode(Calls()).pipe(
            rate_limit(budget, estimate=tokens, actual=lambda _: {"requests": 3})
        )
        await node.run({"tokens": 7})
        assert budget.used == {"requests": 3, "tokens": 7}

    async def test_of_a_failed_call_is_what_it_says_or_else_the_estimate(self) -> None:
        budget = RateBudget(per=60, tokens=10)
        answers = iter(
            [
                NodeResult(False, error="no"),
                NodeResult(False, error="no", output={"used": 1}),
            ]
        )
        node = FunctionNode(lambda _: next(answers)).pipe(
            rate_limit(budget, estimate=tokens, actual=used)
        )
        for expected in (4, 5):
            result = await outcome(node, {"tokens": 4})
            assert (result.error, budget.used) == ("no", {"tokens": expected})

    async def test_of_a_cancelled_call_is_the_estimate(self) -> None:
        budget = RateBudget(per=60, tokens=10)
        policy = rate_limit(budget, estimate=tokens, actual=used)
        node = FunctionNode(Calls()).pipe(policy, timeout(1))
        assert not (await outcome(node, {"tokens": 4, "seconds": 5})).success
        assert budget.used == {"tokens": 4}


class TestOfThoseThatComeTogether:
    """A call that may start has its turn a little later, and a lot may happen in between."""

    async def test_none_overtakes_one_that_may_start(self) -> None:
        calls = Calls()
        policy = rate_limit(RateBudget(per=10, tokens=10), estimate=tokens, actual=used)
        node = FunctionNode(calls).pipe(policy)
        first = asyncio.create_task(node.run({"tokens": 10, "used": 0, "seconds": 1}))
        second = asyncio.create_task(node.run({"tokens": 9, "used": 9}))

        async def come_later() -> None:
            await asyncio.sleep(1)
            await node.run({"tokens": 1, "used": 1})

        await asyncio.gather(first, second, come_later())
        assert calls.used == [(0, 10), (1, 9), (1, 1)]

    async def test_none_starts_when_it_turns_out_that_there_is_no_room_any_more(self) -> None:
        calls = Calls()
        policy = rate_limit(RateBudget(per=10, tokens=10), estimate=tokens, actual=used)
        node = FunctionNode(calls).pipe(policy)
        work = [
            {"tokens": 9, "used": 0, "seconds": 1},
            {"tokens": 1, "used": 8, "seconds": 1},
            {"tokens": 5, "used": 5},
            {"tokens": 1, "used": 1},
        ]
        await BatchProcessor(node, 4).batch(work)
        assert calls.used == [(0, 9), (0, 1), (pytest.approx(10), 5), (pytest.approx(10), 1)]

    async def test_one_that_leaves_then_makes_no_other_later(self) -> None:
        calls = Calls()
        budget = RateBudget(per=10, requests=10)
        budget.pause(1)
        node = FunctionNode(calls).pipe(rate_limit(budget))
        tasks = [asyncio.create_task(node.run(item)) for item in items(1, 2, 3)]
        loop = asyncio.get_running_loop()
        loop.call_at(math.nextafter(2, 3), lambda: loop.call_soon(tasks[1].cancel))
        loop.call_at(math.nextafter(2, 3), tasks[1].cancel)
        await asyncio.wait(tasks)
        assert calls.used == [(1, 1), (pytest.approx(2), 3)]


class TestAnItemThatCanNeverStart:
    async def test_fails_at_once_and_says_what_it_needs(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, requests=5, tokens=90_000)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens))
        results = await BatchProcessor(node, 50).batch(items(90_000, 120_000, 90_001, 90_000))
        assert [result.error for result in results] == [
            None,
            "ExceedsBudget: needs 120,000 tokens, and the budget is 90,000 in 60 s",
            "ExceedsBudget: needs 90,001 tokens, and the budget is 90,000 in 60 s",
            None,
        ]
        assert calls.starts == pytest.approx([0, 60])
        error = results[1].exception
        assert isinstance(error, ExceedsBudget)
        assert (error.unit, error.needed, error.limit) == ("tokens", 120_000, 90_000)

    async def test_is_charged_nothing(self) -> None:
        budget = RateBudget(per=60, requests=5, tokens=5)
        node = FunctionNode(Calls()).pipe(rate_limit(budget, estimate=tokens))
        assert not (await outcome(node, {"tokens": 6})).success
        assert budget.used == {"requests": 0, "tokens": 0}

    def test_has_an_error_that_can_cross_to_another_process(self) -> None:
        error = ExceedsBudget("tokens", 2, 1, 60)
        copied = pickle.loads(pickle.dumps(error))
        assert (str(copied), vars(copied)) == (str(error), vars(error))


class TestASharedPause:
    async def test_lasts_as_long_as_the_service_asks_for(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, requests=60, tokens=1_000)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens))
        refused = {"tokens": 1, "fail": HttpError(retry_after=25)}
        results = await BatchProcessor(node, 3).batch(
            [refused, *items(1, 1, seconds=2), *items(1, 1, 1)]
        )
        # Two were in work already; the others are spaced as 60 requests in 60 seconds are.
        assert calls.starts == pytest.approx([0, 0, 0, 25, 26, 27])
        assert [result.success for result in results] == [False] + [True] * 5

    @pytest.mark.parametrize("status", [429, 503, 529])
    async def test_is_a_tenth_of_the_window_if_it_does_not_say(self, status: int) -> None:
        calls = Calls()
        node = FunctionNode(calls).pipe(rate_limit(RateBudget(per=60, requests=600)))
        refused = {"tokens": 1, "fail": HttpError(status_code=status)}
        await BatchProcessor(node, 1).batch([refused, *items(1, 1)])
        assert calls.starts == pytest.approx([0, 6, 6.1])

    @pytest.mark.parametrize("error", [TimeoutError(), ValueError(), HttpError(status=500)])
    async def test_is_not_caused_by_other_failures(self, error: Exception) -> None:
        calls = Calls()
        node = FunctionNode(calls).pipe(rate_limit(RateBudget(per=60, requests=5)))
        await BatchProcessor(node, 1).batch([{"tokens": 1, "fail": error}, *items(1, 1)])
        assert calls.starts == [0, 0, 0]

    @pytest.mark.parametrize("seconds", [301, 10**30, 1e308])
    async def test_is_not_longer_than_the_longest(self, seconds: float) -> None:
        calls = Calls()
        node = FunctionNode(calls).pipe(rate_limit(RateBudget(per=60, requests=5)))
        refused = {"tokens": 1, "fail": HttpError(retry_after=seconds)}
        await BatchProcessor(node, 1).batch([refused, *items(1)])
        assert calls.starts == [0, 300]

    async def test_has_a_longest_that_can_be_chosen(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, longest_wait=7, requests=5)
        node = FunctionNode(calls).pipe(rate_limit(budget))
        refused = {"tokens": 1, "fail": HttpError(retry_after=8)}
        await BatchProcessor(node, 1).batch([refused, *items(1)])
        assert calls.starts == [0, 7]

    async def test_may_be_made_by_hand_for_any_time(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)
        node = FunctionNode(starts).pipe(rate_limit(budget))
        budget.pause(1_000)
        await BatchProcessor(node, 50).batch(range(7))
        assert starts == pytest.approx([1_000 + 2 * n for n in range(7)])

    async def test_is_the_longest_of_several(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)
        budget.pause(30)
        budget.pause(20)
        await asyncio.sleep(5)
        budget.pause(1)
        await FunctionNode(starts).pipe(rate_limit(budget)).run(0)
        assert starts == [30]

    async def test_comes_before_those_that_were_about_to_start(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)
        node = FunctionNode(starts).pipe(rate_limit(budget))
        work = asyncio.create_task(BatchProcessor(node, 50).batch(range(20)))
        loop = asyncio.get_running_loop()
        # The timer of the budget is first, this one next, and then those that it lets start.
        loop.call_at(math.nextafter(10, 11), lambda: loop.call_soon(budget.pause, 5))
        loop.call_at(math.nextafter(10, 11), budget.pause, 5)
        results = await work
        assert starts == pytest.approx([0] * 5 + [15 + 2 * n for n in range(15)])
        assert [result.output for result in results] == list(range(20))
        assert most_in_a_window(starts, 10) == 5

    async def test_is_followed_by_the_pace_until_a_window_is_full_of_it(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)
        node = FunctionNode(starts).pipe(rate_limit(budget))
        await BatchProcessor(node, 50).batch(range(5))
        budget.pause(1)
        await BatchProcessor(node, 50).batch(range(13))
        # What was used before the pause leaves the window at 10, and there is no burst then.
        assert starts[5:] == pytest.approx([10 + 2 * n for n in range(13)])
        await asyncio.sleep(100)
        await BatchProcessor(node, 50).batch(range(5))
        assert starts[18:] == [starts[18]] * 5

    async def test_is_followed_by_the_pace_of_the_tighter_limit(self) -> None:
        calls = Calls()
        budget = RateBudget(per=10, requests=10, tokens=100)
        budget.pause(1)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens))
        await BatchProcessor(node, 50).batch(items(1, 30, 5, 50, 1))
        assert calls.starts == pytest.approx([1, 2, 5, 6, 11])

    async def test_is_followed_by_at_least_95_percent_of_the_limit(self) -> None:
        calls = Calls()
        budget = RateBudget(per=60, tokens=9_000)
        node = FunctionNode(calls).pipe(rate_limit(budget, estimate=tokens))
        budget.pause(7)
        amounts = [1 + (n * n * 7_919) % 450 for n in range(300)]
        await BatchProcessor(node, 200).batch(items(*amounts, seconds=1.7))
        assert most_used_in_a_window(calls.used, 60) <= 9_000
        ended = calls.starts[-1]
        assert sum(amounts[:-1]) >= 0.95 * 9_000 * (ended - 7) / 60

    async def test_is_followed_by_a_pace_that_late_timers_do_not_slow_down(self) -> None:
        starts = Starts()
        loop = asyncio.get_running_loop()

        async def work(number: int) -> None:
            await starts(number)
            loop.call_later(0.0999, advance, 0.001)

        budget = RateBudget(per=10, requests=100)
        budget.pause(1)
        await BatchProcessor(FunctionNode(work).pipe(rate_limit(budget)), 50).batch(range(50))
        assert starts == pytest.approx([1 + n / 10 for n in range(50)], abs=0.001)

    async def test_is_followed_by_the_pace_also_where_a_start_was_taken_back(self) -> None:
        calls = Calls()
        budget = RateBudget(per=10, requests=10, tokens=10)
        policy = rate_limit(budget, estimate=tokens, actual=used)
        node = FunctionNode(calls).pipe(policy)
        # It turns out to be too much at the very moment when the second of those below may start,
        # which needs none of it.
        large = {"tokens": 0, "used": 20, "seconds": 2 - 5e-10}
        first = asyncio.create_task(node.run(large))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(2 - 4e-10, advance, 1e-9)
        budget.pause(1)
        await BatchProcessor(node, 3).batch(items(0, 0, 0, used=0))
        await first
        assert calls.starts == pytest.approx([0, 1, 2, 3])

    async def test_holds_for_tries_again(self) -> None:
        calls = Calls()
        node = FunctionNode(calls).pipe(
            rate_limit(RateBudget(per=60, requests=60)), retry(2, wait=1, longest_wait=10)
        )
        refused = {"tokens": 1, "fail": HttpError(retry_after=10)}
        hopeless = {"tokens": 1, "fail": HttpError(retry_after=40)}
        results = await BatchProcessor(node, 1).batch([refused, *items(1), hopeless, *items(1)])
        assert calls.starts == pytest.approx([0, 10, 20, 21, 61])
        assert results[2].error == (
            "HttpError: from the service; not tried again: "
            "40 s were asked for, the longest wait is 10 s"
        )
