"""check_policy: sound policies pass, and each planted bug is found under the name of its rule."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import BaseNode, FunctionNode
from nadoo_flow.policies import (
    AdaptiveLimit,
    CircuitBreaker,
    ConcurrencyLimit,
    RateBudget,
    cache,
    circuit_breaker,
    fallback,
    hedge,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.testing import BrokenRuleError, check_policy
from nadoo_flow.testing.contract.policy_case import PolicyCase
from nadoo_flow.testing.contract.policy_checks import check_cancel_of_batch, make_sound_inputs

from .broken_policies import (
    BROKEN,
    Policy,
    bound_to_a_loop,
    calling_after_the_end,
    hanging_on_cancel,
    leaking_on_cancel,
    losing,
    sound,
    swallowing,
)

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

OWN: dict[str, Callable[[], Any]] = {
    "retry": lambda: retry(3, wait=1),
    "timeout": lambda: timeout(5),
    "limit": lambda: limit(ConcurrencyLimit(2)),
    "adaptive limit": lambda: limit(AdaptiveLimit()),
    "rate_limit": lambda: rate_limit(5),
    "rate budget": lambda: rate_limit(RateBudget(per=60, requests=3)),
    "circuit_breaker": lambda: circuit_breaker(CircuitBreaker()),
    "cache": cache,
    "fallback": lambda: fallback(lambda given: "another"),
}


@pytest.mark.parametrize("name", OWN)
def test_the_policies_of_the_library_keep_the_rules(name: str) -> None:
    check_policy(OWN[name], max_examples=8)


def test_a_policy_that_calls_twice_may_say_so() -> None:
    check_policy(lambda: hedge(after=0.5), calls_at_once=2, max_examples=20)
    with pytest.raises(BrokenRuleError, match="give calls_at_once if that is meant to be"):
        check_policy(lambda: hedge(after=0.5))


def test_a_policy_may_be_given_as_it_is_or_as_what_makes_it() -> None:
    check_policy(sound, max_examples=8)
    check_policy(sound(), max_examples=8)
    with pytest.raises(BrokenRuleError):
        check_policy(losing(), max_examples=20)


@pytest.mark.usefixtures("first_found")
@pytest.mark.parametrize("make", [pytest.param(make, id=make.__name__) for make in BROKEN])
def test_a_broken_policy_is_found_by_the_rule_that_it_breaks(make: Callable[[], Policy]) -> None:
    with pytest.raises(BrokenRuleError) as caught:
        check_policy(make, max_examples=20)
    assert caught.value.rule == BROKEN[make]


def test_the_case_is_the_simplest_in_words() -> None:
    with pytest.raises(BrokenRuleError) as caught:
        check_policy(swallowing)
    assert caught.value.text == (
        "The run of one input (answer after 0.1 s), cancelled after 0 s, swallowed that, and gave "
        "None."
    )
    with pytest.raises(BrokenRuleError) as caught:
        check_policy(bound_to_a_loop)
    assert caught.value.text.startswith(
        "The policy was used in two event loops, one after the other. 6 of 6 inputs succeeded in "
        "the first, 1 in the second: RuntimeError: "
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [(leaking_on_cancel, "R4"), (hanging_on_cancel, "R4"), (calling_after_the_end, "R4")],
)
def test_what_a_cancelled_batch_leaves_is_found(make: Callable[[], Policy], rule: str) -> None:
    case = PolicyCase(make_sound_inputs(3, 1.0), max_concurrency=2, cancel_at=0.5, turns=0)
    check_cancel_of_batch(sound, case)
    with pytest.raises(BrokenRuleError, match="A batch of 3 inputs") as caught:
        check_cancel_of_batch(make, case)
    assert caught.value.rule == rule


def test_a_clean_up_that_a_second_cancel_breaks_off_is_named() -> None:
    with pytest.raises(BrokenRuleError) as caught:
        check_policy(timeout(1))
    assert caught.value.rule == "R4"
    assert caught.value.text == (
        "The run of one input (answer after 1 s), cancelled after 0.5 s, has ended, and a call of "
        "the node was broken off in its clean-up, as by a second cancel."
    )


def test_a_policy_that_makes_no_node_is_told_so() -> None:
    def policy(node: BaseNode) -> Any:
        return node.run

    with pytest.raises(TypeError, match=r"the policy .* must return a node, got"):
        check_policy(policy)


async def test_it_is_called_outside_of_event_loops() -> None:
    with pytest.raises(RuntimeError, match=r"^check_policy\(\) runs loops of its own; call it in"):
        check_policy(sound)


def test_without_hypothesis_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"needs hypothesis: pip install 'nadoo-flow\[testing\]'"):
        check_policy(sound)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: check_policy(5), r"policy must be a function, got 5"),  # type: ignore[arg-type]
        (lambda: check_policy(sound, calls_at_once=0), "calls_at_once must be at least 1, got 0"),
        (lambda: check_policy(sound, max_examples=0), "max_examples must be at least 1, got 0"),
        (lambda: check_policy(FunctionNode(len)), "policy must be a function, got"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_argument_is_refused(check: Callable[[], None], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        check()


def test_what_a_policy_raises_when_it_wraps_passes() -> None:
    def refuse(node: BaseNode) -> BaseNode:
        raise LookupError(node.node_id)

    with pytest.raises(LookupError, match="probe"):
        check_policy(refuse)
