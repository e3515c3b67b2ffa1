"""Sums of what executions used: the numbers in their ``metadata["usage"]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Usage: TypeAlias = dict[str, float]


class UsageCount:
    """Adds up what answers used, and what they saved.

    Attributes:
        usage: The sums of the numbers in ``metadata["usage"]``, by their names.
        saved: Those in ``metadata["saved"]``: what would have been used again without a record.
    """

    def __init__(self) -> None:
        self.usage: Usage = {}
        self.saved: Usage = {}

    def add(self, metadata: Mapping[str, Any]) -> None:
        """Count an answer, given its metadata."""
        _add(self.usage, read_numbers(metadata.get("usage")))
        _add(self.saved, read_numbers(metadata.get("saved")))

    def make_metadata(self) -> dict[str, Usage]:
        """Make the entries of metadata that hold the sums which are not empty."""
        sums = {"usage": self.usage, "saved": self.saved}
        return {entry: total for entry, total in sums.items() if total}


def read_numbers(usage: object) -> Usage:
    """Return the numbers of an entry of metadata; whatever is no number does not count."""
    if not isinstance(usage, dict):
        return {}
    return {name: number for name, number in usage.items() if _is_counted(number)}


def describe_usage(usage: Usage, saved: Usage) -> str:
    """Write ``12,345 tokens, 0.041 usd; saved 812 tokens``."""
    parts = [_name_numbers(usage)] if usage else []
    parts += [f"saved {_name_numbers(saved)}"] if saved else []
    return "; ".join(parts)


def format_number(number: float) -> str:
    """Format a whole number with all its digits, and any other with four."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.4g}"


def _name_numbers(usage: Usage) -> str:
    return ", ".join(f"{format_number(number)} {name}" for name, number in usage.items())


def _add(total: Usage, more: Usage) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def _is_counted(number: object) -> bool:
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False
