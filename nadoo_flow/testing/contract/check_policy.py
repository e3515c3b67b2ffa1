"""Checking a policy of one's own against the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..._support.checks import check_function, check_positive_int
from ..._support.signatures import accepts
from ...nodes.node import Policy
from .policy_case import PolicyCase
from .policy_checks import (
    MakePolicy,
    check_cancel_of_batch,
    check_cancel_of_run,
    check_concurrency,
    check_contexts,
    check_end,
    check_loops,
    check_permits,
    check_results,
)
from .searching import check_outside_of_loops, import_strategies, search

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def check_policy(
    policy: Policy[Any, Any, Any] | Callable[[], Policy[Any, Any, Any]],
    *,
    calls_at_once: int = 1,
    max_examples: int = 30,
) -> None:
    """Check that a policy keeps the rules of the contract, with Hypothesis, in virtual time.

    It is put around a node that keeps books, in many batches and single runs, of inputs that the
    node answers, or fails on, at once or later. Some are cancelled, at any time. The checks:

    - R20: it can be used in two event loops, one after the other.
    - R2: an input has no other one's output, and the node's own answer if that comes at once.
    - 105: a batch ends.
    - R1: it calls the node at most once at a time for each input that is in work.
    - 313: when a batch has ended, no task is left, and the node is not called any more.
    - R4, 108: when a batch or a run is cancelled, it ends as cancelled, no task is left, each
      ``finally`` has run, and the node is not called any more.
    - R3: a batch gets through behind one that was cancelled.
    - R6: no input sees a context variable that another has set.

    It needs the extra ``testing``, and runs event loops of its own, so call it in a test that is
    not async.

    Args:
        policy: The policy. For one that keeps a state, a function without parameters that makes
            it, which is called for each batch.
        calls_at_once: Most calls at a time that the policy may make for one input, such as 2 for
            one that hedges.
        max_examples: How many cases are tried for each rule; they are the same each time.

    Raises:
        BrokenRuleError: If a rule is broken. It is an AssertionError, and says in words which rule
            that is, and in which case, the simplest that was found.
        ImportError: If hypothesis is not installed.
        RuntimeError: If it is called while an event loop runs.

    Example:
        >>> from nadoo_flow.policies import retry, timeout
        >>> check_policy(timeout(5))
        >>> check_policy(lambda: retry(3, wait=1))
    """
    check_function(policy, "policy")
    calls_at_once = check_positive_int(calls_at_once, "calls_at_once")
    max_examples = check_positive_int(max_examples, "max_examples")
    check_outside_of_loops("check_policy")
    strategies = import_strategies()
    make: MakePolicy = policy if accepts(policy, 0) else lambda: policy  # type: ignore[assignment, return-value]
    check_loops(make)
    for check, cases in (
        (check_results, _draw_cases(strategies, [0.0], ["answer"])),
        (check_results, _draw_cases(strategies)),
        (partial(check_concurrency, calls_at_once=calls_at_once), _draw_cases(strategies)),
        (check_end, _draw_cases(strategies)),
        (check_cancel_of_run, _draw_cases(strategies)),
        (check_cancel_of_batch, _draw_cases(strategies)),
        (check_permits, _draw_cases(strategies)),
        (check_contexts, _draw_cases(strategies)),
    ):
        search(partial(check, make), cases, max_examples)


def _draw_cases(
    strategies: Any,
    seconds: list[float] | None = None,
    outcomes: list[str] | None = None,
) -> SearchStrategy[PolicyCase]:
    inputs = strategies.lists(
        strategies.tuples(
            strategies.sampled_from(seconds or [0.0, 0.1, 1.0, 10.0]),
            strategies.sampled_from(outcomes or ["answer", "raise", "fail"]),
        ),
        min_size=1,
        max_size=8,
    )
    numbered = inputs.map(
        lambda drawn: [
            {"number": number, "seconds": seconds, "outcome": outcome}
            for number, (seconds, outcome) in enumerate(drawn)
        ]
    )
    cases: SearchStrategy[PolicyCase] = strategies.builds(
        PolicyCase,
        inputs=numbered,
        max_concurrency=strategies.integers(1, 4),
        cancel_at=strategies.sampled_from([0.0, 0.05, 0.5, 1.0, 5.0]),
        turns=strategies.integers(0, 4),
    )
    return cases
