"""Nodes: the base class, functions as nodes, and nodes in sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import CoroutineType
from typing import Any, Generic, TypeAlias, cast, overload

from .._support.checks import (
    check_callable,
    check_function,
    check_non_empty_str,
    describe_value,
    hint_at_call,
    is_generator_function,
    name_function,
)
from .._support.signatures import check_takes
from .._support.tasks import get_running_task, leave_out_caller
from .._support.typevars import Input, Input_contra, Next, Output, Output_co
from ..drawing.parts import Part
from ..errors import NO_MESSAGE, NodeError, describe_error
from ..events.event import ProgressArgument, Watcher, WatchOptions, use_watch_options
from ..streams import Isolation
from .context import (
    BARE,
    NodeContext,
    NodeResult,
    WorkflowContext,
    check_workflow_context,
    unwrap_item,
)
from .drawn import Drawn
from .execution import (
    READY,
    Bound,
    answer_safely,
    as_answer,
    as_result,
    bind_execute,
    check_result,
    make_failure,
    raise_if_ended,
)
from .many import bind_answer_to_outlet, bind_function_to_outlet, collect_from
from .policy import PolicyMark, hint_at_operator, refuse_uncalled
from .usage import add_usage

NodeLike: TypeAlias = "BaseNode[Input, Output] | Callable[[Input], Output | Awaitable[Output]]"
"""A node, or a function that becomes one."""

# mypy does not find out what an async function gives in a NodeLike, so where that counts there are
# three overloads: for these, for async functions, and for all others.
ResultFunction: TypeAlias = "Callable[[Any], NodeResult | Awaitable[NodeResult]]"
"""A function that gives a whole NodeResult, whose type says no more; generic ones fit too."""
Answering: TypeAlias = "BaseNode[Input, Output] | ResultFunction"
AsyncFunction: TypeAlias = "Callable[[Input], Awaitable[Output]]"
Function: TypeAlias = "Callable[[Input], Output] | Callable[[Any], _Nothing]"
"""A function that gives an output.

No function fits the second part. With one part alone mypy would take the parameter of a lambda for
Never, and ask for the type of a processor of ``lambda item: [item]``.
"""
Policy: TypeAlias = "Callable[[BaseNode[Input, Output]], BaseNode[Input, Next]]"
"""A function from node to node, for ``node.pipe(...)``."""


class _Nothing:
    """Stands for what no function returns."""


class BaseNode(Drawn, Generic[Input_contra, Output_co]):
    """A unit of work.

    Subclass it and write ``execute``. A ``BaseNode[str, Answer]`` takes a str and gives an Answer;
    without parameters it takes and gives anything.

    Args:
        node_id: The name in errors and outputs; defaults to the class name.
        node_type: A free label of the kind of node; defaults to the class name.
        name: What to call it in front of people; defaults to the id.
        config: Settings of your own, kept as they are.

    Attributes:
        isolate: How the items of a batch are kept apart. With ``"context"`` (the default) each
            execution has its own copy of the context variables. With ``"task"`` each has an
            asyncio task of its own too, for code that keys on ``asyncio.current_task()``; that
            costs a few microseconds an item.
        yields: Whether it is a generator function, or a policy around one.

    Example:
        >>> class Shout(BaseNode):
        ...     async def execute(self, node_context, workflow_context):
        ...         return NodeResult(success=True, output=node_context.input_data["item"].upper())
        >>> asyncio.run(Shout("shout").run("hello"))
        'HELLO'
    """

    isolate: Isolation = "context"
    yields = False

    def __init__(
        self,
        node_id: str | None = None,
        *,
        node_type: str | None = None,
        name: str | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        kind = type(self).__name__
        if is_generator_function(type(self).execute):
            raise TypeError(
                f"{kind}.execute must return a NodeResult, and it yields; "
                "let it return one whose output is a list of what it yields"
            )
        self.node_id = kind if node_id is None else check_non_empty_str(node_id, "node_id")
        self.node_type = kind if node_type is None else node_type
        self.name = self.node_id if name is None else name
        self.config: dict[str, Any] = {} if config is None else config

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Do the work on ``node_context.input_data``; a subclass writes this.

        Raise or return ``NodeResult(success=False, error=...)`` to fail. When the run is cancelled
        an ``asyncio.CancelledError`` is raised at the current await, as in any asyncio code.

        Args:
            node_context: Holds the input, which belongs to this execution alone.
            workflow_context: The state that all executions of the run share.

        Returns:
            The output, or the failure with its error. What is no NodeResult fails the item.
        """
        raise NotImplementedError(f"{type(self).__name__} must define execute()")

    def _bind(self, workflow_context: WorkflowContext) -> Bound:
        """Return a function that puts an input through the node in one run.

        It calls ``execute``, unless the node is of a kind that has a shorter way and inherits it.
        """
        return bind_execute(self.execute, workflow_context)

    def _bind_many(self, workflow_context: WorkflowContext) -> Bound:
        """Return a function that puts a ManyInput through the node in one run.

        Its outputs go to the outlet; the output of the answer is nothing. A node that cannot do
        that has one output, which is taken for many.
        """
        return bind_answer_to_outlet(self._bind(workflow_context))

    async def run(
        self, input_data: Input_contra, workflow_context: WorkflowContext | None = None
    ) -> Output_co:
        """Execute the node on one input and return its output.

        Args:
            input_data: A mapping as it is; any other value arrives as ``{"item": value}``.
            workflow_context: State to share with other runs; a fresh one by default.

        Raises:
            NodeError: If the node fails; its ``__cause__`` is the exception behind it.

        Example:
            >>> asyncio.run(FunctionNode(str.upper).run("hello"))
            'HELLO'
        """
        shared = check_workflow_context(workflow_context)
        shared = WorkflowContext() if shared is None else shared
        task = get_running_task()
        try:
            answer = await answer_safely(self._bind(shared), input_data)
        except GeneratorExit as error:
            if task is None or get_running_task() is not task:  # this coroutine is being closed
                raise
            raise NodeError(self.node_id, describe_error(error)) from error
        result = as_result(answer)
        if result.success:
            output: Output_co = result.output
            return output
        raise NodeError(self.node_id, result.error or NO_MESSAGE) from result.exception

    def pipe(
        self, *policies: Policy[Input_contra, Output_co, Next]
    ) -> BaseNode[Input_contra, Next]:
        """Wrap the node in policies, left first (innermost), as Rx pipes operators.

        Args:
            policies: Functions from node to node.

        Raises:
            TypeError: If a policy cannot be called or returns no node.

        Example:
            >>> from nadoo_flow.policies import retry, timeout
            >>> patient = FunctionNode(str.upper).pipe(timeout(5), retry(attempts=3))
            >>> asyncio.run(patient.run("hello"))
            'HELLO'
        """
        node: BaseNode[Any, Any] = self
        for policy in policies:
            refuse_uncalled(policy)
            wrapped = check_function(policy, "policy")(node)
            if not isinstance(wrapped, BaseNode):
                raise TypeError(
                    f"the policy {describe_value(policy)} must return a node, "
                    f"got {describe_value(wrapped)}{hint_at_operator(wrapped)}"
                )
            node = wrapped
        return node

    @overload
    def __or__(self, other: Answering[Output_co, Next]) -> Pipeline[Input_contra, Next]: ...
    @overload
    def __or__(self, other: AsyncFunction[Output_co, Next]) -> Pipeline[Input_contra, Next]: ...
    @overload
    def __or__(self, other: Callable[[Output_co], Next]) -> Pipeline[Input_contra, Next]: ...
    def __or__(self, other: Any) -> Any:
        # What as_node() says of a value that is no node helps more than Python's own words. But
        # another library's objects may have a `|` of their own.
        if not _is_node_like(other) and not isinstance(other, type) and _has_own_or(other):
            return NotImplemented
        return _join(self, other)

    def __ror__(self, other: NodeLike[Input, Input_contra]) -> Pipeline[Input, Output_co]:
        return cast("Pipeline[Input, Output_co]", _join(other, self))

    def _join_next(self, following: BaseNode) -> tuple[BaseNode, ...]:
        """Say what this node and the one that follows it in a pipeline amount to."""
        return (self, following)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node_id!r})"


class BoundNode(BaseNode[Input_contra, Output_co]):
    """The base of the kinds of nodes that say how they are bound, and execute as that says.

    A subclass of such a kind that overrides ``execute`` is bound by that, as any other node.
    """

    def _bind(self, workflow_context: WorkflowContext) -> Bound:
        if _executes_as_bound(self):
            return self._bind_directly(workflow_context)
        return super()._bind(workflow_context)

    def _bind_many(self, workflow_context: WorkflowContext) -> Bound:
        if _executes_as_bound(self):
            return self._bind_many_directly(workflow_context)
        return super()._bind_many(workflow_context)

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Do the work on ``node_context.input_data``.

        Args:
            node_context: Holds the input.
            workflow_context: The state of the run.
        """
        bound = self._bind_directly(workflow_context)
        answer = bound.call(node_context.input_data)
        answer = await answer if type(answer) is CoroutineType else answer
        if isinstance(answer, NodeResult) or not bound.gives_output:
            return cast(NodeResult, answer)
        return NodeResult(True, answer)

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        raise NotImplementedError(f"{type(self).__name__} must define execute()")

    def _bind_many_directly(self, workflow_context: WorkflowContext) -> Bound:
        return bind_answer_to_outlet(self._bind_directly(workflow_context))


class FunctionNode(BoundNode[Input, Output]):
    """A node made of a function.

    Args:
        fn: Sync or async. It gets the input mapping, or the bare value where the input is exactly
            ``{"item": value}``. What it returns is the output; a :class:`NodeResult` is taken as
            the whole answer. Of a generator function, sync or async, the output is the list of what
            it yields. A sync function runs on the event loop, so it must not block.
        node_id: Defaults to the function's name.

    Raises:
        TypeError: At the call, if it is no function, such as a class or a coroutine.

    Example:
        >>> async def greet(data):
        ...     return f"Hello {data['name']}"
        >>> asyncio.run(FunctionNode(greet).run({"name": "Ada"}))
        'Hello Ada'
    """

    @overload
    def __init__(
        self,
        fn: ResultFunction,
        node_id: str | None = None,
    ) -> None: ...
    @overload
    def __init__(self, fn: AsyncFunction[Input, Output], node_id: str | None = None) -> None: ...
    @overload
    def __init__(self, fn: Function[Input, Output], node_id: str | None = None) -> None: ...
    def __init__(self, fn: Callable[..., Any], node_id: str | None = None) -> None:
        self.fn = check_callable(fn, "fn")
        check_takes(fn, "a function that is a node", "the input")
        self.yields = is_generator_function(fn)
        super().__init__(name_function(fn) if node_id is None else node_id)

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        fn = collect_from(self.fn) if self.yields else self.fn

        def call_function(value: Any) -> Any:
            # What unwrap_item() and as_answer() do, whose calls would double the cost.
            answer = fn(value if type(value) in BARE else unwrap_item(value))
            return answer if type(answer) in READY else as_answer(answer)

        return Bound(call_function, gives_output=True)

    def _bind_many_directly(self, workflow_context: WorkflowContext) -> Bound:
        fn = self.fn
        return bind_function_to_outlet(lambda value: fn(unwrap_item(value)))


class Pipeline(BoundNode[Input, Output]):
    """Nodes one after the other: the output of each is the input of the next.

    ``a | b`` makes one. An output that is no mapping reaches the next node as ``{"item": value}``.
    The first node that fails ends the pipeline, and its failure names the node. A pipeline in
    another one is spread into its nodes, unless it overrides ``execute`` (or ``nodes``).

    Args:
        nodes: At least one node or function.
        node_id: Defaults to the ids, joined.

    Raises:
        TypeError: At the call, if one is neither a node nor a function.
        ValueError: At the call, if there is none.

    Example:
        >>> pipeline = FunctionNode(str.strip) | FunctionNode(str.upper)
        >>> pipeline.node_id
        'strip | upper'
        >>> asyncio.run(pipeline.run("  hello "))
        'HELLO'
    """

    def __init__(self, *nodes: NodeLike, node_id: str | None = None) -> None:
        if not nodes:
            raise ValueError("a Pipeline needs at least one node")
        given = tuple(as_node(node, "node") for node in nodes)
        self.nodes = _flatten(given)
        joined = " | ".join(node.node_id for node in self.nodes)
        super().__init__(joined if node_id is None else node_id)
        if any(node.isolate == "task" for node in given):
            self.isolate = "task"

    def _describe_parts(self) -> tuple[Part, ...]:
        return tuple(part for node in self.nodes for part in node._describe_parts())

    async def run(
        self,
        input_data: Input,
        workflow_context: WorkflowContext | None = None,
        *,
        progress: ProgressArgument = False,
        trace: Watcher | None = None,
    ) -> Output:
        """Execute the pipeline on one input and return its output.

        Args:
            input_data: A mapping as it is; any other value arrives as ``{"item": value}``.
            workflow_context: State to share with other runs; a fresh one by default.
            progress: Whether its list stages show progress bars, on a stderr that is a terminal, or
                in a notebook; ``"always"`` writes to any stderr.
            trace: A ``Trace`` that records what happens in its list stages.

        Raises:
            NodeError: If a node fails; its ``__cause__`` is the exception behind it.
        """
        with use_watch_options(WatchOptions(progress, trace)):
            return await super().run(input_data, workflow_context)

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        stages = [(node.node_id, *node._bind(workflow_context)) for node in self.nodes]
        loop = asyncio.get_running_loop()

        async def call_in_turn(value: Any) -> Any:
            task = asyncio.current_task(loop)
            before: list[NodeResult] = []
            for node_id, call, gives_output in stages:
                try:
                    answer = call(value)
                    if type(answer) is CoroutineType:
                        answer = await answer
                    if isinstance(answer, NodeResult) or not gives_output:
                        answer = check_result(answer)
                        if not answer.success:
                            return add_usage(name_stage(node_id, answer), before)
                        value = answer.output
                        if answer.metadata:
                            before.append(answer)
                    else:
                        value = answer
                except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                    failed = make_failure(leave_out_caller(error))
                    return add_usage(name_stage(node_id, failed), before)
                raise_if_ended(task)
            if not before:
                return answer
            if before[-1] is answer:
                before.pop()
            return add_usage(as_result(answer), before)

        return Bound(call_in_turn, gives_output=True)


def as_node(value: object, parameter: str) -> BaseNode:
    """Return a node as it is, and a function as a :class:`FunctionNode`.

    Raises:
        TypeError: If it is neither: a node class, a policy, a coroutine.
    """
    if isinstance(value, BaseNode):
        if not hasattr(value, "node_id"):
            kind = type(value).__name__
            raise TypeError(
                f"{parameter} must be a node with an id, got a {kind} without one; "
                f"{kind}.__init__ must call super().__init__()"
            )
        return value
    if isinstance(value, PolicyMark):
        raise TypeError(
            f"{parameter} must be a node, got the policy {value!r}; write node.pipe({value!r})"
        )
    if _is_node_like(value):
        return FunctionNode(check_callable(value, parameter))
    is_class = isinstance(value, type)
    hint = "; make an instance of it first" if is_class else hint_at_call(value)
    raise TypeError(f"{parameter} must be a node or a function, got {describe_value(value)}{hint}")


def inherits(node: BaseNode, base: type[BaseNode], *methods: str) -> bool:
    """Return whether neither a node nor its class overrides any of these methods of a class."""
    return all(
        getattr(getattr(node, method), "__func__", None) is getattr(base, method)
        for method in methods
    )


def _executes_as_bound(node: BoundNode) -> bool:
    """Return whether no subclass of a kind that says how it is bound overrides ``execute``."""
    if "execute" in vars(node):
        return False
    for kind in type(node).__mro__:
        if "_bind_directly" in vars(kind):
            return True
        if "execute" in vars(kind):
            break
    return False


def name_stage(node_id: str, failed: NodeResult) -> NodeResult:
    """Return the failure of a pipeline in which a node has failed."""
    error = f"stage {node_id!r}: {failed.error}"
    return NodeResult(False, None, error, failed.metadata, failed.exception)


def _has_own_or(value: object) -> bool:
    # Not by hasattr(), which would find what classes have of their own.
    return any("__ror__" in vars(kind) for kind in type(value).__mro__)


def _is_node_like(value: object) -> bool:
    return isinstance(value, BaseNode) or (callable(value) and not isinstance(value, type))


def _join(*nodes: NodeLike) -> BaseNode:
    given = [as_node(node, "node") for node in nodes]
    flattened = _flatten(given)
    return flattened[0] if len(flattened) == 1 else Pipeline(*given)


def _flatten(nodes: Iterable[BaseNode]) -> tuple[BaseNode, ...]:
    """Spread pipelines into their nodes, and let neighbours become one where they can."""
    flattened: tuple[BaseNode, ...] = ()
    for node in nodes:
        for inner in spread(node):
            flattened = flattened[:-1] + flattened[-1]._join_next(inner) if flattened else (inner,)
    return flattened


def spread(node: BaseNode) -> tuple[BaseNode, ...]:
    """Return the nodes of a pipeline, unless it overrides what it does; another node alone."""
    if isinstance(node, Pipeline) and inherits(node, Pipeline, "execute") and "nodes" in vars(node):
        return node.nodes
    return (node,)
