"""The iterator over the results of a batch says how far it is and which limit was reached."""

from __future__ import annotations

from nadoo_flow import BatchProcessor

from ..stand_ins import slowly


async def test_its_repr_says_which_limit_was_reached() -> None:
    async with BatchProcessor(slowly, 1, stop_when=bool).batch_as_completed([1, 2]) as results:
        assert repr(results) == "<ResultIterator: not begun>"
        assert [result.output async for result in results] == [1]
        assert repr(results) == (
            "<ResultIterator: 2 pulled, ended, stopped: stop_when returned True (bool)>"
        )
