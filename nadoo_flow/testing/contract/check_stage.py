"""Checking a stage of one's own against the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._support.checks import check_positive_int, check_sync_function
from .searching import check_outside_of_loops, import_strategies, search
from .stage_case import StageCase
from .stage_checks import StageChecker
from .stage_subject import MakeStage, Model, make_subject_maker

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def check_stage(
    stage: MakeStage,
    *,
    items: SearchStrategy[Any] | None = None,
    model: Model | None = None,
    max_examples: int = 30,
) -> None:
    """Check that a stage keeps the rules of the contract, with Hypothesis, in virtual time.

    It is run over many lists and streams of items. The checks:

    - 102: it comes to an end, over no items too.
    - R2: its outcome is the right one, in the order of the items.
    - R1: as many calls of its work run at a time as ``max_concurrency`` says, and no more.
    - R3: a stream of more items than the window has room for comes to its end.
    - 101: a consumer that takes few outputs stops the source.
    - 103, 105, 107: its operator emits one signal after the other, completes once, and is silent
      from then on.
    - 104: an error of the source comes behind the outputs of the items before it.
    - 206: when ``take(n)`` has enough, the source is closed and nothing is left.
    - R4: when a stream is cancelled, it ends, no task is left, each ``finally`` has run, and the
      source is closed.
    - 313: when a stream has ended, the same.

    It needs the extra ``testing``, and runs event loops of its own, so call it in a test that is
    not async.

    Args:
        stage: The stage, or a function that makes one for each run. If the function has a
            parameter, it gets the work to build the stage on: an async function that takes a second
            and returns its argument. Only with that can be seen how many calls run at a time, and
            whether they have ended.
        items: A Hypothesis strategy for an item; integers by default.
        model: What the stage gives for a list of items. By default each item must give what it
            gives alone, one after the other, which is so for stages that map, filter or split.
        max_examples: How many cases are tried for each rule; they are the same each time.

    Raises:
        BrokenRuleError: If a rule is broken. It is an AssertionError, and says in words which rule
            that is, and in which case, the simplest that was found.
        ImportError: If hypothesis is not installed.
        RuntimeError: If it is called while an event loop runs.

    Example:
        >>> from nadoo_flow import MapNode, ReduceNode
        >>> check_stage(lambda work: MapNode("map", work, max_concurrency=3), max_examples=5)
        >>> add = ReduceNode("sum", lambda total, number: total + number, 0)
        >>> check_stage(add, model=sum, max_examples=5)
    """
    make = make_subject_maker(stage)
    if model is not None:
        check_sync_function(model, "model")
    max_examples = check_positive_int(max_examples, "max_examples")
    check_outside_of_loops("check_stage")
    strategies = import_strategies()
    checker = StageChecker(make, model)
    cases = strategies.builds(
        StageCase,
        items=strategies.lists(strategies.integers(0, 99) if items is None else items, max_size=8),
        window=strategies.integers(1, 5),
        taken=strategies.integers(0, 3),
        cancel_at=strategies.sampled_from([0.0, 0.3, 1.2, 1.7, 4.0]),
        turns=strategies.integers(0, 4),
    )
    for check in (
        checker.check_results,
        checker.check_concurrency,
        checker.check_signals,
        checker.check_end,
        checker.check_window,
        checker.check_demand,
        checker.check_source_error,
        checker.check_cancel,
        checker.check_take,
    ):
        search(check, cases, max_examples)
