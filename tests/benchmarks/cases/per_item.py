"""What the engine costs an item on top of what the node does; the inputs are a list."""

from __future__ import annotations

from typing import Any

from ..model import Case, Params, Run, us_per_item
from ..nodes import expected_total, inputs, make_work
from ..shapes import Way, over
from ..ways import FUNCTION_WAYS, NODE_WAYS, SYNC_WAYS, contestants

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_work(params["node"]), params["concurrency"])
    return over(run, inputs(params["n"]))


def _case(node: str, ways: dict[str, Any], title: str, *concurrencies: int) -> Case:
    return Case(
        module=__name__,
        name=f"per-item-{node}",
        title=title,
        unit="us/item",
        variants=tuple(
            {"n": n, "concurrency": concurrency, "node": node}
            for concurrency in concurrencies
            for n in SIZES
        ),
        contestants=contestants(ways, _prepare),
        expected=expected_total,
        figure=us_per_item,
        never_waits=node != "sleep",
    )


CASES = (
    _case(
        "function", FUNCTION_WAYS, "Cost of an item that goes to a function that suspends once", 10
    ),
    _case("sync-function", SYNC_WAYS, "Cost of an item that goes to a function without async", 10),
    _case("yield", NODE_WAYS, "Cost of an item whose node class suspends once", 10),
    _case("plain", NODE_WAYS, "Cost of an item whose node class never suspends", 10),
    _case("sleep", NODE_WAYS, "Time for an item whose node class sleeps 1 ms", 10, 100, 1000),
)
