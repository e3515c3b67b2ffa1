"""What passes through a node: its input, the state that a run shares, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._support.checks import describe_value


@dataclass(slots=True)
class NodeContext:
    """The input of one execution.

    It belongs to one item and is never shared.

    Attributes:
        input_data: What the node works on. By convention a mapping; a bare value travels as
            ``{"item": value}`` (see :func:`as_input`).

    Example:
        >>> NodeContext({"city": "Wien"}).input_data["city"]
        'Wien'
    """

    input_data: Any = field(default_factory=dict)

    if not TYPE_CHECKING:  # a type checker reports it before

        def __getitem__(self, key: object) -> object:
            raise TypeError(
                f"a NodeContext is no mapping, got [{key!r}]; "
                f"write node_context.input_data[{key!r}]"
            )


@dataclass(slots=True)
class WorkflowContext:
    """State that every node and every item of one run shares.

    Items run concurrently, so a node that reads a variable, awaits, and writes it back races with
    the others: change it between two awaits, or guard it with a lock.

    Attributes:
        variables: Anything that the nodes of a run tell each other.

    Example:
        >>> class Count(BaseNode):
        ...     async def execute(self, node_context, workflow_context):
        ...         seen = workflow_context.variables.setdefault("seen", [])
        ...         seen.append(node_context.input_data["item"])
        ...         return NodeResult(success=True, output=len(seen))
        >>> asyncio.run(BatchProcessor(Count()).batch(["a", "b"])).outputs
        [1, 2]
    """

    variables: dict[str, Any] = field(default_factory=dict)

    if not TYPE_CHECKING:  # a type checker reports it before

        def __getitem__(self, key: object) -> object:
            raise TypeError(
                f"a WorkflowContext is no mapping, got [{key!r}]; "
                f"write workflow_context.variables[{key!r}]"
            )


@dataclass(slots=True)
class NodeResult:
    """What a node answers.

    Attributes:
        success: Whether the node did its work.
        output: What it made, if it did.
        error: Why not, in words, if it did not.
        metadata: Anything about the work that is not its output (counts, timings, who answered).
        exception: The exception behind a failure, where there is one.

    Example:
        >>> NodeResult(success=True, output="Hallo", metadata={"usage": {"tokens": 7}}).output
        'Hallo'
        >>> NodeResult(success=False, error="the model refused").error
        'the model refused'
    """

    success: bool
    output: Any = None
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    exception: BaseException | None = field(default=None, repr=False, compare=False)

    def with_metadata(self, **entries: Any) -> NodeResult:
        """Return the same answer with more metadata; a node may hand out one answer many times.

        Args:
            entries: What to add, or to put in the place of an entry of that name.

        Example:
            >>> NodeResult(success=True, output=1).with_metadata(source="cache").metadata
            {'source': 'cache'}
        """
        metadata = {**self.metadata, **entries}
        return NodeResult(self.success, self.output, self.error, metadata, self.exception)


def check_workflow_context(value: object) -> WorkflowContext | None:
    """Return a WorkflowContext, or None, as it is.

    Raises:
        TypeError: If it is anything else.
    """
    if value is not None and not isinstance(value, WorkflowContext):
        hint = "; write WorkflowContext(variables=...)" if isinstance(value, Mapping) else ""
        raise TypeError(
            f"workflow_context must be a WorkflowContext, got {describe_value(value)}{hint}"
        )
    return value


def as_input(value: Any) -> Any:
    """Make a node's input of any value: a mapping as it is, others as ``{"item": value}``."""
    # Most are exactly a dict, and isinstance() with an abstract class costs ten times as much.
    return value if type(value) is dict or isinstance(value, Mapping) else {"item": value}


# To ask Mapping would cost more than the call of a function.
BARE = frozenset({str, int, float, bytes, bool, type(None), list, tuple})
"""Types of values that are certainly no mappings."""


def unwrap_item(data: Any) -> Any:
    """Undo :func:`as_input`: take a bare value out of its envelope, leave the rest as it is."""
    is_mapping = type(data) is dict or (type(data) not in BARE and isinstance(data, Mapping))
    return data["item"] if is_mapping and len(data) == 1 and "item" in data else data
