"""The operator ``map`` of the engine."""

from __future__ import annotations

import pytest
from reactivex import Subject

from nadoo_flow.streams import map_directly


@pytest.mark.parametrize("end", ["|", "failed"])
def test_it_emits_what_the_function_makes_and_then_the_end(end: str) -> None:
    source, seen = Subject[int](), list[str]()
    mapped = source.pipe(map_directly(str))
    mapped.subscribe(seen.append, lambda error: seen.append(str(error)), lambda: seen.append("|"))
    source.on_next(1)
    source.on_next(2)
    if end == "|":
        source.on_completed()
    else:
        source.on_error(ValueError(end))
    assert seen == ["1", "2", end]


def test_nothing_comes_after_dispose() -> None:
    source, seen = Subject[int](), list[str]()
    subscription = source.pipe(map_directly(str)).subscribe(seen.append)
    source.on_next(1)
    subscription.dispose()
    source.on_next(2)
    assert seen == ["1"]
    assert source.observers == []
