"""A run of a chain with a checkpoint: the records of each stage, and what identifies its items."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from .._support.checks import describe_value
from ..checkpoint import CheckpointError, Journal, StageName, StepsFile
from ..storage import Codec
from ..streams import Subscription
from .identity import Identity, follow, make_content_identity, make_source_identity
from .recording import Recorder


class RecordedStage(Protocol):
    """What a checkpoint needs to know of a stage."""

    node_id: str
    node_type: str

    def _name_work(self) -> str: ...
    def _is_recorded(self) -> bool: ...


@dataclass(slots=True)
class ChainCheckpoint:
    """Where the runs of a chain record what its stages make.

    Attributes:
        file: The file.
        codec: The user's own codec, or None for JSON.
        is_used: Whether a run has used it.
        error: The error of it that has ended a run.
    """

    file: StepsFile
    codec: Codec | None
    is_used: bool = False
    error: CheckpointError | None = None

    def open(self, run: Subscription, stages: Sequence[RecordedStage]) -> Journal:
        """Return the checkpoint of one run."""
        self.is_used = True
        names = [
            StageName(each.node_id, str(each.node_type), str(each._name_work())) for each in stages
        ]
        return Journal(run, self.file, names, self.codec)


def make_chain_checkpoint(path: object, codec: Codec | None) -> ChainCheckpoint | None:
    """Make a checkpoint of the arguments of a run, or None if there is none.

    Raises:
        TypeError: If it is no path.
        ValueError: If there is a codec without a checkpoint.
    """
    if path is None:
        if codec is not None:
            raise ValueError("codec= says how a checkpoint stores outputs; pass checkpoint= too")
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"checkpoint must be the path of a file, got {describe_value(path)}; "
            "a Checkpoint keeps the results of a batch"
        )
    return ChainCheckpoint(StepsFile(path), codec)


def make_recorders(
    journal: Journal, stages: Sequence[RecordedStage], on_usage: Callable[[dict[str, Any]], None]
) -> list[Recorder]:
    """Make the recorder of each stage of a run."""
    recorders = []
    identify: Identity = make_source_identity(journal.own_codec)
    for position, stage in enumerate(stages):
        recorders.append(Recorder(journal, stage.node_id, str(position), identify, on_usage))
        recorded = stage._is_recorded()
        identify = follow if recorded else make_content_identity(journal.own_codec)
    return recorders


@contextmanager
def use_checkpoint(checkpoint: ChainCheckpoint | None) -> Iterator[None]:
    """Have the stage that is executed inside the block use a checkpoint."""
    token = _checkpoint.set(checkpoint)
    try:
        yield
    finally:
        _checkpoint.reset(token)


def get_checkpoint() -> ChainCheckpoint | None:
    """Return the checkpoint of the stage that is being executed."""
    return _checkpoint.get()


_checkpoint: ContextVar[ChainCheckpoint | None] = ContextVar("nadoo_flow_checkpoint", default=None)
