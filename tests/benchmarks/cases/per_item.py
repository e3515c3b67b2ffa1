"""What the engine costs an item on top of what the node does; the inputs are a list."""

from __future__ import annotations

from ..model import Case, Params, Run, us_per_item
from ..nodes import expected_total, inputs, make_node
from ..ways import WAYS, Way, contestants, over

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_node(params["node"]), params["concurrency"])
    return over(run, inputs(params["n"]))


def _case(name: str, title: str, node: str, *concurrencies: int) -> Case:
    return Case(
        module=__name__,
        name=name,
        title=title,
        unit="us/item",
        variants=tuple(
            {"n": n, "concurrency": concurrency, "node": node}
            for concurrency in concurrencies
            for n in SIZES
        ),
        contestants=contestants(WAYS, _prepare),
        expected=expected_total,
        figure=us_per_item,
        never_waits=node != "sleep",
    )


CASES = (
    _case("per-item-plain", "Cost of an item whose node never suspends", "plain", 10),
    _case("per-item-yield", "Cost of an item whose node suspends once", "yield", 10),
    _case("per-item-sleep", "Time for an item whose node sleeps 1 ms", "sleep", 10, 100, 1000),
)
