"""Bugs in policies."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow.nodes import NodeResult
from nadoo_flow.nodes.many import has_given_outputs
from nadoo_flow.policies import CircuitBreaker, RetryBudget
from nadoo_flow.policies.cache import CacheNode
from nadoo_flow.policies.hedge import _Race
from nadoo_flow.policies.retry import RetryNode
from nadoo_flow.policies.single_flight import Flight
from nadoo_flow.policies.sliding_window import SlidingWindow
from nadoo_flow.policies.thread_pool import ThreadPool

from .replacing import Planting, replaced


def cache_takes_all_inputs_for_one() -> AbstractContextManager[None]:
    """Answer each input with what was computed for another one."""
    return replaced(CacheNode, "_make_key_function", lambda node: lambda value: "key")


def equal_inputs_have_a_flight_each() -> AbstractContextManager[None]:
    """Compute the answer again for all who ask before it is there."""
    return replaced(Flight, "may_be_waited_for", lambda *_: False)


def hedge_leaves_its_loser_running() -> AbstractContextManager[None]:
    """Answer with the success of the first execution, whatever the second one does."""
    settle = _Race.settle

    async def settle_at_once(
        race: _Race, answer: Any = None, error: BaseException | None = None
    ) -> Any:
        if error is None and not race._is_lost:
            return answer
        return await settle(race, answer, error)

    return replaced(_Race, "settle", settle_at_once)


def hedge_takes_the_first_answer_for_a_success() -> AbstractContextManager[None]:
    """Take the answer of the first execution, although it is a cancelled loser."""
    return replaced(_Race, "_choose", lambda race, first, second: first)


def open_circuits_let_calls_pass() -> AbstractContextManager[None]:
    """Admit all calls."""
    return replaced(CircuitBreaker, "admit", lambda breaker: True)


def probes_come_together() -> AbstractContextManager[None]:
    """Forget that a probe is being made."""
    admit = CircuitBreaker.admit

    def forget_and_admit(breaker: CircuitBreaker) -> bool:
        breaker._is_probing = False
        return admit(breaker)

    return replaced(CircuitBreaker, "admit", forget_and_admit)


def windows_have_always_room() -> AbstractContextManager[None]:
    """Start each call at once."""

    def start(window: SlidingWindow, amounts: Any, now: float) -> Any:
        window.reserve(amounts)
        return window.start(amounts, now)

    return replaced(SlidingWindow, "start_if_room", start)


def retries_are_for_nothing() -> AbstractContextManager[None]:
    """Take no retry out of the budget."""
    return replaced(RetryBudget, "take", lambda budget: True)


def no_failure_is_final() -> AbstractContextManager[None]:
    """Try again what is to be given up."""

    def is_worth_a_retry(node: RetryNode, result: NodeResult, value: Any) -> bool:
        return not result.success and not has_given_outputs(value)

    return replaced(RetryNode, "_is_worth_a_retry", is_worth_a_retry)


def threads_outlive_their_run() -> AbstractContextManager[None]:
    """Leave the threads of a run waiting for calls."""

    async def stop(pool: ThreadPool) -> None:
        pass

    return replaced(ThreadPool, "stop", stop)


BUGS: dict[Planting, str] = {
    cache_takes_all_inputs_for_one: "kind='(shared_)?cache'",
    equal_inputs_have_a_flight_each: "kind='shared_cache'",
    hedge_leaves_its_loser_running: "kind='hedge'",
    hedge_takes_the_first_answer_for_a_success: "kind='hedge'",
    open_circuits_let_calls_pass: "breaker'",
    probes_come_together: "^(?!.*kind='(limit|adaptive)').*breaker'",
    windows_have_always_room: "budget'",
    retries_are_for_nothing: "kind='retry_budget'",
    no_failure_is_final: "kind='giving_up'",
    threads_outlive_their_run: "kind='in_thread'",
}
