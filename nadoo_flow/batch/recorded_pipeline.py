"""The work on one input of a batch whose checkpoint records each node of a pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from typing_extensions import override

from .._support.checks import describe_value
from .._support.tasks import get_running_task
from .._support.usage import read_numbers
from ..checkpoint import (
    CheckpointError,
    Codec,
    Fingerprint,
    Journal,
    StageName,
    StepQuery,
    StepRecord,
    StepsFile,
    take_fingerprint,
)
from ..checkpoint.locked_file import OF_PIPELINE
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.execution import Bound, answer_safely, as_result, raise_if_ended
from ..nodes.node import BaseNode, name_stage, spread
from ..nodes.usage import add_usage, mark_as_saved
from ..results.batch_result import BatchResult
from ..stages.recording import Recorder
from ..storage import encode_metadata
from ..streams import Indexed, Subscription
from .item import ResultWork

_PIPELINE = "pipeline"
"""The stage in the file: the outputs of an item in it are those of the nodes, by position."""


def make_steps_file(node: BaseNode, path: object, *, is_overridden: bool) -> StepsFile:
    """Make the file in which the nodes of a pipeline are recorded.

    Args:
        node: The node of the processor.
        path: The file.
        is_overridden: Whether something else than the node processes the inputs.

    Raises:
        TypeError: If the node is no pipeline, or the file no path.
        ValueError: If there is no file.
    """
    if path is None:
        raise ValueError("checkpoint_each says what a checkpoint records; pass checkpoint= too")
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "checkpoint must be the path of a file with checkpoint_each=True, "
            f"got {describe_value(path)}"
        )
    if spread(node) == (node,):
        raise TypeError(
            f"checkpoint_each needs a Pipeline, whose nodes it records, got {node!r}; "
            "policies go around its nodes: a.pipe(retry()) | b"
        )
    if is_overridden:
        raise TypeError(
            "checkpoint_each records the nodes of a Pipeline, and process_single is overridden, "
            "which is called in their place"
        )
    return StepsFile(path, OF_PIPELINE)


def open_journal(
    run: Subscription, file: StepsFile, pipeline: BaseNode, codec: Codec | None
) -> Journal:
    """Return the checkpoint of one run of a pipeline."""
    names = [StageName(node.node_id, str(node.node_type), "") for node in spread(pipeline)]
    return Journal(run, file, names, codec)


class _Step(NamedTuple):
    """A node of the pipeline.

    Attributes:
        node_id: Its id.
        bound: The node, bound for the run.
        recorder: Records its outputs.
    """

    node_id: str
    bound: Bound
    recorder: Recorder


class RecordedPipelineWork(ResultWork):
    """Puts an input through those nodes of a pipeline whose outputs are not recorded.

    Each output is on the disk before the next node begins, and the last one before its result goes
    on. So no more is executed again than one node for each input that was in work.

    Args:
        pipeline: The pipeline.
        journal: The checkpoint of the run.
        workflow_context: What the run shares.
        time: The clock of the loop.
    """

    def __init__(
        self,
        pipeline: BaseNode,
        journal: Journal,
        workflow_context: WorkflowContext,
        time: Callable[[], float],
    ) -> None:
        super().__init__(time)
        self._journal = journal
        self._steps = [
            _Step(
                node.node_id,
                node._bind(workflow_context),
                Recorder(journal, node.node_id, _PIPELINE),
            )
            for node in spread(pipeline)
        ]

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return self._resume(item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        result: BatchResult = answer
        return result

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        if isinstance(error, CheckpointError):  # a node's own has become a failure before
            raise error
        return super().fail(item, error, started)

    async def _resume(self, item: Indexed[Any], started: float) -> BatchResult:
        index, value = item
        journal, steps = self._journal, self._steps
        try:
            fingerprint = take_fingerprint(index, value, journal.own_codec)
            records = await journal.find(StepQuery(_PIPELINE, str(index), 0, len(steps)))
            if records:
                recorder = steps[records[-1].output].recorder
                recorder.check(records[-1], fingerprint)
                value = recorder.decode(records[-1])
        except CheckpointError as error:
            journal.refuse(error)
            raise
        if len(records) == len(steps):
            return _restore_result(item, value, records[-1])
        result = await self._go_on(item, value, records, fingerprint, started)
        return self.make_result(item, result, started)

    async def _go_on(
        self,
        item: Indexed[Any],
        value: Any,
        records: Sequence[StepRecord],
        fingerprint: Fingerprint,
        started: float,
    ) -> NodeResult:
        """Execute the nodes without a record, of which the first one gets this value."""
        task = get_running_task()
        last = len(self._steps) - 1
        before = [_restore_usage(record) for record in records]
        result = NodeResult(True, value)
        for number in range(len(records), last + 1):
            node_id, bound, recorder = self._steps[number]
            result = as_result(await answer_safely(bound, result.output))
            if not result.success:
                return add_usage(name_stage(node_id, result), before)
            raise_if_ended(task)
            if number == last:
                result = add_usage(result, before)
            try:
                data = recorder.encode(result.output)
            except TypeError as error:
                text = f"stage {node_id!r}: {error}"
                return NodeResult(False, result.output, text, result.metadata, error.__cause__)
            is_last = number == last
            used = self._encode_result(result, started) if is_last else _encode_usage(result)
            written = recorder.record(item, result.output, data, fingerprint, used, number=number)
            await self._journal.wait_for(written)
            before.append(result)
        return result

    def _encode_result(self, result: NodeResult, started: float) -> bytes:
        """Return what is recorded of the result of an item besides its output."""
        # The clock of a loop may give floats of a type of its own, whose repr is another.
        seconds = float(self._time() - started)
        return b'{"execution_time":%a,"metadata":%b}' % (seconds, encode_metadata(result.metadata))


def _restore_result(item: Indexed[Any], output: Any, record: StepRecord) -> BatchResult:
    index, value = item
    entries = json.loads(record.metadata)
    return BatchResult(
        index,
        value,
        True,
        output,
        execution_time=entries["execution_time"],
        metadata={**mark_as_saved(entries["metadata"]), "resumed": True},
    )


def _encode_usage(result: NodeResult) -> bytes:
    """Return what is recorded of the metadata of a node that is not the last one."""
    metadata = result.metadata
    return encode_metadata(
        {name: read_numbers(metadata[name]) for name in ("usage", "saved") if name in metadata}
    )


def _restore_usage(record: StepRecord) -> NodeResult:
    """Return an answer that stands for what a recorded node has used."""
    return NodeResult(True, None, None, mark_as_saved(json.loads(record.metadata)))
