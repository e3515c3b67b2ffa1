"""The base of the list stages, and the chain that neighbouring ones become."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeAlias, overload

from reactivex import Observable

from .._support.checks import (
    check_non_empty_str,
    check_positive_int,
    describe_value,
    is_list_like,
)
from .._support.typevars import Input, Input_contra, Made, Made_co, Next, Output, Output_co
from .._support.usage import UsageCount
from ..checkpoint import CheckpointError
from ..drawing.parts import Part
from ..errors import NodeError
from ..events import (
    HasEvents,
    ProgressArgument,
    RunReporter,
    StageInfo,
    WatchOptions,
    find_events,
    find_instrument,
    start_reporting,
)
from ..events.event import get_watch_options, use_watch_options
from ..nodes.context import (
    NodeContext,
    NodeResult,
    WorkflowContext,
    unwrap_item,
)
from ..nodes.execution import make_failure
from ..nodes.node import (
    AsyncFunction,
    BaseNode,
    NodeLike,
    Pipeline,
    ResultFunction,
    inherits,
)
from ..storage import Codec
from ..streams import (
    MAX_WINDOW,
    Indexed,
    Plan,
    Source,
    Subscription,
    Valve,
    as_source,
    compute_default_window,
    drain,
    emit,
    map_directly,
)
from ..tracing.trace import Trace
from .fusion import Link, OnFailed, OnUsage, Operator, StageRun, fuse
from .indexes import make_indexed_output
from .options import RunOptions, take_valve, use_valve
from .recording import Recorder
from .resuming import get_checkpoint, make_chain_checkpoint, make_recorders, use_checkpoint
from .streaming import Streaming

_log = logging.getLogger(__name__)

Lists: TypeAlias = Mapping[str, Iterable[Input_contra]] | dict[str, object]
"""The input of a stage, with its list under one of the keys."""


class ListStage(
    HasEvents,
    Streaming[Input_contra, Output_co],
    BaseNode[Lists[Input_contra], dict[str, Made_co]],
    Generic[Input_contra, Output_co, Made_co],
):
    """A node that works on the items of a list.

    A ``ListStage[str, Answer, list[Answer]]`` takes items of str, emits items of Answer, and puts a
    list of them into its output.

    ``a | b`` of two stages whose keys meet (``a.output_key == b.input_key``) is a :class:`Chain`:
    the items flow through both one by one, and no list is made between them. A stage that overrides
    ``execute``, which a chain does not call, stays apart; one that overrides ``operator`` does not.

    Args:
        node_id: The name in errors; defaults to the class name.
        input_key: Where the list is in the input.
        output_key: Where the outcome is in the output, which holds nothing else.
        max_concurrency: Most items in work at a time.

    Attributes:
        needs_order: Whether the operator must see its items in input order.
        makes_list: Whether the outcome is a list again.
        renumbers: Whether the items of the outcome are others than those that came in.
        flattens: Whether it makes many items of one.
        has_keys: Whether its operator works on items of equal key in the order in which it sees
            them, and so must see them in order.

    Example:
        >>> words = FilterNode(filter_fn=str.isalpha, output_key="items")
        >>> chain = words | MapNode(child_node=str.upper)
        >>> isinstance(chain, ListStage), [stage.node_id for stage in chain.stages]
        (True, ['FilterNode', 'MapNode'])
    """

    needs_order = False
    makes_list = True
    renumbers = False
    flattens = False
    has_keys = False

    def __init__(
        self, node_id: str | None, input_key: str, output_key: str, max_concurrency: int
    ) -> None:
        if callable(node_id):
            raise TypeError(
                f"node_id must be a str, got {describe_value(node_id)}; "
                f"a stage has its id first: {type(self).__name__}('my_id', function)"
            )
        super().__init__(node_id)
        self.input_key = check_non_empty_str(input_key, "input_key")
        self.output_key = check_non_empty_str(output_key, "output_key")
        self.max_concurrency = check_positive_int(max_concurrency, "max_concurrency")

    @property
    def stages(self) -> tuple[ListStage, ...]:
        """The stages that this one consists of: itself, unless it is a chain."""
        return (self,)

    async def run(
        self,
        input_data: Mapping[str, Any],
        workflow_context: WorkflowContext | None = None,
        *,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
        valve: Valve | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        codec: Codec | None = None,
    ) -> dict[str, Made_co]:
        """Execute the stage on one input and return its output.

        Args:
            input_data: A mapping with a list of items under the stage's ``input_key``.
            workflow_context: State to share with other runs; a fresh one by default.
            progress: Whether to show a progress bar for each stage, on a stderr that is a terminal,
                or in a notebook; ``"always"`` writes to any stderr.
            trace: Records what happens.
            valve: Drains the run, whose output then holds what there was by then.
            checkpoint: A file in which each stage records what it has made of an item before that
                goes on. The next run with it does only what is missing. It belongs to the stages,
                by their ids, and to the items.
            codec: How outputs are stored there; as JSON by default.

        Raises:
            NodeError: If the stage fails; its ``__cause__`` is the exception behind it.
            CheckpointError: If the checkpoint cannot be used, or belongs to another chain or to
                other items.

        Example:
            >>> stage = MapNode(child_node=str.upper)
            >>> asyncio.run(stage.run({"items": ["a", "b"]}))
            {'results': ['A', 'B']}
        """
        recording = make_chain_checkpoint(checkpoint, codec)
        watching = WatchOptions(progress, trace)
        with use_watch_options(watching), use_valve(valve), use_checkpoint(recording):
            try:
                output = await super().run(input_data, workflow_context)
            except NodeError:
                if recording is not None and recording.error is not None:
                    raise recording.error from None
                raise
        if recording is not None and not recording.is_used:
            _log.warning("%r overrides execute, and has not used its checkpoint", self)
        return output

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Run the list under ``input_key``.

        ``metadata`` holds ``inputs`` and ``outputs`` (counts of items) and ``errors``: one
        ``{"index", "error"}`` for each item that failed and was left out, in a chain with the id
        of its ``"stage"`` and the index that the item had when it entered the chain. ``usage`` is
        the sum of what the nodes used, if they say so.

        Args:
            node_context: Its input is a mapping with the list.
            workflow_context: Shared by all items.
        """
        outputs: list[Indexed[Any]] = []
        errors: list[dict[str, Any]] = []
        count = UsageCount()

        def on_failed(stage_id: str, index: int, error: str) -> None:
            stage = {"stage": stage_id} if len(self.stages) > 1 else {}
            errors.append({"index": index, "error": error, **stage})

        checkpoint = get_checkpoint()
        try:
            source = self._open(node_context.input_data)
            flattens = any(stage.flattens for stage in self.stages)
            with take_valve() as valve, use_checkpoint(None):
                options = RunOptions(
                    # All outputs are kept in any case, so those of later items need not wait.
                    ordered=flattens,
                    max_in_flight=MAX_WINDOW if flattens else None,
                    workflow_context=workflow_context,
                    watching=get_watch_options(),
                    valve=valve,
                    checkpoint=checkpoint,
                )
                plan = self._plan(source, options, on_failed, count.add)
                run = await drain(plan, outputs.append)
        except NodeError as error:
            failed = self._describe_place(error), count.make_metadata(), error.__cause__ or error
            return NodeResult(False, None, *failed)
        except Exception as error:
            if checkpoint is not None and isinstance(error, CheckpointError):
                checkpoint.error = error
            return make_failure(error)
        outputs.sort(key=itemgetter(0))
        errors.sort(key=itemgetter("index"))
        metadata: dict[str, Any] = {
            "inputs": run.pulled - run.draining.not_started,
            "outputs": len(outputs),
            "errors": errors,
            **count.make_metadata(),
        }
        output = {self.output_key: self._close([value for _, value in outputs])}
        return NodeResult(True, output, None, metadata)

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the Rx operator of this stage for one run; a kind of stage writes this.

        The operator gets and emits items with their indexes, and may subscribe to them once.

        Args:
            stage_run: What the stage knows of the run.
        """
        raise NotImplementedError(f"{type(self).__name__} must define operator()")

    # What is added to the base class: a list stage as the other one. A node that is none comes to
    # its own __ror__; if it stood here, a checker could not say what two untyped stages make.
    @overload  # type: ignore[override]  # a chain is no Pipeline, and does more
    def __or__(
        self: ListStage[Input_contra, Output, list[Output]], other: ListStage[Output, Next, Made]
    ) -> ListStage[Input_contra, Next, Made]: ...
    @overload
    def __or__(self, other: ResultFunction) -> Pipeline[Lists[Input_contra], Any]: ...
    @overload
    def __or__(
        self, other: AsyncFunction[dict[str, Made_co], Next]
    ) -> Pipeline[Lists[Input_contra], Next]: ...
    @overload
    def __or__(
        self, other: Callable[[dict[str, Made_co]], Next]
    ) -> Pipeline[Lists[Input_contra], Next]: ...
    def __or__(self, other: Any) -> Any:
        return super().__or__(other)

    # Defined beside __or__, without which mypy would ask for it before __or__.
    def __ror__(
        self, other: NodeLike[Input, Lists[Input_contra]]
    ) -> Pipeline[Input, dict[str, Made_co]]:
        return super().__ror__(other)

    def _join_next(self, following: BaseNode) -> tuple[BaseNode, ...]:
        self._check_key_of(following)
        if not (
            isinstance(following, ListStage)
            and self.makes_list
            and self.output_key == following.input_key
            and self._fuses()
            and following._fuses()
            and inherits(self.stages[-1], ListStage, "_close")
        ):
            return super()._join_next(following)
        chain = Chain(*self.stages, *following.stages)
        if "task" in (self.isolate, following.isolate):
            chain.isolate = "task"
        return (chain,)

    def _fuses(self) -> bool:
        """Return whether a chain of the stage does all that executing it would do."""
        return inherits(self, ListStage, "execute", "_open", "_plan")

    def _check_key_of(self, following: BaseNode) -> None:
        """Refuse a stage that is certain to miss its list in what this one puts out."""
        if not isinstance(following, ListStage) or self.output_key == following.input_key:
            return
        # One that overrides what a chain leaves out may put out more, or look elsewhere.
        if self._fuses() and following._fuses():
            raise ValueError(
                f"the input_key of {following.node_id!r} must be {self.output_key!r}, the only key "
                f"in the output of {self.node_id!r}, got {following.input_key!r}"
            )

    def _describe_parts(self) -> tuple[Part, ...]:
        boxes = tuple(stage._describe_box() for stage in self.stages)
        if len(boxes) == 1:
            return (Part(boxes),)
        window = compute_default_window(self.max_concurrency)
        return (Part(boxes, f"one chain: items pass one by one, at most {window:,} on their way"),)

    def _describe_detail(self) -> str:
        return f"at most {self.max_concurrency:,} at a time"

    def _describe_place(self, error: NodeError) -> str:
        stage = f"stage {error.node_id!r}: " if len(self.stages) > 1 else ""
        item = f"item {error.index}: " if error.index is not None else ""
        return f"{stage}{item}{error.error}"

    def _name_work(self) -> str:
        """Name what the stage does with an item, by which a checkpoint recognises it."""
        return ""

    def _is_recorded(self) -> bool:
        """Return whether a checkpoint holds all that the stage emits."""
        return False

    def _close(self, values: list[Any]) -> Any:
        """Make the outcome of the values that were emitted."""
        return values

    def _open(self, data: Any) -> Iterable[Any]:
        key = self.input_key
        bare = unwrap_item(data)
        if not isinstance(data, Mapping) or (key not in data and bare is not data):
            raise TypeError(
                f"the input must be a mapping with the key {key!r}, got {describe_value(bare)}; "
                f"write {{{key!r}: [...]}}"
            )
        if key not in data:
            found = ", ".join(repr(name) for name in data) or "no keys"
            raise LookupError(f"the input has no key {key!r}; it has {found}")
        items = data[key]
        if not is_list_like(items):
            raise TypeError(
                f"the input's {key!r} must be a list of items, got {describe_value(items)}"
            )
        return items

    def _plan(
        self, source: Source[Any], options: RunOptions, on_failed: OnFailed, on_usage: OnUsage
    ) -> Plan[Indexed[Any]]:
        """Plan runs over a source, each with a fresh WorkflowContext unless one is given."""
        if isinstance(source, Mapping) and self.input_key in source:
            raise TypeError(
                f"source must be the items themselves, got {describe_value(source)}; "
                f"pass what is under {self.input_key!r}, or write stage.run(...)"
            )
        items, source = source, as_source(source, "source")

        def build(run: Subscription) -> Observable[Indexed[Any]]:
            report = self._report(run, items, options.watching)
            shared = options.workflow_context
            shared = WorkflowContext() if shared is None else shared
            checkpoint, journal = options.checkpoint, None
            recorders: Sequence[Recorder | None] = [None] * len(self.stages)
            if checkpoint is not None:
                journal = checkpoint.open(run, self.stages)
                recorders = make_recorders(journal, self.stages, on_usage)
            links = [
                Link(
                    stage.node_id,
                    stage.needs_order,
                    stage.flattens,
                    # From the source they come in order.
                    stage.has_keys and position > 0,
                    stage.operator,
                    recorder,
                )
                for position, (stage, recorder) in enumerate(
                    zip(self.stages, recorders, strict=True)
                )
            ]
            chain = fuse(
                links,
                run,
                shared,
                on_failed,
                on_usage,
                ordered=options.ordered,
                indexed=options.indexed,
                report=report,
            )
            buffering = options.buffering
            if report is not None:
                buffering = buffering.with_drop_handler(report.stages[0].report_overflow)
            emitted: Observable[Indexed[Any]] = emit(run, source, buffering)
            if journal is not None:
                emitted = journal.hold_until_open(emitted)
            return emitted.pipe(chain)

        return Plan(build, self.max_concurrency, options.max_in_flight, options.valve)

    def _plan_values(self, source: Source[Any], options: RunOptions) -> Plan[Any]:
        """Plan runs that emit values, and log items that are left out."""
        emit_value = make_indexed_output if options.indexed else itemgetter(1)
        return self._plan(source, options, _log_failed, _ignore_usage).pipe(
            map_directly(emit_value)
        )

    def _report(
        self, run: Subscription, items: object, watching: WatchOptions
    ) -> RunReporter | None:
        flattened = [False, *(stage.flattens for stage in self.stages)]
        stages = [
            StageInfo(stage.node_id, stage.max_concurrency, stage.renumbers or other)
            for stage, other in zip(self.stages, flattened, strict=False)
        ]
        to_all, to_each = find_events(self), [find_events(stage) for stage in self.stages]
        instrument = find_instrument(to_all, *to_each)
        return start_reporting(
            stages, items, watching, to_all, to_each, run=run, instrument=instrument
        )


class Chain(ListStage):
    """List stages whose keys meet, as one: ``a | b | c`` makes it.

    Items flow through all stages one by one, within one window, so the second stage works on the
    first outputs while the first stage still works on the rest.

    Args:
        stages: At least two, each with the ``input_key`` that the one before it has as
            ``output_key``. A chain among them is spread into its stages.

    Example:
        >>> strip = MapNode(child_node=str.strip, output_key="items")
        >>> chain = strip | MapNode(child_node=str.upper)
        >>> asyncio.run(chain.run({"items": [" a", "b "]}))
        {'results': ['A', 'B']}
    """

    def __init__(self, *stages: ListStage) -> None:
        super().__init__(
            " | ".join(stage.node_id for stage in stages),
            stages[0].input_key,
            stages[-1].output_key,
            sum(stage.max_concurrency for stage in stages),
        )
        self._stages = stages
        self.makes_list = stages[-1].makes_list

    @property
    def stages(self) -> tuple[ListStage, ...]:
        """The stages, in their order."""
        return self._stages

    def _close(self, values: list[Any]) -> Any:
        return self._stages[-1]._close(values)


def _ignore_usage(metadata: dict[str, Any]) -> None:
    """Stand for a count where none is kept; the events of the items tell it all the same."""


def _log_failed(stage_id: str, index: int, error: str) -> None:
    _log.warning("node %r goes on without item %d: %s", stage_id, index, error)
