"""RateBudget: cancellations, functions that fail, several event loops, and what cannot be."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import RateBudget, rate_limit, timeout
from nadoo_flow.testing import VirtualTimeLoop

from ..stand_ins import assert_only_the_caller_runs, now, raised_by
from ..threads import in_loops
from .services import outcome
from .test_rate_limit import Starts


class TestACancelledWaiter:
    @pytest.mark.parametrize("cancelled", [[1], [4], [1, 2, 3], [2, 4], [0, 1, 2, 3, 4]])
    async def test_leaves_its_turn_to_the_next(self, cancelled: list[int]) -> None:
        starts = Starts()
        budget = RateBudget(per=1, requests=1)
        node = FunctionNode(starts).pipe(rate_limit(budget))
        await node.run(-1)
        tasks = [asyncio.create_task(node.run(n)) for n in range(5)]
        await asyncio.sleep(0.5)
        for n in cancelled:
            tasks[n].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [n for n in range(5) if isinstance(outcomes[n], asyncio.CancelledError)] == cancelled
        assert starts == pytest.approx(range(1 + 5 - len(cancelled)))
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("turns", range(5))
    async def test_leaves_it_also_while_it_is_being_woken(self, turns: int) -> None:
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(RateBudget(per=1, requests=1)))
        await node.run(-1)
        tasks = [asyncio.create_task(node.run(n)) for n in range(3)]
        await asyncio.sleep(1 + 1e-8)
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[0].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[1:] == [1, 2]
        assert len(starts) in (3, 4)
        assert starts == pytest.approx(range(len(starts)))

    async def test_leaves_it_also_when_it_comes_at_the_same_time(self) -> None:
        starts: list[float] = []

        async def work(number: int) -> int:
            starts.append(now())
            if number == 0:
                await asyncio.sleep(1)
                tasks[1].cancel()
            return number

        policy = rate_limit(
            RateBudget(per=10, requests=1), actual=lambda result: {"requests": result.output}
        )
        tasks = [asyncio.create_task(FunctionNode(work).pipe(policy).run(n)) for n in range(3)]
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, True, False]
        assert (tasks[2].result(), starts) == (2, [0, 1])

    async def test_that_is_large_lets_small_ones_start_at_once(self) -> None:
        starts = Starts()
        policy = rate_limit(RateBudget(per=60, tokens=10), estimate=lambda n: {"tokens": n})
        node = FunctionNode(starts).pipe(policy)
        await node.run(5)
        large = asyncio.create_task(node.run(10))
        small = [asyncio.create_task(node.run(1)) for _ in range(3)]
        await asyncio.sleep(7)
        large.cancel()
        await asyncio.gather(*small)
        assert starts == [0, 7, 7, 7]

    async def test_of_a_batch_leaves_no_task_no_charge_and_no_timer(self) -> None:
        starts = Starts(seconds=0.1)
        budget = RateBudget(per=10, requests=3)
        task = asyncio.create_task(
            BatchProcessor(FunctionNode(starts).pipe(rate_limit(budget)), 9).batch(range(10))
        )
        await asyncio.sleep(5)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert_only_the_caller_runs()
        assert budget.used == {"requests": 3}
        assert [
            handle for handle in asyncio.get_running_loop()._scheduled if not handle._cancelled
        ] == []  # type: ignore[attr-defined]

    async def test_of_a_timeout_has_not_started(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=1)
        node = FunctionNode(starts).pipe(rate_limit(budget), timeout(3))
        results = await BatchProcessor(node, 9).batch(range(3))
        assert [result.success for result in results] == [True, False, False]
        assert (starts, now()) == ([0], 3)

    async def test_during_a_pause_does_not_end_it(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)
        node = FunctionNode(starts).pipe(rate_limit(budget))
        budget.pause(20)
        tasks = [asyncio.create_task(node.run(n)) for n in range(3)]
        await asyncio.sleep(5)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert starts == pytest.approx([20, 22])

    async def test_that_is_closed_leaves_its_place(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, tokens=10)
        policy = rate_limit(budget, estimate=lambda n: {"tokens": n})
        node = FunctionNode(starts).pipe(policy)
        await node.run(5)
        forgotten = budget.get_queue().start((9,))
        forgotten.send(None)
        behind = asyncio.create_task(node.run(2))
        await asyncio.sleep(1)
        forgotten.close()
        assert (await behind, starts) == (2, [0, 1])

    async def test_is_not_kept_by_the_timer(self) -> None:
        class Value:
            pass

        variable: ContextVar[Value] = ContextVar("variable")
        kept: list[weakref.ref[Value]] = []
        node = FunctionNode(Starts()).pipe(rate_limit(RateBudget(per=10, requests=1)))

        async def wait() -> None:
            variable.set(Value())
            kept.append(weakref.ref(variable.get()))
            await node.run(1)

        await node.run(0)
        task = asyncio.create_task(wait())
        behind = asyncio.create_task(node.run(2))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        del task
        gc.collect()
        assert kept[0]() is None
        await behind


class Odd(Mapping[str, float]):
    """A mapping that raises when it is read."""

    def __getitem__(self, unit: str) -> float:
        raise LookupError("odd")

    def __iter__(self) -> Any:
        return iter(["tokens"])

    def __len__(self) -> int:
        return 1


def _raise(error: BaseException) -> Any:
    raise error


async def _forgotten() -> dict[str, float]:
    return {}


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "raises": (lambda _: _raise(KeyError("x")), "RuntimeError: {} raised KeyError: 'x'"),
    "raises what is no Exception": (
        lambda _: _raise(asyncio.CancelledError()),
        "RuntimeError: {} raised CancelledError",
    ),
    "raises StopIteration": (
        lambda _: _raise(StopIteration()),
        "RuntimeError: {} raised StopIteration",
    ),
    "returns nothing": (
        lambda _: None,
        "TypeError: {} must return a mapping of units to numbers, got None (NoneType)",
    ),
    "returns a number": (
        lambda _: 812,
        "TypeError: {} must return a mapping of units to numbers, got 812 (int)",
    ),
    "unknown unit": (
        lambda _: {"token": 1},
        "ValueError: {} must return units of the budget (requests, tokens), got 'token' (str)",
    ),
    "nan": (
        lambda _: {"tokens": float("nan")},
        "ValueError: the tokens that {} returns must be a finite number, got nan (float)",
    ),
    "negative": (
        lambda _: {"tokens": -1},
        "ValueError: the tokens that {} returns must not be negative, got -1",
    ),
    "bool": (
        lambda _: {"tokens": True},
        "TypeError: the tokens that {} returns must be a number, got True (bool)",
    ),
    "text": (
        lambda _: {"requests": "1"},
        "TypeError: the requests that {} returns must be a number, got '1' (str)",
    ),
    "raises when it is read": (lambda _: Odd(), "RuntimeError: {} raised LookupError: odd"),
}
every_mistake = pytest.mark.parametrize(("function", "error"), WRONG.values(), ids=WRONG)


class TestAFunction:
    @every_mistake
    async def test_that_fails_as_an_estimate_fails_its_item_alone(
        self, function: Callable[[Any], Any], error: str
    ) -> None:
        starts = Starts()
        budget = RateBudget(per=60, requests=5, tokens=10)
        policy = rate_limit(budget, estimate=lambda n: function(n) if n == 1 else {"tokens": n})
        results = await BatchProcessor(FunctionNode(starts).pipe(policy), 1).batch([0, 1, 2])
        assert [result.error for result in results] == [None, error.format("estimate"), None]
        assert (starts, budget.used) == ([0, 0], {"requests": 2, "tokens": 2})

    @every_mistake
    async def test_that_fails_as_the_actual_use_fails_its_item_alone(
        self, function: Callable[[Any], Any], error: str
    ) -> None:
        budget = RateBudget(per=60, requests=5, tokens=10)
        policy = rate_limit(
            budget,
            estimate=lambda n: {"tokens": 2},
            actual=lambda result: function(0) if result.output == 1 else {"tokens": 1},
        )
        results = await BatchProcessor(FunctionNode(Starts()).pipe(policy), 1).batch([0, 1, 2])
        assert [result.error for result in results] == [None, error.format("actual"), None]
        # What could not be read stays as it was estimated.
        assert budget.used == {"requests": 3, "tokens": 4}

    async def test_that_returns_a_coroutine_leaves_none_unawaited(self) -> None:
        policy = rate_limit(RateBudget(per=1, requests=1), estimate=lambda _: _forgotten())  # type: ignore[arg-type,return-value]
        result = await outcome(FunctionNode(Starts()).pipe(policy), 1)
        assert result.error is not None
        assert "estimate must return a mapping of units to numbers" in result.error

    async def test_may_stop_the_program(self) -> None:
        policy = rate_limit(
            RateBudget(per=1, requests=1), estimate=lambda _: _raise(KeyboardInterrupt())
        )
        work = BatchProcessor(FunctionNode(Starts()).pipe(policy)).batch([1])
        assert isinstance(await raised_by(work), KeyboardInterrupt)
        assert_only_the_caller_runs()

    async def test_gets_what_a_function_node_would_get(self) -> None:
        seen: list[Any] = []
        policy = rate_limit(
            RateBudget(per=1, requests=9),
            estimate=lambda value: seen.append(value) or {},  # type: ignore[func-returns-value]
        )
        node = FunctionNode(Starts()).pipe(policy)
        await BatchProcessor(node, 1).batch(["a", {"item": "b"}, {"prompt": "c"}])
        assert seen == ["a", "b", {"prompt": "c"}]

    async def test_may_use_the_budget_itself(self) -> None:
        starts = Starts()
        budget = RateBudget(per=10, requests=5)

        def estimate(number: int) -> dict[str, float]:
            if number == 1:
                budget.pause(7)
            return {"requests": len(budget.used)}

        node = FunctionNode(starts).pipe(rate_limit(budget, estimate=estimate))
        await BatchProcessor(node, 1).batch([0, 1])
        assert starts == [0, 7]


class TestEventLoops:
    def test_that_follow_each_other_have_what_was_charged_before(
        self, recwarn: pytest.WarningsRecorder
    ) -> None:
        # Real loops share a clock, and no test may wait: so the second call just does not start.
        starts = Starts()
        budget = RateBudget(per=10_000, requests=2)
        node = FunctionNode(starts).pipe(rate_limit(budget))

        async def call_twice() -> list[Any]:
            tasks = [asyncio.create_task(node.run(n)) for n in range(2)]
            for _ in range(10):
                await asyncio.sleep(0)
            done = [task.done() for task in tasks]
            tasks[1].cancel()
            await asyncio.wait(tasks)
            return [done, budget.used["requests"]]

        assert asyncio.run(node.run(0)) == 0
        assert budget.used == {"requests": 1}
        assert asyncio.run(call_twice()) == [[True, False], 2]
        assert budget.used == {"requests": 2}
        assert recwarn.list == []

    def test_that_follow_each_other_have_the_same_pause(self) -> None:
        budget = RateBudget(per=10, requests=2)
        node = FunctionNode(Starts()).pipe(rate_limit(budget))

        async def pause() -> None:
            budget.pause(10_000)

        async def call() -> bool:
            task = asyncio.create_task(node.run(0))
            for _ in range(10):
                await asyncio.sleep(0)
            return task.done()

        asyncio.run(pause())
        assert asyncio.run(call()) is False

    def test_with_clocks_of_their_own_begin_anew(self) -> None:
        budget = RateBudget(per=10, requests=5)
        for _ in range(3):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                starts = Starts()
                node = FunctionNode(starts).pipe(rate_limit(budget))
                runner.run(BatchProcessor(node, 9).batch(range(12)))
            assert starts == pytest.approx([0] * 5 + [10] * 5 + [20] * 2)

    def test_may_alternate(self) -> None:
        budget = RateBudget(per=10, requests=5)
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(budget))
        with (
            asyncio.Runner(loop_factory=VirtualTimeLoop) as first,
            asyncio.Runner(loop_factory=VirtualTimeLoop) as second,
        ):
            for runner in (first, second, first, second):
                runner.run(BatchProcessor(node, 9).batch(range(5)))
        assert starts == pytest.approx([0] * 10 + [10] * 10)

    def test_of_which_several_are_open_have_a_budget_each(self) -> None:
        budget = RateBudget(per=10_000, requests=1)
        node = FunctionNode(Starts()).pipe(rate_limit(budget))
        with asyncio.Runner() as first, asyncio.Runner() as second:
            for runner in (first, second):
                assert runner.run(node.run(0)) == 0

    def test_left_with_waiters_do_not_hinder_the_next(self) -> None:
        budget = RateBudget(per=10_000, requests=1)
        node = FunctionNode(Starts()).pipe(rate_limit(budget))
        loop = asyncio.new_event_loop()

        async def abandon() -> None:
            await node.run(0)
            tasks.extend(asyncio.ensure_future(node.run(n)) for n in range(3))
            await asyncio.sleep(0)

        tasks: list[asyncio.Future[Any]] = []
        loop.run_until_complete(abandon())
        loop.set_exception_handler(lambda *_: None)  # of the task that is never done
        loop.close()
        tasks.clear()
        gc.collect()

        async def look() -> dict[str, float]:
            return budget.used

        assert asyncio.run(look()) == {"requests": 1}
        gc.collect()  # now they are closed, and there is no loop for a timer any more

    def test_are_not_needed_to_look_at_it(self) -> None:
        assert RateBudget(per=1, requests=1, usd=2).used == {"requests": 0, "usd": 0}

    @pytest.mark.parametrize(
        "make_copy", [copy.copy, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))]
    )
    async def test_are_not_taken_along_by_a_copy(self, make_copy: Callable[[Any], Any]) -> None:
        budget = RateBudget(per=10, requests=5, longest_wait=7, usd=0.1)
        await FunctionNode(Starts()).pipe(rate_limit(budget, estimate=lambda _: {})).run(0)
        copied = make_copy(budget)
        assert repr(copied) == repr(budget)
        assert (copied.per, copied.longest_wait, copied.limits) == (10, 7, budget.limits)
        assert copied.used == {"requests": 0, "usd": 0}
        assert budget.used == {"requests": 1, "usd": 0}


def count_tokens(_: Any) -> dict[str, float]:
    return {"tokens": 3}


def double(number: int) -> int:
    return 2 * number


async def test_a_node_can_cross_to_another_process() -> None:
    policy = rate_limit(RateBudget(per=10, tokens=5), estimate=count_tokens)
    node = FunctionNode(double).pipe(policy)
    await node.run(1)
    there = pickle.loads(pickle.dumps(node))
    # It has the same limits, and what is used here does not count there.
    for one in (there, node):
        assert [result.output for result in await BatchProcessor(one).batch([1, 2])] == [2, 4]
        assert now() == pytest.approx(10 if one is there else 20)


def test_rule_r20_threads_that_use_a_budget_for_the_first_time_have_one_each() -> None:
    budgets = [RateBudget(per=10_000, requests=2) for _ in range(10)]

    async def start(number: int) -> bool:
        node = FunctionNode(double).pipe(rate_limit(budgets[number]))
        tasks = [asyncio.create_task(node.run(n)) for n in range(3)]
        for _ in range(10):
            await asyncio.sleep(0)
        started = [task.done() for task in tasks]
        tasks[2].cancel()
        return started == [True, True, False]

    assert all(map(all, in_loops(4, 10, start)))


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("make", "kind", "words"),
        [
            (lambda: RateBudget(per=1), TypeError, "a RateBudget needs at least one limit"),
            (lambda: RateBudget(per=1, requests=0.5), ValueError, "requests must be at least 1"),
            (
                lambda: rate_limit(RateBudget(per=1, requests=1, tokens=1, usd=1)),
                TypeError,
                "estimate must be given, since nothing else says how many tokens and usd a call",
            ),
            (
                lambda: rate_limit(RateBudget(per=1, requests=1), per=2),  # type: ignore[call-overload]
                TypeError,
                r"per must not be given with a RateBudget, got 2 \(int\)",
            ),
            (
                lambda: rate_limit(5, estimate=dict),  # type: ignore[call-overload]
                TypeError,
                "estimate must be given with a RateBudget",
            ),
            (
                lambda: rate_limit(5, actual=dict),  # type: ignore[call-overload]
                TypeError,
                "actual must be given with a RateBudget",
            ),
            (
                lambda: rate_limit(RateBudget(per=1, requests=1), estimate={}),  # type: ignore[call-overload]
                TypeError,
                "estimate must be a function",
            ),
            (
                lambda: rate_limit(RateBudget(per=1, requests=1), actual=_forgotten),  # type: ignore[call-overload]
                TypeError,
                "actual must be a function that is not async",
            ),
        ],
    )
    def test_is_an_error_at_construction(
        self, make: Callable[[], Any], kind: type[Exception], words: str
    ) -> None:
        with pytest.raises(kind, match=f"^{words}"):
            make()

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
    async def test_is_an_error_of_a_pause(self, seconds: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=r"^seconds must be "):
            RateBudget(per=1, requests=1).pause(seconds)

    def test_is_a_pause_without_an_event_loop(self) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            RateBudget(per=1, requests=1).pause(1)


def test_a_policy_shows_what_it_allows() -> None:
    budget = RateBudget(per=60, requests=500, tokens=90_000.0)
    assert repr(budget) == "RateBudget(per=60, requests=500, tokens=90_000.0)"
    assert repr(rate_limit(budget, estimate=dict)) == f"rate_limit({budget!r})"
