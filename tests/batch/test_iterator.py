"""The iterator over the results of a batch says what it is and how far it is."""

from __future__ import annotations

import asyncio

from nadoo_flow import BatchProcessor

from ..stand_ins import now, slowly


async def test_its_repr_says_how_far_it_is() -> None:
    async with BatchProcessor(slowly, 2).batch_as_completed([1, 1, 3]) as results:
        assert repr(results) == "<ResultIterator: not begun>"
        await anext(results)
        await asyncio.sleep(0.5)
        assert repr(results) == (
            "<ResultIterator: 3 inputs pulled, 1 in work, 1 result to be taken>"
        )
        assert [result.output async for result in results] == [1, 3]
        assert (repr(results), now()) == ("<ResultIterator: 3 inputs pulled, ended>", 4)
    assert repr(results) == "<ResultIterator: closed>"


async def test_its_repr_says_that_it_is_drained_or_has_reached_a_limit() -> None:
    async with BatchProcessor(slowly, 1).batch_as_completed([1, 2]) as results:
        await anext(results)
        results.drain()
        assert repr(results) == "<ResultIterator: 2 inputs pulled, 1 in work, drained>"
    async with BatchProcessor(slowly, 1, stop_when=bool).batch_as_completed([1, 2]) as results:
        assert [result.output async for result in results] == [1]
        assert repr(results) == (
            "<ResultIterator: 2 inputs pulled, stopped: stop_when returned True (bool), ended>"
        )
