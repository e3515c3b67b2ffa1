"""What it costs to watch a run, and what it costs that one could."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

from .._worker import agreed
from ..model import Case, Contestant, Outcome, Params, Run, as_measured
from ..nodes import expected_total, inputs, make_node

TURNS = 25
"""How often the run that is watched and the one that is not follow each other, and both again."""


def _unsubscribed(node: Any) -> Any:
    """Have a subscriber, but not any more when the run begins."""
    from nadoo_flow import BatchProcessor

    processor = BatchProcessor(node)
    processor.events.subscribe(print).dispose()
    return processor


def _subscribed(node: Any) -> Any:
    from nadoo_flow import BatchProcessor

    kinds: Counter[str] = Counter()

    def count(event: Any) -> None:
        kinds[event.kind] += 1

    processor = BatchProcessor(node)
    processor.events.subscribe(count)
    return processor


def _traced(node: Any) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(node, trace=True)


def _with_progress(node: Any) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(node, progress="always")


def _without_events(node: Any) -> Any:
    """Make a processor that does not even look whether anybody wants to know."""
    from nadoo_flow import BatchProcessor

    processor = BatchProcessor(node)
    # Of the same class as the others: the interpreter adapts its bytecode to one.
    vars(processor)["_report"] = lambda *_: None
    return processor


def _prepare(make: Callable[[Any], Any], params: Params) -> Run:
    node, given = make_node(params["node"]), inputs(params["n"])
    without, watched = _without_events(node), make(node)
    answers: list[list[int]] = []

    async def timed(processor: Any) -> float:
        started = process_time()
        results = await processor.batch(given)
        seconds = process_time() - started
        answers.append([len(results), sum(result.output for result in results)])
        return seconds

    async def once() -> Outcome:
        # Neighbours in time, so that a change of the machine's pace hits both, in either order.
        pairs = []
        for _ in range(TURNS):
            first = await timed(without), await timed(watched)
            second = await timed(watched), await timed(without)
            pairs += [first, second[::-1]]
        ratio = statistics.median(more / less for less, more in pairs)
        added = (ratio - 1) * statistics.median(less for less, _ in pairs) / params["n"] * 1e6
        return Outcome(agreed(answers), ratio, f"{added:+.2f} us/item")

    return once


def _contestant(name: str, make: Callable[[Any], Any]) -> Contestant:
    return Contestant(f"nadoo-flow batch, {name}", partial(_prepare, make))


CASES = (
    Case(
        module=__name__,
        name="watching",
        title="Processor time of a run over that of one without events, in turns",
        unit="x",
        variants=tuple({"n": 4_000, "node": node} for node in ("yield", "plain")),
        contestants=(
            _contestant("nobody is subscribed", _unsubscribed),
            _contestant("a subscriber counts events", _subscribed),
            _contestant("trace=True", _traced),
            _contestant('progress="always"', _with_progress),
        ),
        expected=expected_total,
        figure=as_measured,
        steady=False,
        over="nothing",
    ),
)
