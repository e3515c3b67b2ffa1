"""Results as lines of JSON."""

from __future__ import annotations

import io
import json
import sys
from contextlib import ExitStack
from typing import Any, TextIO

from ...errors import describe_error
from ...results.batch_result import BatchResult
from ..console import CommandError

to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


class LineCodec:
    """Encodes outputs for a checkpoint as in the lines of the output, where a tuple is a list."""

    def encode(self, value: Any) -> bytes:
        """Turn an output into JSON."""
        return to_json(value).encode(errors="backslashreplace")

    def decode(self, data: bytes) -> Any:
        """Read JSON."""
        return json.loads(data)


class Output:
    """Writes results as JSON Lines.

    The file is created for the first result, so a run that cannot begin overwrites nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._closing = ExitStack()

    def write(self, result: BatchResult) -> BatchResult:
        """Write one line, and return the result, which has failed if its output is not JSON."""
        output = "null"
        try:
            output = to_json(result.output)
        except Exception as error:
            if result.success:
                result.success = False
                result.error = f"the output is not JSON: {describe_error(error)}"
        try:
            metadata = to_json(result.metadata)
        except Exception:
            metadata = "{}"
        head = {
            "index": result.index,
            "input_data": result.input_data,
            "success": result.success,
            "error": result.error,
            "execution_time": result.execution_time,
        }
        line = f'{to_json(head)[:-1]}, "output": {output}, "metadata": {metadata}}}\n'
        self.open().write(line)
        return result

    def open(self) -> TextIO:
        """Return the file; the first call creates it."""
        if self._file is None:
            self._file = self._open()
        return self._file

    def close(self) -> None:
        """Close the file, unless it is stdout."""
        self._closing.close()

    def _open(self) -> TextIO:
        if self._path is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)
            return sys.stdout
        try:
            # A lone surrogate, which UTF-8 cannot encode, is escaped as in JSON.
            return self._closing.enter_context(
                open(self._path, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
            )
        except OSError as error:
            raise CommandError(f"cannot write {self._path}: {error.strerror}") from error
