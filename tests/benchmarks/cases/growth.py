"""Whether items cost more, and need more memory, when there are more of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from ..model import Case, Contestant, Outcome, Params, Run, us_per_item
from ..nodes import Input, expected_total, make_work
from ..shapes import Stream, Way, folded, over
from ..watchers import BAR, CHECKPOINT, TRACE, WATCHERS, Make
from ..ways import FUNCTION_WAYS, OURS, contestants


class _Lazy(Iterable[Input]):
    """Makes the inputs while they are pulled, as often as they are."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __iter__(self) -> Iterator[Input]:
        return ({"n": number} for number in range(self._n))


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_work("function"), params["concurrency"])
    return over(run, _Lazy(params["n"]))


def _prepare_watched(make: Make, params: Params) -> Run:
    given = _Lazy(params["n"])

    async def once() -> Outcome:
        way = folded(lambda work, limit: Stream(make(work, limit).batch_as_completed))
        return Outcome(await way(make_work("function"), params["concurrency"])(given))

    return once


def watched(name: str) -> str:
    """Name the contestant whose run has one of the watchers."""
    return f"{OURS}, {name}"


CASES = (
    Case(
        module=__name__,
        name="growth",
        title="Cost of an item, and memory, over the number of inputs that are made as needed",
        unit="us/item",
        variants=tuple({"n": n, "concurrency": 10} for n in (10_000, 100_000, 1_000_000)),
        contestants=(
            *contestants(FUNCTION_WAYS, _prepare, first=OURS),
            *(
                Contestant(watched(name), partial(_prepare_watched, WATCHERS[name]))
                for name in (TRACE, BAR, CHECKPOINT)
            ),
        ),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
        over="smallest",
    ),
)
