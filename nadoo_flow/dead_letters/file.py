"""A file of dead letters: appended to by runs, read by people and programs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from .._support.checks import describe_value
from ..results.batch_result import BatchResult
from ..storage import Codec
from .error import DeadLetterError
from .letter import BEGINNING, DeadLetter, begins_like_letter, format_line, make_letter, parse_line


class LetterFile:
    """Appends letters to a file.

    Each is handed to the operating system before :meth:`take` returns, so it survives a killed
    process. Several runs may append to one file at the same time.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
        codec: Encodes inputs that JSON cannot hold.

    Raises:
        DeadLetterError: If the file cannot be written, or holds something else.
    """

    def __init__(self, path: str, codec: Codec | None = None) -> None:
        self._path = path
        self._codec = codec
        try:
            self._file = _open_for_letters(path)
        except OSError as error:
            raise DeadLetterError(f"{_name(path)} cannot be opened: {error.strerror}") from error

    def take(self, result: BatchResult) -> None:
        """Write the letter of a failed result.

        Args:
            result: The failed result.

        Raises:
            OSError: If that is not possible, as on a full disk.
        """
        self.write(make_letter(result))

    def write(self, letter: DeadLetter) -> None:
        """Write a letter.

        Args:
            letter: The letter; one that JSON cannot hold is written as a text.
        """
        left = memoryview(format_line(letter, self._codec))
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_failed(path: str | os.PathLike[str], codec: Codec | None = None) -> list[DeadLetter]:
    """Read the letters of a file, in the order in which they were written.

    An input that failed in several runs has a letter of each. What is left of a line whose writer
    was killed in the middle is left out: its result was not handed out.

    Args:
        path: The file.
        codec: That of the batch, if it had one; decodes inputs that JSON cannot hold.

    Raises:
        DeadLetterError: If a line is no dead letter, or needs a codec that is not given.
        OSError: If the file cannot be read.

    Example:
        >>> processor = BatchProcessor(lambda n: 60 // n, failed_to="failed.jsonl")
        >>> results = asyncio.run(processor.batch([5, 0]))
        >>> [letter.input for letter in read_failed("failed.jsonl")]  # to try again, for instance
        [0]
    """
    with open(path, "rb") as file:
        try:
            return [*read_letters(file, codec)]
        except DeadLetterError as error:
            raise DeadLetterError(f"{_name(os.fspath(path))}: {error}") from error.__cause__


def read_letters(lines: Iterable[bytes], codec: Codec | None = None) -> Iterator[DeadLetter]:
    """Read letters of lines one at a time; see :func:`read_failed`."""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            letter = parse_line(line, codec)
        except DeadLetterError as error:
            raise DeadLetterError(f"line {number} {error}") from error.__cause__
        if letter is not None:
            yield letter


def check_path(path: str | os.PathLike[str]) -> str:
    """Return the path of a file of letters as a text.

    Raises:
        TypeError: If it is none.
    """
    text = os.fspath(path)
    if not isinstance(text, str) or not text:
        raise TypeError(f"failed_to must be a path or a function, got {describe_value(path)}")
    return text


def _open_for_letters(path: str) -> BinaryIO:
    """Open a file to append to, on a line of its own."""
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise DeadLetterError(f"{_name(path)} is no file that can be appended to")
    # Without a buffer, so that nothing waits in the process that may be killed.
    file = open(path, "ab", buffering=0)  # noqa: SIM115  # it stays open for the run
    try:
        with open(path, "rb") as written:
            begins, is_torn = _look_at_ends(written)
        if not begins_like_letter(begins.partition(b"\n")[0]):
            raise DeadLetterError(f"{_name(path)} holds something else; name another file")
        if is_torn:
            file.write(b"\n")
    except BaseException:
        file.close()
        raise
    return file


def _look_at_ends(file: BinaryIO) -> tuple[bytes, bool]:
    """Return how a file begins, and whether its last line has no end."""
    begins = file.read(len(BEGINNING))
    if not begins:
        return begins, False
    file.seek(-1, os.SEEK_END)
    return begins, file.read(1) != b"\n"


def _name(path: str) -> str:
    return f"the file of dead letters {path!r}"
