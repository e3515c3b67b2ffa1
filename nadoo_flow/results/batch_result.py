"""The result of one input of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class BatchResult:
    """The result of one input.

    Attributes:
        index: The position of the input in the batch.
        input_data: The input as it was given.
        success: Whether the node succeeded.
        output: The output of the node, if it succeeded.
        error: A description of the failure, if it did not.
        execution_time: Seconds from the start of the item to its end.
        exception: The exception behind the failure, with its traceback, where there is one.
        metadata: The metadata of the node's result.
    """

    index: int
    input_data: Any
    success: bool
    output: Any = None
    error: str | None = None
    execution_time: float | None = None
    exception: BaseException | None = field(default=None, repr=False, compare=False)
    metadata: dict[str, Any] = field(default_factory=dict)
