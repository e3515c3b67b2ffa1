"""Whether items cost more, and need more memory, when there are more of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..model import Case, Params, Run, us_per_item
from ..nodes import Input, expected_total, make_node
from ..ways import OURS, WAYS, Way, contestants, over


class _Lazy(Iterable[Input]):
    """Makes the inputs while they are pulled, as often as they are."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __iter__(self) -> Iterator[Input]:
        return ({"n": number} for number in range(self._n))


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_node("yield"), params["concurrency"])
    return over(run, _Lazy(params["n"]))


CASES = (
    Case(
        module=__name__,
        name="growth",
        title="Cost of an item, and memory, over the number of inputs that are made as needed",
        unit="us/item",
        variants=tuple({"n": n, "concurrency": 10} for n in (10_000, 100_000, 1_000_000)),
        contestants=contestants(WAYS, _prepare, first=OURS),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
        over="smallest",
    ),
)
