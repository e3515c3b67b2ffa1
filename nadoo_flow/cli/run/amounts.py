"""Amounts on the command line, such as ``requests=500,tokens=90000``."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import NamedTuple

from ..console import parse_positive_number


class BudgetAmounts(NamedTuple):
    """What calls may use in any window of time.

    Attributes:
        limits: Most of each unit in a window.
        per: Length of the window in seconds.
    """

    limits: dict[str, float]
    per: float


def parse_amounts(text: str) -> dict[str, float]:
    """Read an argument such as ``usd=5,tokens=1e6``."""
    amounts: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.partition("=")
        if not (name.isidentifier() and equals):
            raise ArgumentTypeError(f"must be NAME=NUMBER, with commas between, got {text!r}")
        if name in amounts:
            raise ArgumentTypeError(f"must name each unit once, got {name!r} twice")
        amounts[name] = parse_positive_number(number)
    return amounts


def parse_budget(text: str) -> BudgetAmounts:
    """Read an argument such as ``requests=500,tokens=90000/60``."""
    limits, slash, seconds = text.partition("/")
    if not slash:
        raise ArgumentTypeError(
            f"must be NAME=NUMBER/SECONDS, such as requests=500,tokens=90000/60, got {text!r}"
        )
    return BudgetAmounts(parse_amounts(limits), parse_positive_number(seconds))


def parse_failures(text: str) -> float:
    """Read an argument that is a number of failures, or a part of the inputs below 1."""
    number = parse_positive_number(text)
    if number < 1:
        return number
    if not number.is_integer():
        raise ArgumentTypeError(f"must be a whole number, or a part below 1, got {text!r}")
    return int(number)
