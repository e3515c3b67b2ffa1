"""What workers do for the tests: each worker that starts imports this, so it imports little."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any


def name_worker(number: int) -> tuple[int, int]:
    """Take a moment, and return the number and the id of the process."""
    time.sleep(0.002)
    return number, os.getpid()


def die_at_13(number: int) -> int:
    """Take a moment, or the process with it."""
    if number == 13:
        os._exit(1)
    time.sleep(0.002)
    return number


def rest(number: int) -> int:
    """Take longer than anything else here."""
    time.sleep(0.01)
    return number


def note(file: Path, number: int) -> int:
    """Rest, and leave a byte in the file."""
    with file.open("ab") as notes:
        notes.write(b"x")
    return rest(number)


def name_span(_: object) -> tuple[str, str, bool]:
    """Return the ids of the current span, and whether it is sampled."""
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    return (
        trace.format_trace_id(current.trace_id),
        trace.format_span_id(current.span_id),
        current.trace_flags.sampled,
    )


def list_telemetry(_: object) -> list[str]:
    """Return which modules of the telemetry a worker has imported."""
    names = ("opentelemetry", "nadoo_flow.telemetry")
    return [name for name in sys.modules if name.startswith(names)]


def count_up(notes: Path, limit: int) -> Iterator[int]:
    """Yield numbers, and leave a byte in the file for each, one before and one at the end."""
    with notes.open("ab", buffering=0) as file:
        file.write(b"o")
        try:
            for number in range(limit):
                file.write(b".")
                yield number
        finally:
            file.write(b"x")


async def count_up_async(notes: Path, limit: int) -> AsyncIterator[int]:
    """Do the same as ``count_up``, and await something before each number and at the end."""
    numbers = count_up(notes, limit)
    try:
        for number in numbers:
            await asyncio.sleep(0)
            yield number
    finally:
        await asyncio.sleep(0)
        numbers.close()


def give_letters(word: str) -> Iterator[str]:
    """Yield letters; some of them fail, cannot be pickled, or cannot be unpickled."""
    for letter in word:
        if letter == "!":
            raise ValueError(f"no {word}")
        if letter == "#":
            yield threading.Lock()  # type: ignore[misc]
        if letter == "?":
            yield Odd()  # type: ignore[misc]
        if letter == "+":
            os._exit(1)
        yield letter


class Odd:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return int, ("odd",)


def refill(numbers: int) -> Iterator[dict[str, int]]:
    """Yield the same dict again and again, each time with other contents."""
    row: dict[str, int] = {}
    for number in range(numbers):
        row["number"] = number
        yield row


def name_threads(numbers: int) -> Iterator[tuple[int, int]]:
    """Yield the ids of the process and of the thread in which each step is taken."""
    for _ in range(numbers):
        yield os.getpid(), threading.get_ident()


def range_of(number: int) -> Iterator[int]:
    """Yield numbers."""
    yield from range(number)


def fail_once(file: Path, number: int) -> Iterator[int]:
    """Fail, unless the file is there; then yield numbers."""
    if not file.exists():
        file.touch()
        raise ConnectionError("again")
    yield from range(number)


def die_once(file: Path, number: int) -> Iterator[int]:
    """Take the process along, unless the file is there; then yield numbers."""
    if not file.exists():
        file.touch()
        os._exit(1)
    yield from range(number)


def count_generators(_: object) -> int:
    """Return how many generators a worker has."""
    from nadoo_flow.executors.host import hosting

    return len(hosting._generators)
