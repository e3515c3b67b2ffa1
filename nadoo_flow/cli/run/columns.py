"""Results as rows of a table: the keys of mapping outputs are columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from ...results.batch_result import BatchResult
from ...results.frames import REST, OutputColumns
from .bad_line import BadLine
from .output import encode_input, to_json

Row: TypeAlias = dict[str, Any]

HEAD = ("index", "input", "success", "error", "execution_time")
"""The columns of every table, before those of the outputs.

The last one is for what has no column of its own: other outputs, and keys that come later.
"""


class Columns:
    """The columns of a table.

    Args:
        outputs: The outputs whose keys get columns; those that are no mappings have none.
    """

    def __init__(self, outputs: Iterable[Any] = ()) -> None:
        self._outputs = OutputColumns(outputs, HEAD, make_text)
        self.of_outputs = self._outputs.names
        self.names = (*HEAD, *self.of_outputs, REST)

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
        row.update(self._outputs.spread(result.output))
        return row


def make_text(value: Any) -> str:
    """Write a cell as a text: a str as it is, all else as JSON."""
    text = value if isinstance(value, str) else to_json(value)
    return text.encode(errors="backslashreplace").decode()
