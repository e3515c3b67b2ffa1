"""Results as columns of a data frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from types import NoneType
from typing import Any

from .batch_result import BatchResult

FIELDS = tuple(field.name for field in fields(BatchResult))

REST = "output"
"""The column for outputs that are no mappings."""


class OutputColumns:
    """The columns of mapping outputs: one for each key, in the order in which they come first.

    A key that has the name of another column gets the column ``output.<key>``.

    Args:
        outputs: The outputs whose keys get columns; those that are no mappings have none.
        taken: The names of the other columns.
        write_name: Writes the name of a key.
    """

    def __init__(
        self,
        outputs: Iterable[Any],
        taken: Iterable[str],
        write_name: Callable[[Any], str] = str,
    ) -> None:
        keys: dict[Any, None] = {}
        for output in outputs:
            if isinstance(output, Mapping):
                keys.update(dict.fromkeys(output))
        self._names: dict[Any, str] = {}
        used = {*taken, REST}
        for key in keys:
            name = write_name(key)
            while name in used:
                name = f"{REST}.{name}"
            used.add(name)
            self._names[key] = name

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the keys, without the rest."""
        return tuple(self._names.values())

    def spread(self, output: Any) -> dict[str, Any]:
        """Return the cells of an output by their columns; what has none is under :data:`REST`."""
        if not isinstance(output, Mapping):
            return {REST: output}
        cells: dict[str, Any] = {}
        rest: dict[Any, Any] = {}
        for key, cell in output.items():
            if key in self._names:
                cells[self._names[key]] = cell
            else:
                rest[key] = cell
        return {**cells, REST: rest or None}


def make_columns(results: Sequence[BatchResult], *, spread: bool) -> dict[str, list[Any]]:
    """Make a column of each field of results, and with ``spread`` of each key of their outputs."""
    if not spread:
        return {name: [getattr(result, name) for result in results] for name in FIELDS}
    outputs = OutputColumns((result.output for result in results), FIELDS)
    rows = [outputs.spread(result.output) for result in results]
    others = [name for name in FIELDS if name != REST]
    return {
        **{name: [getattr(result, name) for result in results] for name in others},
        **{name: [row.get(name) for row in rows] for name in (*outputs.names, REST)},
    }


def make_polars_series(polars: Any, name: str, values: list[Any]) -> Any:
    """Make a column of polars, of objects where no other type would keep the values as they are."""
    kinds = {type(value) for value in values}
    try:
        if {int, float} <= kinds <= {int, float, NoneType}:
            return polars.Series(name, values, dtype=polars.Float64, strict=False)
        series = polars.Series(name, values)
        # A struct has the keys of the first mappings, and would leave those of the others out.
        if not series.dtype.is_nested() or series.to_list() == values:
            return series
    except Exception:  # there is no type for such values, or they cannot be compared
        pass
    return polars.Series(name, values, dtype=polars.Object)


def import_library(name: str, method: str) -> Any:
    """Import a library of data frames.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{method}() needs {name}: pip install 'nadoo-flow[{name}]'") from error
