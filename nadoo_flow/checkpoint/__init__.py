"""Checkpoints: results that outlive the process, and runs that resume where they ended.

``recording`` writes each success of a batch before it is delivered, ``resuming`` finds the records
of an earlier run, ``fingerprint`` identifies inputs, ``sqlite`` keeps the records in one file. For
a chain of stages ``journal`` reads and writes, and ``steps`` keeps the records.

It is below ``stages`` and ``batch``, which record with it. It may import ``nodes``, ``results``,
``streams``, ``storage``, ``errors`` and ``_support``.
"""

from ..storage import Codec, JsonCodec
from .fingerprint import Fingerprint, take_fingerprint
from .journal import Journal
from .protocol import Checkpoint, CheckpointError, Record
from .recording import Recording
from .request import Request
from .sqlite import SqliteCheckpoint, as_checkpoint
from .steps import StageName, StepQuery, StepRecord, StepsFile

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Codec",
    "Fingerprint",
    "Journal",
    "JsonCodec",
    "Record",
    "Recording",
    "Request",
    "SqliteCheckpoint",
    "StageName",
    "StepQuery",
    "StepRecord",
    "StepsFile",
    "as_checkpoint",
    "take_fingerprint",
]
