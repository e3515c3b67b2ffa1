"""The policy ``fallback``: when a node fails, the next one answers."""

from __future__ import annotations

from typing import Any, overload

from .._support.typevars import Next
from ..events.item import report_fallback
from ..nodes.context import NodeResult
from ..nodes.execution import Bound, answer_safely, as_result
from ..nodes.many import has_given_outputs
from ..nodes.node import AsyncFunction, BaseNode, Function, NodeLike, ResultFunction, as_node
from ..nodes.usage import add_usage
from .wrapper import Bind, FunctionPolicy, NodePolicy, PolicyNode


@overload
def fallback(*others: BaseNode[Any, Next]) -> NodePolicy[Next]: ...
@overload
def fallback(other: ResultFunction, /) -> NodePolicy[Any]: ...
@overload
def fallback(other: AsyncFunction[Any, Next], /) -> NodePolicy[Next]: ...
@overload
def fallback(other: Function[Any, Next], /) -> NodePolicy[Next]: ...
@overload
def fallback(*others: NodeLike) -> NodePolicy[Any]: ...
def fallback(*others: NodeLike) -> NodePolicy[Any]:
    """Let the next node answer when one fails.

    ``metadata["fallback"]`` is the id of the node that answered, if it was not the first. If all
    fail, the error names each failure, and the exception is the last one's. In a ``FlatMapNode`` a
    node that fails after its first output was the last one.

    Args:
        others: At least one node or function, in the order in which they are asked.

    Raises:
        TypeError: At the call, if one is neither a node nor a function.
        ValueError: At the call, if there is none.

    Example:
        >>> node = FunctionNode(lambda n: 60 // n).pipe(fallback(lambda n: "no answer"))
        >>> asyncio.run(BatchProcessor(node).batch([5, 0])).outputs
        [12, 'no answer']
    """
    if not others:
        raise ValueError("others must hold at least one node")
    nodes = tuple(as_node(other, "each of others") for other in others)
    ids = ", ".join(repr(node.node_id) for node in nodes)
    return FunctionPolicy(lambda node: FallbackNode(node, nodes), f"fallback({ids})")


class FallbackNode(PolicyNode):
    """A node with others that answer in its place."""

    def __init__(self, node: NodeLike, others: tuple[BaseNode, ...]) -> None:
        super().__init__(node)
        self.others = others
        if any(other.isolate == "task" for other in others):
            self.isolate = "task"

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        others = [(other.node_id, bind(other)) for other in self.others]

        async def ask_in_turn(value: Any) -> Any:
            answer = await answer_safely(attempt, value)
            if not isinstance(answer, NodeResult) or answer.success or has_given_outputs(value):
                return answer
            result, failed = answer, [answer]
            errors = [f"node {self.node_id!r}: {result.error}"]
            for node_id, other in others:
                report_fallback(node_id, result.error)
                result = as_result(await answer_safely(other, value))
                if result.success:
                    return add_usage(result.with_metadata(fallback=node_id), failed)
                errors.append(f"node {node_id!r}: {result.error}")
                failed.append(result)
                if has_given_outputs(value):
                    break
            error = "; ".join(errors)
            last = NodeResult(False, None, error, result.metadata, result.exception)
            return add_usage(last, failed[:-1])

        return Bound(ask_in_turn, gives_output=True)
