"""Arguments, errors and printing, as all commands need them."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from .._support import checks

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class CommandError(Exception):
    """Ends a command with one line on stderr and exit status 2."""


def parse_positive_int(text: str) -> int:
    """Read an argument that must be a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def parse_positive_number(text: str) -> float:
    """Read an argument that must be a number above 0."""
    try:
        return checks.check_positive_number(float(text), "it")
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}") from None


def format_table(rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Format rows of equal length as columns; those numbered in ``right`` are right-aligned."""
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        cells = [escape_unprintable(cell) for cell in column]
        width = max(map(len, cells))
        columns.append(
            [cell.rjust(width) if number in right else cell.ljust(width) for cell in cells]
        )
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; on a terminal cut them to its width."""
    width = shutil.get_terminal_size((0, 0)).columns
    for line in lines:
        print(line if len(line) <= width or not width else f"{line[: width - 3]}...")


def escape_unprintable(text: str) -> str:
    """Escape the characters of a text that a terminal would obey or cannot show."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
