"""Inputs from files, read one at a time, so that a file may have any size."""

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
"""Inputs that are read ahead from a pipe or terminal."""

LARGEST_FIELD = 2**31 - 1
"""Characters in a field of a CSV file; Python's default is too small for a long prompt."""

Reader: TypeAlias = "Callable[[Iterator[str]], Iterator[Any]]"


class InputsError(Exception):
    """The inputs cannot be read."""


def read_json_lines(lines: Iterator[str]) -> Iterator[Any]:
    """Read one JSON value from each line that is not blank."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            try:
                yield json.loads(line, parse_constant=_refuse_constant)
            except (ValueError, RecursionError) as error:
                raise InputsError(f"line {number} is not JSON: {describe_error(error)}") from error


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def read_csv_rows(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Read a mapping from each row, with the names in the first row as keys."""
    csv.field_size_limit(LARGEST_FIELD)
    rows = csv.DictReader(lines, strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise InputsError(
                    f"line {rows.line_num} has not as many fields as the header has names"
                )
            yield row
    except csv.Error as error:
        raise InputsError(f"line {rows.line_num} is not CSV: {error}") from error


def read_text_lines(lines: Iterator[str]) -> Iterator[str]:
    """Read each line that is not blank, without its end."""
    return (line.rstrip("\r\n") for line in lines if not line.isspace())


FORMATS: dict[str, Reader] = {
    "jsonl": read_json_lines,
    "csv": read_csv_rows,
    "text": read_text_lines,
}
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}


def guess_format(path: str) -> str:
    """Return the format that the ending of a file stands for; text by default."""
    return ENDINGS.get(os.path.splitext(path)[1].lower(), "text")


class FileInputs:
    """The inputs of a file; each iteration reads the file from its beginning.

    Args:
        file: A path.
        read: Makes inputs of lines.
        limit: Most inputs.
    """

    def __init__(self, file: str, read: Reader, limit: int | None = None) -> None:
        self._file = file
        self._read = read
        self._limit = limit

    def __iter__(self) -> Iterator[Any]:
        with _open(self._file) as lines:
            yield from islice(_translate_errors(self._read(lines)), self._limit)

    def __len__(self) -> int:
        # JSON need not be parsed to be counted: each line that is not blank is an input.
        read = read_csv_rows if self._read is read_csv_rows else read_text_lines
        with _open(self._file) as lines:
            return sum(1 for _ in islice(read(lines), self._limit))


class PipeInputs:
    """The inputs of a pipe or a terminal, read in a thread, since reading may block.

    Args:
        file: A path, or a file descriptor.
        read: Makes inputs of lines.
        limit: Most inputs.
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

        def pass_on(is_input: bool, value: object) -> None:
            arrived.put((is_input, value))
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(something.set)

        def read() -> None:
            try:
                # The thread may wait for ever, so it has a file of its own and outlives the run.
                with _open(self._file) as lines:
                    for value in islice(_translate_errors(self._read(lines)), self._limit):
                        room.acquire()
                        if over.is_set():
                            return
                        pass_on(True, value)
                pass_on(False, None)
            except Exception as error:
                pass_on(False, error)

        threading.Thread(target=read, name="inputs", daemon=True).start()
        try:
            while True:
                while arrived.empty():
                    something.clear()
                    await something.wait()
                is_input, value = arrived.get()
                if is_input:
                    room.release()
                    yield value
                elif value is None:
                    return
                else:
                    raise value
        finally:
            over.set()
            room.release()


def open_inputs(path: str, read: Reader, limit: int | None = None) -> FileInputs | PipeInputs:
    """Return the inputs of a file, a pipe or a terminal; ``-`` is the standard input.

    Raises:
        InputsError: If it cannot be opened.
    """
    file = 0 if path == "-" else path
    try:
        mode = os.stat(file).st_mode
        if isinstance(file, str) and stat.S_ISREG(mode):
            _open(file).close()
            return FileInputs(file, read, limit)
    except OSError as error:
        raise InputsError(f"cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise InputsError("is a folder")
    return PipeInputs(file, read, limit)


def _open(file: str | int) -> TextIO:
    """Open lines of UTF-8, with or without a byte order mark."""
    # The module csv needs the line ends inside quotes unchanged.
    return open(file, encoding="utf-8-sig", newline="", closefd=file != 0)


def _translate_errors(inputs: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from inputs
    except (OSError, UnicodeError) as error:
        raise InputsError(f"cannot be read: {describe_error(error)}") from error
