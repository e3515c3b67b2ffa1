"""Equal inputs are written as equal bytes, and different ones are not."""

from __future__ import annotations

import datetime
from collections import UserDict, deque
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest

from nadoo_flow.storage import encode_canonically


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Prompt:
    text: str
    when: datetime.date


DAY = datetime.date(2024, 1, 2)
INPUTS: list[Any] = [
    *(
        None,
        True,
        1,
        "1",
        "",
        "text",
        1.5,
        [1],
        {"a": 1},
        {"a": 2},
        {"b": 1},
        [[1]],
        {"a": {"b": 1}},
    ),
    *(b"text", b"other", DAY, datetime.datetime(2024, 1, 2), datetime.timedelta(2), Decimal(1)),
    *(Decimal("1.0"), UUID(int=1), PurePosixPath("a"), Colour.RED, Colour.BLUE, {1, 2}, {1}),
    *(Prompt("a", DAY), Prompt("b", DAY), UserDict(a=1), deque([1]), 1j, range(3), range(4)),
    *(frozenset({"a", "b"}), {"when": DAY}, [Prompt("a", DAY)], float("nan"), {1: "a"}),
]


def test_different_inputs_are_written_differently() -> None:
    written = [encode_canonically(value) for value in INPUTS]
    assert len(set(written)) == len(INPUTS)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2, "a", "b", "c"}, {"c", "b", "a", 1, 2, 3}),
        ((1, 2), [1, 2]),
        (bytearray(b"x" * 9), bytearray(b"x" * 9)),
        (Prompt("a", DAY), Prompt("a", DAY)),
    ],
)
def test_equal_inputs_are_written_as_the_same_bytes(one: object, same: object) -> None:
    assert encode_canonically(one) == encode_canonically(same)
