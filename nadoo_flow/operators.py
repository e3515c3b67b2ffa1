"""Nodes as Rx operators, for anyone's own chain."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, overload

from reactivex import Observable

from ._support.typevars import Input, Output
from .nodes.node import Answering, AsyncFunction, Function, NodeLike, as_node
from .stages.expand import ExpandNode
from .stages.flat_map import FlatMapNode, ManyNode
from .stages.map import MapNode
from .streams import Valve


@overload
def flat_map(
    node: Answering[Input, Output],
    max_concurrency: int = 10,
    ordered: bool = False,
    *,
    valve: Valve | None = None,
) -> Callable[[Observable[Input]], Observable[Output]]: ...
@overload
def flat_map(
    node: AsyncFunction[Input, Output],
    max_concurrency: int = 10,
    ordered: bool = False,
    *,
    valve: Valve | None = None,
) -> Callable[[Observable[Input]], Observable[Output]]: ...
@overload
def flat_map(
    node: Function[Input, Output],
    max_concurrency: int = 10,
    ordered: bool = False,
    *,
    valve: Valve | None = None,
) -> Callable[[Observable[Input]], Observable[Output]]: ...
def flat_map(
    node: NodeLike,
    max_concurrency: int = 10,
    ordered: bool = False,
    *,
    valve: Valve | None = None,
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Put each value of an Observable through a node, at most ``max_concurrency`` at a time.

    Args:
        node: A node or a function. A mapping goes to it as it is, any other value as
            ``{"item": value}``; an output of exactly ``{"item": value}`` is emitted as the value.
            Of a generator function, also behind policies, everything that it yields is emitted.
        max_concurrency: Most values in work at a time; the others wait, as in Rx's ``merge``.
        ordered: Emit in the order of the source instead of as completed.
        valve: Drains the runs: the source is unsubscribed from, what is in work is emitted, and
            then they complete.

    The first failure cancels the rest and arrives as ``on_error`` with a :class:`NodeError`. An
    error of the source arrives after the values before it. Subscribing needs a running event loop;
    disposing cancels what runs.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> import reactivex as rx
        >>> async def main():
        ...     return await rx.of("a", "b").pipe(flat_map(str.upper, max_concurrency=50))
        >>> asyncio.run(main())
        'B'
    """
    child = as_node(node, "node")
    kind: Any = FlatMapNode if child.yields else MapNode
    stage = kind(child.node_id, child, max_concurrency=max_concurrency)
    operator: Callable[[Observable[Any]], Observable[Any]]
    operator = stage.as_operator(ordered=ordered, valve=valve)
    return operator


def expand(
    node: ManyNode[Input, Input],
    max_concurrency: int = 10,
    ordered: bool = False,
    *,
    key: Callable[[Input], Hashable] | None = None,
    max_items: int | None = None,
    valve: Valve | None = None,
) -> Callable[[Observable[Input]], Observable[Input]]:
    """Emit each value, and as values all that a node gives for it, until nothing new comes.

    Values whose outputs have not been asked for yet wait in memory, without a limit.

    Args:
        node: Gives many outputs for one value, as the child of a ``FlatMapNode`` does.
        max_concurrency: Most values whose outputs are pulled at a time.
        ordered: Emit all outputs of a value before those of the next.
        key: Returns the key of a value; one whose key was seen before is dropped.
        max_items: How many values are emitted at most; then it completes.
        valve: Drains the runs, as of :func:`flat_map`.

    Errors, subscribing and disposing are as with :func:`flat_map`.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> import reactivex as rx
        >>> async def main():
        ...     return await rx.of(8).pipe(expand(lambda n: [n // 2] if n > 1 else []))
        >>> asyncio.run(main())
        1
    """
    child = as_node(node, "node")
    stage: ExpandNode[Input] = ExpandNode(
        child.node_id, child, max_concurrency=max_concurrency, key=key, max_items=max_items
    )
    return stage.as_operator(ordered=ordered, valve=valve)
