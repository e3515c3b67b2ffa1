"""Results as rows of a table: the keys of mapping outputs are columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ...results.batch_result import BatchResult
from .bad_line import BadLine
from .output import encode_input, to_json

Row: TypeAlias = dict[str, Any]

HEAD = ("index", "input", "success", "error", "execution_time")
"""The columns of every table, before those of the outputs."""

REST = "output"
"""The last column, for what has no column of its own: other outputs, and keys that come later."""


class Columns:
    """Which keys of the outputs have which columns.

    Args:
        outputs: The outputs whose keys get columns; those that are no mappings have none.
    """

    def __init__(self, outputs: Iterable[Any] = ()) -> None:
        keys: dict[Any, None] = {}
        for output in outputs:
            if isinstance(output, Mapping):
                keys.update(dict.fromkeys(output))
        self.of_key: dict[Any, str] = {}
        taken = {*HEAD, REST}
        for key in keys:
            name = make_text(key)
            while name in taken:
                name = f"{REST}.{name}"
            taken.add(name)
            self.of_key[key] = name
        self.names = (*HEAD, *self.of_key.values(), REST)

    def make_row(self, result: BatchResult) -> Row:
        """Make the row of a result; the rest is a mapping, another output, or None."""
        row: Row = dict.fromkeys(self.names)
        row["index"] = result.index
        value = (
            result.input_data.text if isinstance(result.input_data, BadLine) else result.input_data
        )
        row["input"] = make_text(value if isinstance(value, str) else encode_input(value))
        row["success"], row["error"] = result.success, result.error
        row["execution_time"] = result.execution_time
        if not isinstance(result.output, Mapping):
            row[REST] = result.output
            return row
        rest = {}
        for key, cell in result.output.items():
            if key in self.of_key:
                row[self.of_key[key]] = cell
            else:
                rest[key] = cell
        row[REST] = rest or None
        return row


def make_text(value: Any) -> str:
    """Write a cell as a text: a str as it is, all else as JSON."""
    text = value if isinstance(value, str) else to_json(value)
    return text.encode(errors="backslashreplace").decode()
