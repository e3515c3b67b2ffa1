"""RouteNode: one of several nodes for each input."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

from .._support.checks import check_function, describe_value, name_function
from ..drawing.parts import Box, Part
from .context import NodeResult, WorkflowContext, unwrap_item
from .execution import Bound, answer_safely, as_answer, as_result
from .node import BoundNode, NodeLike, as_node

R = TypeVar("R")

Choose: TypeAlias = Callable[[Any], Any]
"""A function, sync or async, that gets an input and returns the name of a route."""


class RouteNode(BoundNode[Any, Any]):
    """Give each input to one of several nodes.

    ``metadata["route"]`` is the name of the route, and a failure names it.

    Args:
        fn: Sync or async; gets what a function node would get, and returns the name of a route.
        routes: Nodes or functions by their names.
        default: The node or function for every other name. Without it another name is a failure.
        node_id: Defaults to the class name.
    """

    def __init__(
        self,
        fn: Choose,
        routes: Mapping[Any, NodeLike],
        default: NodeLike | None = None,
        node_id: str | None = None,
    ) -> None:
        super().__init__(node_id)
        self.fn = check_function(fn, "fn")
        self.routes = {
            name: as_node(node, f"the route {name!r}")
            for name, node in check_routes(routes).items()
        }
        self.default = None if default is None else as_node(default, "default")
        others = () if self.default is None else (self.default,)
        if any(node.isolate == "task" for node in (*self.routes.values(), *others)):
            self.isolate = "task"

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        fn = self.fn
        routes = {name: node._bind(workflow_context) for name, node in self.routes.items()}
        default = None if self.default is None else self.default._bind(workflow_context)

        async def answer_by_route(value: Any) -> NodeResult:
            name = as_answer(fn(unwrap_item(value)))
            if type(name) is CoroutineType:
                name = await name
            bound = find_route(name, routes, default)
            result = as_result(await answer_safely(bound, value))
            if not result.success:
                result = _name_route(name, result)
            return result.with_metadata(route=name)

        return Bound(answer_by_route, gives_output=False)

    def _describe_detail(self) -> str:
        return ", ".join(f"{name}: {node.node_id}" for name, node in self._list_routes())

    def _describe_parts(self) -> tuple[Part, ...]:
        boxes = []
        for name, node in self._list_routes():
            box = node._describe_box()
            boxes.append(Box(f"{name}: {box.name}", box.kind, box.detail))
        return (
            Part((Box(self.node_id, type(self).__name__, f"by {name_function(self.fn)}"),)),
            Part(tuple(boxes), "one of these", is_choice=True),
        )

    def _list_routes(self) -> list[tuple[Any, Any]]:
        others = [] if self.default is None else [("otherwise", self.default)]
        return [*self.routes.items(), *others]


def check_routes(routes: object) -> Mapping[Any, Any]:
    """Return a mapping that holds at least one route.

    Raises:
        TypeError: If it is no mapping.
        ValueError: If it is empty.
    """
    if not isinstance(routes, Mapping):
        raise TypeError(
            "routes must be a mapping from the names of routes to nodes, "
            f"got {describe_value(routes)}"
        )
    if not routes:
        raise ValueError("routes must hold at least one route")
    return routes


def find_route(name: object, routes: Mapping[Any, R], default: R | None) -> R:
    """Return the route of a name.

    Raises:
        LookupError: If there is none.
    """
    found = routes.get(name) if isinstance(name, Hashable) else None
    found = default if found is None else found
    if found is None:
        names = ", ".join(map(repr, routes))
        raise LookupError(
            f"fn returned {describe_value(name)}, which is no route; the routes are {names}, "
            "and default= would take all others"
        )
    return found


def _name_route(name: object, failed: NodeResult) -> NodeResult:
    error = f"route {name!r}: {failed.error}"
    return NodeResult(False, None, error, failed.metadata, failed.exception)
