"""Searching for a case in which a rule is broken."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..virtual_loop import DeadlockError, VirtualTimeLoop
from .rules import BrokenRuleError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

TURNS = 5_000
"""Turns of the loop that no case may take."""

SHRINKING = 5.0
"""Real seconds in which a simpler case is looked for when a rule is broken in one."""

PATIENCE = 3600.0
"""Virtual seconds within which what was cancelled has ended, and after which all is quiet."""


def import_strategies() -> Any:
    """Import the strategies of hypothesis.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        from hypothesis import strategies
    except ImportError as error:
        message = "a check of the contract needs hypothesis: pip install 'nadoo-flow[testing]'"
        raise ImportError(message) from error
    return strategies


def check_outside_of_loops(name: str) -> None:
    """Check that no event loop is running in this thread.

    Raises:
        RuntimeError: If one is.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(f"{name}() runs loops of its own; call it in a test that is not async")


def run_in_loop(
    main: Callable[[], Coroutine[Any, Any, T]], rule_of_hanging: str, situation: str
) -> T:
    """Run a coroutine in a virtual loop of its own.

    Args:
        main: Makes the coroutine.
        rule_of_hanging: The rule that is broken if it does not end.
        situation: What it does, for the text of the error.

    Raises:
        BrokenRuleError: If it does not end.
    """
    try:
        with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, max_turns=TURNS)) as runner:
            return runner.run(main())
    except DeadlockError as error:
        raise BrokenRuleError(rule_of_hanging, f"{situation} does not end: {error}") from None


def search(check: Callable[[T], None], cases: SearchStrategy[T], max_examples: int) -> None:
    """Make a check in many cases, the same each time.

    What it raises in one is raised, in the simplest that is found.

    Raises:
        BrokenRuleError: If a rule is broken in one.
    """
    from hypothesis import HealthCheck, given, settings

    broken: BrokenRuleError | None = None
    until = math.inf

    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def check_case(case: T) -> None:
        nonlocal broken, until
        if time.monotonic() > until:
            return
        try:
            check(case)
        except BrokenRuleError as error:
            broken, until = error, min(until, time.monotonic() + SHRINKING)
            raise

    try:
        check_case()
    except Exception:
        # Hypothesis objects when a case passes that did not before, because the policy has a state,
        # or the time is over. That is no reason to hide what was found.
        if broken is None:
            raise
    if broken is not None:
        raise BrokenRuleError(broken.rule, broken.text)
