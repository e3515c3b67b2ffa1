"""Inputs from files: one record at a time, whatever the size of the file."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any, TextIO, TypeAlias

from ...errors import describe_error

AHEAD = 256
"""Records that are read ahead from what may block."""

LARGEST_FIELD = 2**31 - 1
"""Characters in a field of a CSV file; Python's own limit is less than a long prompt has."""

Reader: TypeAlias = "Callable[[Iterator[str]], Iterator[Any]]"


class RecordsError(Exception):
    """The inputs cannot be read."""


def json_lines(lines: Iterator[str]) -> Iterator[Any]:
    """Read one JSON value from each line that is not blank."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            try:
                yield json.loads(line, parse_constant=_no_json)
            except (ValueError, RecursionError) as error:
                raise RecordsError(f"line {number} is not JSON: {describe_error(error)}") from error


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def csv_rows(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Read a mapping from each row, with the names in the first row as keys."""
    csv.field_size_limit(LARGEST_FIELD)
    rows = csv.DictReader(lines, strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise RecordsError(
                    f"line {rows.line_num} has not as many fields as the header has names"
                )
            yield row
    except csv.Error as error:
        raise RecordsError(f"line {rows.line_num} is not CSV: {error}") from error


def text_lines(lines: Iterator[str]) -> Iterator[str]:
    """Read each line that is not blank, without its end."""
    return (line.rstrip("\r\n") for line in lines if not line.isspace())


FORMATS: dict[str, Reader] = {"jsonl": json_lines, "csv": csv_rows, "text": text_lines}
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}


def format_of(path: str) -> str:
    """Name the format of a file by its ending; what is no JSON Lines and no CSV is text."""
    return ENDINGS.get(os.path.splitext(path)[1].lower(), "text")


class FileRecords:
    """The records of a file, read anew by each iteration, as they are asked for.

    Args:
        file: A path.
        read: Makes records of lines.
        limit: Most records.
    """

    def __init__(self, file: str, read: Reader, limit: int | None = None) -> None:
        self._file = file
        self._read = read
        self._limit = limit

    def __iter__(self) -> Iterator[Any]:
        with opened(self._file) as lines:
            yield from islice(_told(self._read(lines)), self._limit)

    def __len__(self) -> int:
        # Without reading more of a line than that it is there.
        read = csv_rows if self._read is csv_rows else text_lines
        with opened(self._file) as lines:
            return sum(1 for _ in islice(read(lines), self._limit))


class PipeRecords:
    """The records of a pipe or a terminal, read in a thread, since nobody knows when they come.

    Args:
        file: A path, or a file descriptor.
        read: Makes records of lines.
        limit: Most records.
    """

    def __init__(self, file: str | int, read: Reader, limit: int | None = None) -> None:
        self._file = file
        self._read = read
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        arrived: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        room = threading.Semaphore(AHEAD)
        something = asyncio.Event()
        over = threading.Event()

        def tell(is_record: bool, value: object) -> None:
            arrived.put((is_record, value))
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(something.set)

        def read() -> None:
            try:
                # The thread may wait for input for ever, so it has its own file and is left behind.
                with opened(self._file) as lines:
                    for record in islice(_told(self._read(lines)), self._limit):
                        room.acquire()
                        if over.is_set():
                            return
                        tell(True, record)
                tell(False, None)
            except Exception as error:
                tell(False, error)

        threading.Thread(target=read, name="inputs", daemon=True).start()
        try:
            while True:
                while arrived.empty():
                    something.clear()
                    await something.wait()
                is_record, value = arrived.get()
                if is_record:
                    room.release()
                    yield value
                elif value is None:
                    return
                else:
                    raise value
        finally:
            over.set()
            room.release()


def records(path: str, read: Reader, limit: int | None = None) -> FileRecords | PipeRecords:
    """Find out what a path is, and return its records; ``-`` is the standard input.

    Raises:
        RecordsError: If it cannot be opened.
    """
    file = 0 if path == "-" else path
    try:
        mode = os.stat(file).st_mode
        if isinstance(file, str) and stat.S_ISREG(mode):
            opened(file).close()
            return FileRecords(file, read, limit)
    except OSError as error:
        raise RecordsError(f"cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise RecordsError("is a folder")
    return PipeRecords(file, read, limit)


def opened(file: str | int) -> TextIO:
    """Open lines of UTF-8, with or without a byte order mark."""
    # csv wants line ends inside quotes as they are.
    return open(file, encoding="utf-8-sig", newline="", closefd=file != 0)


def _told(records: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from records
    except (OSError, UnicodeError) as error:
        raise RecordsError(f"cannot be read: {describe_error(error)}") from error
