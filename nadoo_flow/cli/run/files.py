"""Files of text, compressed if their name ends in ``.gz``."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import BinaryIO, TextIO, cast

from ..console import CommandError

UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file may raise; the latter two if it is compressed."""

GZ = ".gz"


def open_to_read(file: str | int) -> TextIO:
    """Open lines of UTF-8, with or without a byte order mark.

    Bytes that are not UTF-8 become characters that UTF-8 cannot encode, by which they are found.
    """
    # The module csv needs the line ends inside quotes unchanged.
    form = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    if is_compressed(file):
        return cast(TextIO, gzip.open(cast(str, file), "rt", **form))  # type: ignore[call-overload]
    return open(file, closefd=file != 0, **form)  # type: ignore[call-overload, no-any-return]


def open_to_write(path: str, newline: str | None = None) -> TextIO:
    """Open a file to write lines to, which leave the process at once unless it is compressed.

    Raises:
        CommandError: If that is not possible.
    """
    # A lone surrogate, which UTF-8 cannot encode, is escaped as in JSON.
    form = {"encoding": "utf-8", "errors": "backslashreplace", "newline": newline}
    try:
        if is_compressed(path):
            return cast(TextIO, gzip.open(path, "wt", **form))  # type: ignore[call-overload]
        return open(path, "w", buffering=1, **form)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        raise make_write_error(path, error) from error


def open_bytes_to_write(path: str) -> BinaryIO:
    """Open a file to write bytes to.

    Raises:
        CommandError: If that is not possible.
    """
    try:
        return open(path, "wb")
    except OSError as error:
        raise make_write_error(path, error) from error


def make_write_error(path: str, error: OSError) -> CommandError:
    """Make the error that says why a file cannot be written."""
    return CommandError(f"cannot write {path}: {error.strerror}")


def is_compressed(file: str | int) -> bool:
    """Return whether a file is compressed, according to its name."""
    return isinstance(file, str) and file.lower().endswith(GZ)


def get_ending(path: str) -> str:
    """Return the ending that says what a file holds, in small letters."""
    path = path.lower().removesuffix(GZ)
    return os.path.splitext(path)[1]
