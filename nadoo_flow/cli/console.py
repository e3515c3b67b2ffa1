"""What the commands share: how they take arguments, fail, show progress, and print."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Self, TextIO, TypeAlias

from .._support import checks

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class CommandError(Exception):
    """Ends a command with one line on stderr and exit status 2."""


class Progress:
    """Counts on a stream what is done: in one line that rewrites itself, if it is a terminal.

    Elsewhere (a file, a log) it is a few plain lines.

    Args:
        total: How many there are to do.
        what: What they are, in the plural.
        stream: Where to write; usually stderr.
        clock: Tells the seconds.
    """

    def __init__(
        self, total: int, what: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._what = what
        self._stream = stream
        self._clock = clock
        self._rewrites = stream.isatty()
        self._pause = 0.1 if self._rewrites else 2.0
        self._next_line = clock() + self._pause
        self._done = 0

    def advance(self) -> None:
        """Count one more, and show the count if it was not shown just now."""
        self._done += 1
        now = self._clock()
        if now < self._next_line:
            return
        self._next_line = now + self._pause
        line = f"{self._done:,} of {self._total:,} {self._what}"
        self._stream.write(f"\r{line}\x1b[K" if self._rewrites else f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._rewrites:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def positive(text: str) -> int:
    """Read an argument that must be a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """Read an argument that must be a number above 0."""
    try:
        return checks.check_positive_number(float(text), "it")
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}") from None


def table(rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Set rows of the same length in columns; those numbered in ``right`` are aligned right."""
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        cells = [printable(cell) for cell in column]
        width = max(map(len, cells))
        columns.append(
            [cell.rjust(width) if number in right else cell.ljust(width) for cell in cells]
        )
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, cut to the width of the terminal, if it is one."""
    width = shutil.get_terminal_size((0, 0)).columns
    for line in lines:
        print(line if len(line) <= width or not width else f"{line[: width - 3]}...")


def printable(text: str) -> str:
    """Escape what a terminal would obey or cannot show: file names and texts hold anything."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
