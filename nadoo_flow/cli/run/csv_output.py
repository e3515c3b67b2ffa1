"""Results as CSV, with the keys of the first output as columns."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from typing import Any

from typing_extensions import override

from ...results.batch_result import BatchResult
from .columns import Columns, make_text
from .files import open_to_write
from .output import Output, TakeFailed, encode_output

MOST_HELD = 1000
"""Failures that wait for the first output, which names the columns."""


class CsvOutput(Output):
    """Writes results as CSV.

    The first output names the columns; failures before it are held back until then.

    Args:
        path: The file.
        take: Takes each result before it is written.
    """

    def __init__(self, path: str, take: TakeFailed) -> None:
        self._path = path
        self._take = take
        self._held: list[BatchResult] = []
        self._columns: Columns | None = None
        self._writer: Any = None
        self._closing = ExitStack()

    def write(self, result: BatchResult) -> BatchResult:
        """Write a row, and return the result, which has failed if its output is not JSON."""
        encode_output(result)
        self._open()
        self._take(result)
        if self._columns is not None:
            self._write_row(self._columns, result)
            return result
        self._held.append(result)
        if result.success or len(self._held) >= MOST_HELD:
            self._write_held()
        return result

    @override
    def complete(self) -> None:
        self._open()
        self._write_held()

    @override
    def close(self) -> None:
        with self._closing:
            if self._held:
                self._write_held()

    def _open(self) -> None:
        if self._writer is None:
            # The module csv writes the line ends itself.
            file = self._closing.enter_context(open_to_write(self._path, newline=""))
            self._writer = csv.writer(file, lineterminator="\n")

    def _write_held(self) -> None:
        if self._columns is None:
            self._columns = Columns(result.output for result in self._held if result.success)
            self._writer.writerow(self._columns.names)
        held, self._held = self._held, []
        for result in held:
            self._write_row(self._columns, result)

    def _write_row(self, columns: Columns, result: BatchResult) -> None:
        row = columns.make_row(result)
        self._writer.writerow("" if cell is None else make_text(cell) for cell in row.values())
