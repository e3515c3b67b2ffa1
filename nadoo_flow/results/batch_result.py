"""The result of one input of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, overload

from .._support.typevars import Input_co, Output, Output_co

if TYPE_CHECKING:

    class PossibleOutput(Generic[Output]):
        """How the type of an output is told: None is possible, as it is of a failed result.

        Where the type of outputs is not known, it is Any, and what a node gave can be used without
        a check for None: both overloads fit, and then a type checker says Any.
        """

        @overload
        def __get__(self, result: BatchResult[Any, _Unknown], owner: object) -> Output: ...
        @overload
        def __get__(self, result: BatchResult[Any, Any], owner: object) -> Output | None: ...
        def __get__(self, result: object, owner: object) -> Any: ...
        def __set__(self, result: Any, value: Output | None) -> None: ...

    class _Unknown:
        """Fits only Any."""


@dataclass(slots=True)
class BatchResult(Generic[Input_co, Output_co]):
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
        started: When the work on the item began, in seconds since the epoch as of ``time.time()``;
            None where that is not known, as of results that came back from a checkpoint.

    Example:
        >>> (result,) = asyncio.run(BatchProcessor(str.upper).batch(["a"]))
        >>> result.index, result.input_data, result.output
        (0, 'a', 'A')
    """

    index: int
    input_data: Input_co
    success: bool
    output: PossibleOutput[Output_co] = None  # type: ignore[assignment]
    error: str | None = None
    execution_time: float | None = None
    exception: BaseException | None = field(default=None, repr=False, compare=False)
    metadata: dict[str, Any] = field(default_factory=dict)
    started: float | None = field(default=None, repr=False, compare=False)

    if not TYPE_CHECKING:  # a type checker reports it before

        def __getitem__(self, key: object) -> object:
            raise TypeError(
                f"a BatchResult is no mapping, got [{key!r}]; write result.output[{key!r}]"
            )
