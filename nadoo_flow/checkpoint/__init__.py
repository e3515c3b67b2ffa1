"""Checkpoints: results that outlive the process, and runs that resume where they ended.

``recording`` writes each success before it is delivered, ``resuming`` finds the records of an
earlier run, ``fingerprint`` identifies inputs, ``sqlite`` keeps the records in one file.

It is below ``stages`` and ``batch``, which record with it. It may import ``nodes``, ``results``,
``streams``, ``storage``, ``errors`` and ``_support``.
"""

from ..storage import Codec, JsonCodec
from .fingerprint import Fingerprint
from .protocol import Checkpoint, CheckpointError, Record
from .recording import Recording
from .sqlite import SqliteCheckpoint, as_checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Codec",
    "Fingerprint",
    "JsonCodec",
    "Record",
    "Recording",
    "SqliteCheckpoint",
    "as_checkpoint",
]
