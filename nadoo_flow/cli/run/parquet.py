"""Parquet files: read and written in groups of rows, so that they may have any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from typing_extensions import override

from ...errors import describe_error
from ...results.batch_result import BatchResult
from ...results.frames import REST
from ..console import CommandError
from .columns import HEAD, Columns, make_text
from .files import open_bytes_to_write
from .inputs import Reading
from .output import Output, TakeFailed, encode_output
from .readers import InputsError

ROWS_READ = 1000
MOST_ROWS = 10_000
MOST_CHARACTERS = 8_000_000
"""Rows, and characters of outputs, that are written as one group."""


def import_parquet() -> tuple[Any, Any]:
    """Import pyarrow and its module for Parquet.

    Raises:
        CommandError: If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CommandError(
            "files of Parquet need pyarrow: pip install 'nadoo-flow[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet


class ParquetReading(Reading):
    """Reads a mapping from each row of a Parquet file.

    Args:
        limit: Most inputs.
    """

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(_read_no_lines, limit)
        self._pyarrow, self._parquet = import_parquet()

    def iterate(self, file: str | int) -> Iterator[Any]:
        """Read the rows of a file."""
        return islice(self._read_rows(file), self.limit)

    def count(self, file: str) -> int:
        """Return how many rows the file says that it has."""
        with self._open(file) as table:
            rows: int = table.metadata.num_rows
        return rows if self.limit is None else min(rows, self.limit)

    def _read_rows(self, file: str | int) -> Iterator[Any]:
        with self._open(file) as table:
            try:
                for batch in table.iter_batches(batch_size=ROWS_READ):
                    yield from batch.to_pylist()
            except (OSError, self._pyarrow.ArrowException) as error:
                raise InputsError(f"cannot be read: {describe_error(error)}") from error

    def _open(self, file: str | int) -> Any:
        if isinstance(file, int):
            raise InputsError("is Parquet, which needs a file")
        try:
            return self._parquet.ParquetFile(file)
        except (OSError, self._pyarrow.ArrowException) as error:
            raise InputsError(f"cannot be read: {describe_error(error)}") from error


class ParquetOutput(Output):
    """Writes results as Parquet; the first group of rows decides on the columns and their types.

    A value that a later row cannot put into its column is in the last one, as JSON.

    Args:
        path: The file; it can be read when the run has ended.
        take: Takes each result before it is written.
    """

    def __init__(self, path: str, take: TakeFailed) -> None:
        self._path = path
        self._take = take
        self._pyarrow, self._parquet = import_parquet()
        self._file: Any = None
        self._group: list[BatchResult] = []
        self._characters = 0
        self._columns = Columns()
        self._types: dict[str, Any] = {}
        self._writer: Any = None
        self._closing = ExitStack()

    def write(self, result: BatchResult) -> BatchResult:
        """Take a row, and return the result, which has failed if its output is not JSON."""
        output = encode_output(result)
        self._open()
        self._take(result)
        self._group.append(result)
        self._characters += len(output)
        if len(self._group) >= MOST_ROWS or self._characters >= MOST_CHARACTERS:
            self._write_group()
        return result

    @override
    def complete(self) -> None:
        self._open()
        self._write_group()

    @override
    def close(self) -> None:
        with self._closing:
            if self._group:
                self._write_group()

    def _open(self) -> None:
        if self._file is None:
            self._file = self._closing.enter_context(open_bytes_to_write(self._path))

    def _write_group(self) -> None:
        group, self._group, self._characters = self._group, [], 0
        if self._writer is None:
            self._start(group)
        rows = [self._columns.make_row(result) for result in group]
        # The rest is the last column, and so gets what did not fit into the others.
        arrays = [self._make_array(name, rows) for name in self._columns.names]
        self._writer.write_table(
            self._pyarrow.Table.from_arrays(arrays, schema=self._writer.schema)
        )

    def _start(self, group: list[BatchResult]) -> None:
        """Decide on the columns by the first group."""
        pa = self._pyarrow
        self._columns = Columns(result.output for result in group if result.success)
        rows = [self._columns.make_row(result) for result in group]
        heads = (pa.int64(), pa.string(), pa.bool_(), pa.string(), pa.float64())
        self._types = dict(zip(HEAD, heads, strict=True))
        for name in self._columns.of_outputs:
            self._types[name] = self._infer_type([row[name] for row in rows])
        self._types[REST] = pa.string()
        schema = pa.schema(list(self._types.items()))
        self._writer = self._closing.enter_context(self._parquet.ParquetWriter(self._file, schema))

    def _infer_type(self, values: list[Any]) -> Any:
        try:
            kind = self._pyarrow.array(values).type
        except Exception:  # values of several kinds, or one that Arrow does not know
            return self._pyarrow.string()
        return kind if self._is_plain(kind) else self._pyarrow.string()

    def _is_plain(self, kind: Any) -> bool:
        types = self._pyarrow.types
        if types.is_list(kind):
            return self._is_plain(kind.value_type)
        return any(
            is_kind(kind)
            for is_kind in (types.is_integer, types.is_floating, types.is_boolean, types.is_string)
        )

    def _make_array(self, name: str, rows: list[dict[str, Any]]) -> Any:
        """Make the column of a group, and move what does not fit into the rest."""
        kind = self._types[name]
        cells = [row[name] for row in rows]
        if self._pyarrow.types.is_string(kind):
            return self._pyarrow.array(
                [None if cell is None else make_text(cell) for cell in cells], type=kind
            )
        if self._fits(cells, kind):
            return self._pyarrow.array(cells, type=kind)
        for place, row in enumerate(rows):
            if not self._fits([cells[place]], kind):
                row[REST] = {**(row[REST] or {}), name: cells[place]}
                cells[place] = None
        return self._pyarrow.array(cells, type=kind)

    def _fits(self, cells: list[Any], kind: Any) -> bool:
        # Arrow would cut the fraction of a number off to make it an integer.
        try:
            return bool(self._pyarrow.array(cells, type=kind).to_pylist() == cells)
        except Exception:
            return False


def _read_no_lines(lines: Iterator[str]) -> Iterator[Any]:
    raise InputsError("is Parquet, which has no lines")
