"""Routes: a node, or a stage, that gives each input to one of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from reactivex import compose

from .._support.checks import check_function, describe_value, name_function
from ..checkpoint import StepRecord
from ..nodes.context import unwrap_item
from ..nodes.holding import warn_of
from ..nodes.node import NodeLike, inherits
from ..nodes.route import Choose, RouteNode, check_routes, find_route
from ..streams import Indexed, flat_map, split
from .fusion import Operator, StageRun
from .recording import Recorder
from .stage import ListStage
from .user_function import FunctionWork


@overload
def route(
    fn: Choose,
    routes: Mapping[Any, ListStage],
    default: ListStage | None = None,
    node_id: str | None = None,
) -> RouteStage: ...
@overload
def route(
    fn: Choose,
    routes: Mapping[Any, NodeLike],
    default: NodeLike | None = None,
    node_id: str | None = None,
) -> RouteNode: ...
def route(
    fn: Choose,
    routes: Mapping[Any, Any],
    default: Any = None,
    node_id: str | None = None,
) -> RouteNode | RouteStage:
    """Give each input to one of several nodes, or each item of a list to one of several stages.

    If the routes are stages, so is what is returned: in a chain each route has its own concurrency,
    and a slow one does not hold up the others, as far as the window of the run allows.

    Args:
        fn: Sync or async; gets what a function node would get, and returns the name of a route.
        routes: Nodes, functions, or stages by their names.
        default: The one for every other name. Without it another name is a failure.
        node_id: The name in errors; defaults to the class name.

    Raises:
        TypeError: At the call, if a route is neither a node nor a function.
        ValueError: At the call, if there are no routes, or their stages do not share their keys.

    Example:
        >>> model = route(len, {1: str.lower}, default=str.upper)
        >>> asyncio.run(BatchProcessor(model).batch(["A", "bc"])).outputs
        ['a', 'BC']
    """
    if all(isinstance(each, ListStage) for each in check_routes(routes).values()):
        return RouteStage(fn, routes, default, node_id)
    return RouteNode(fn, routes, default, node_id)


class RouteStage(ListStage):
    """Give each item of a list to one of several stages, which share their keys.

    An item for which ``fn`` fails, or returns the name of no route, fails the stage.

    Args:
        fn: Sync or async; gets an item, and returns the name of a route.
        routes: Instances of MapNode (without ``key=``) or FilterNode by their names.
        default: The stage for every other name.
        node_id: The name in errors; defaults to the class name.

    Example:
        >>> lower, upper = MapNode(child_node=str.lower), MapNode(child_node=str.upper)
        >>> stage = route(len, {1: lower}, default=upper)
        >>> asyncio.run(stage.run({"items": ["A", "bc"]}))
        {'results': ['a', 'BC']}
    """

    def __init__(
        self,
        fn: Choose,
        routes: Mapping[Any, ListStage],
        default: ListStage | None = None,
        node_id: str | None = None,
    ) -> None:
        self.fn = check_function(fn, "fn")
        self.routes = {
            name: _check_stage(stage, f"the route {name!r}")
            for name, stage in check_routes(routes).items()
        }
        self.default = None if default is None else _check_stage(default, "default")
        stages = self._list_stages()
        for key in ("input_key", "output_key"):
            found = sorted({getattr(stage, key) for stage in stages})
            if len(found) > 1:
                raise ValueError(f"the routes must have the same {key}, got {found}")
        most = sum(stage.max_concurrency for stage in stages)
        super().__init__(node_id, stages[0].input_key, stages[0].output_key, most)

    def _name_work(self) -> str:
        routes = [f"{stage.node_id} of {stage._name_work()}" for stage in self._list_stages()]
        return f"{name_function(self.fn)}, {', '.join(routes)}"

    def _is_recorded(self) -> bool:
        stages = self._list_stages()
        return inherits(self, RouteStage, "operator") and all(
            stage._is_recorded() for stage in stages
        )

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that finds the route of each item, and those of the routes.

        Args:
            stage_run: What the stage knows of the run.
        """
        stages = self._list_stages()
        numbers = {id(stage): number for number, stage in enumerate(stages)}

        def encode(recorder: Recorder, choice: Any) -> bytes:
            return str(numbers[choice[0]]).encode()

        def decode(recorder: Recorder, record: StepRecord, value: Any) -> Any:
            return id(stages[int(record.value)]), value

        choosing = stage_run.record_work(_Choice(self), encode, decode)
        lanes = flat_map(
            stage_run.run,
            choosing,
            self.max_concurrency,
            on_held=warn_of(self),
            drop_unstarted=stage_run.drop_unstarted,
        )
        operators = {
            id(stage): stage.operator(stage_run.enter(f"route {number}"))
            for number, stage in enumerate(stages)
        }
        return compose(lanes, split(operators))

    def _list_stages(self) -> list[ListStage]:
        return [*self.routes.values(), *([] if self.default is None else [self.default])]

    def _describe_detail(self) -> str:
        routes = {**self.routes, **({} if self.default is None else {"otherwise": self.default})}
        return ", ".join(
            f"{name}: {stage.node_id} ({stage.max_concurrency:,} at a time)"
            for name, stage in routes.items()
        )


class _Choice(FunctionWork[Indexed[Any]]):
    """Finds the route of each item."""

    def __init__(self, stage: RouteStage) -> None:
        super().__init__(stage.node_id)
        self._stage = stage

    def call(self, value: Any) -> Any:
        return self._stage.fn(unwrap_item(value))

    def make_result(self, index: int, value: Any, returned: Any) -> Indexed[Any]:
        stage = find_route(returned, self._stage.routes, self._stage.default)
        return index, (id(stage), value)


def _check_stage(stage: object, parameter: str) -> ListStage:
    """Return a stage that emits its items one for one, in any order, under their indexes."""
    if not isinstance(stage, ListStage):
        raise TypeError(
            f"{parameter} must be a stage, as the other routes are, got {describe_value(stage)}"
        )
    changes_items = stage.needs_order or stage.flattens or stage.renumbers
    if len(stage.stages) > 1 or changes_items or stage.has_keys:
        raise TypeError(
            f"{parameter} must be a MapNode without key=, or a FilterNode, got {stage!r}"
        )
    return stage
