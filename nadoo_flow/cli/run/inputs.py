"""Inputs from files, read one at a time, so that a file may have any size."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any

from ...errors import describe_error
from .bad_line import BadLine
from .files import UNREADABLE, open_to_read
from .readers import A_LINE_EACH, InputsError, Numbered, Reader, read_text_lines

AHEAD = 256
"""Inputs that are read ahead from a pipe or terminal."""


class Reading:
    """How inputs are read, and which index each has in the output.

    Args:
        read: Makes inputs of lines.
        limit: Most inputs.
        stops: Whether a bad line ends the run, instead of failing in the place of an input.
    """

    def __init__(self, read: Reader, limit: int | None = None, *, stops: bool = False) -> None:
        self.read = read
        self.limit = limit
        self._stops = stops
        self._indexes: dict[int, int] = {}

    def iterate(self, file: str | int) -> Iterator[Any]:
        """Read the inputs of a file from its beginning.

        Raises:
            InputsError: If that is not possible.
        """
        try:
            with open_to_read(file) as lines:
                for position, value in enumerate(islice(self.read(lines), self.limit)):
                    yield self._check(position, value)
        except UNREADABLE as error:
            raise InputsError(f"cannot be read: {describe_error(error)}") from error

    def count(self, file: str) -> int:
        """Count the inputs of a file."""
        # JSON need not be parsed to be counted.
        read = read_text_lines if self.read in A_LINE_EACH else self.read
        with open_to_read(file) as lines:
            return sum(1 for _ in islice(read(lines), self.limit))

    def pop_index(self, position: int) -> int:
        """Return the index of an input in the output, once."""
        return self._indexes.pop(position, position)

    def _check(self, position: int, value: Any) -> Any:
        if type(value) is Numbered:
            self._indexes[position], value = value.index, value.value
        if self._stops and type(value) is BadLine:
            raise InputsError(value.error)
        return value


class FileInputs:
    """The inputs of a file; each iteration reads the file from its beginning.

    Args:
        file: A path.
        reading: How to read it.
    """

    def __init__(self, file: str, reading: Reading) -> None:
        self._file = file
        self.reading = reading

    def __iter__(self) -> Iterator[Any]:
        return self.reading.iterate(self._file)

    def __len__(self) -> int:
        return self.reading.count(self._file)


class PipeInputs:
    """The inputs of a pipe or a terminal, read in a thread, since reading may block.

    Args:
        file: A path, or a file descriptor.
        reading: How to read it.
    """

    def __init__(self, file: str | int, reading: Reading) -> None:
        self._file = file
        self.reading = reading

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
                for value in self.reading.iterate(self._file):
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


def open_inputs(path: str, reading: Reading) -> FileInputs | PipeInputs:
    """Return the inputs of a file, a pipe or a terminal; ``-`` is the standard input.

    Raises:
        InputsError: If it cannot be opened.
    """
    file = 0 if path == "-" else path
    try:
        mode = os.stat(file).st_mode
        if isinstance(file, str) and stat.S_ISREG(mode):
            open_to_read(file).close()
            return FileInputs(file, reading)
    except OSError as error:
        raise InputsError(f"cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise InputsError("is a folder")
    return PipeInputs(file, reading)
