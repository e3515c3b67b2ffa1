"""One value for each loop, however many threads ask for theirs for the first time."""

from __future__ import annotations

import asyncio
import copy
import pickle

from nadoo_flow._support.per_loop import PerLoop

from ..threads import in_loops


def test_rule_r20_each_loop_keeps_its_own_value_when_threads_ask_together() -> None:
    values = [PerLoop[object]() for _ in range(20)]

    async def use(number: int) -> object:
        first = values[number].get(object)
        await asyncio.sleep(0)
        assert values[number].get(object) is first
        return first

    for made in in_loops(4, 20, use):
        assert len(set(made)) == 4


def test_the_value_of_a_closed_loop_is_dropped_with_the_next() -> None:
    values = PerLoop[int]()

    async def use(value: int) -> int:
        return values.get(lambda: value)

    assert [asyncio.run(use(value)) for value in (1, 2, 3)] == [1, 2, 3]
    assert len(values) == 1


def test_a_copy_begins_with_no_value() -> None:
    values = PerLoop[int]()

    async def use() -> int:
        return values.get(lambda: 1)

    asyncio.run(use())
    assert len(values) == 1
    assert len(copy.deepcopy(values)) == len(pickle.loads(pickle.dumps(values))) == 0
