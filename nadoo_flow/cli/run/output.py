"""Results as lines of JSON, and what all kinds of output have in common."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol, TextIO

from typing_extensions import override

from ...errors import describe_error
from ...results.batch_result import BatchResult
from .bad_line import BadLine
from .files import open_to_write

to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode

TakeFailed = Callable[[BatchResult], None]
"""Called with each result before it is written."""


class LineCodec:
    """Encodes outputs for a checkpoint as in the lines of the output, where a tuple is a list."""

    def encode(self, value: Any) -> bytes:
        """Turn an output into JSON."""
        return to_json(value).encode(errors="backslashreplace")

    def decode(self, data: bytes) -> Any:
        """Read JSON."""
        return json.loads(data)


class Output(Protocol):
    """Where results go.

    The file is created for the first result, so a run that cannot begin overwrites nothing.
    """

    def write(self, result: BatchResult) -> BatchResult:
        """Write a result, and return it; it has failed if its output cannot be written."""

    def complete(self) -> None:
        """Write what is left when the run has ended; the file is there then in any case."""

    def close(self) -> None:
        """Close the file, unless it is stdout."""


class LineOutput(Output):
    """Writes results as JSON Lines.

    Args:
        path: The file, or None for stdout.
        take: Takes each result before it is written.
    """

    def __init__(self, path: str | None, take: TakeFailed) -> None:
        self._path = path
        self._take = take
        self._file: TextIO | None = None
        self._closing = ExitStack()

    def write(self, result: BatchResult) -> BatchResult:
        """Write one line, and return the result, which has failed if its output is not JSON."""
        output = encode_output(result)
        try:
            metadata = to_json(result.metadata)
        except Exception:
            metadata = "{}"
        entries = {
            "index": to_json(result.index),
            "input_data": encode_input(result.input_data),
            "success": to_json(result.success),
            "error": to_json(result.error),
            "execution_time": to_json(result.execution_time),
            "output": output,
            "metadata": metadata,
        }
        line = ", ".join(f'"{name}": {text}' for name, text in entries.items())
        file = self._open()
        self._take(result)
        file.write(f"{{{line}}}\n")
        return result

    @override
    def complete(self) -> None:
        self._open()

    @override
    def close(self) -> None:
        self._closing.close()

    def _open(self) -> TextIO:
        if self._file is None:
            self._file = self._open_stdout() if self._path is None else self._open_file(self._path)
        return self._file

    def _open_file(self, path: str) -> TextIO:
        return self._closing.enter_context(open_to_write(path))

    def _open_stdout(self) -> TextIO:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        return sys.stdout


def encode_output(result: BatchResult) -> str:
    """Return the output of a result as JSON; if it is not, the result has failed without one."""
    try:
        return to_json(result.output)
    except Exception as error:
        result.output = None
        if result.success:
            result.success = False
            result.error = f"the output is not JSON: {describe_error(error)}"
        return "null"


def encode_input(value: Any) -> str:
    """Return an input as JSON, or a text that describes it."""
    if isinstance(value, BadLine):
        return to_json(value.text)
    try:
        return _to_json_or_str(value)
    except (TypeError, ValueError, RecursionError):
        return to_json(repr(value))


# Tables have dates and decimals.
_to_json_or_str = json.JSONEncoder(allow_nan=False, ensure_ascii=False, default=str).encode
