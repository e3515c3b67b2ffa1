"""The exception of a failed node, and the description of an exception in one line."""

from __future__ import annotations

NO_MESSAGE = "the node reported a failure without a message"


class NodeError(Exception):
    """A node failed, and the caller did not ask to go on without it.

    Attributes:
        node_id: The id of the node that failed.
        error: What went wrong, in words (``"ValueError: bad input"``).
        index: The position of the failing item in its inputs, or None outside a batch. Behind a
            ``FlatMapNode`` that of the item whose output has failed.

    ``__cause__`` holds the exception behind the failure, where there is one.

    Example:
        >>> try:
        ...     asyncio.run(FunctionNode(len).run(3))
        ... except NodeError as error:
        ...     print(error.node_id, "failed with a", type(error.__cause__).__name__)
        len failed with a TypeError
    """

    def __init__(self, node_id: str, error: str, index: int | None = None) -> None:
        # All three go to args, so that the error survives pickling.
        super().__init__(node_id, error, index)
        self.node_id = node_id
        self.error = error
        self.index = index

    def __str__(self) -> str:
        where = f"node {self.node_id!r} failed"
        if self.index is not None:
            where += f" on item {self.index}"
        return f"{where}: {self.error}"


def describe_error(error: BaseException) -> str:
    """Describe an exception by its type, and by its message if it has one.

    Args:
        error: The exception; one whose message cannot be read is described all the same.

    Example:
        >>> describe_error(ValueError("bad input"))
        'ValueError: bad input'
    """
    name = type(error).__name__
    try:
        message = str(error)
    except Exception as broken:  # a raising __str__ must not end the run
        message = f"<its message could not be read: {type(broken).__name__}>"
    return f"{name}: {message}" if message else name
