"""What is done is done: results that outlive the process, and runs that go on where they ended."""

from .codec import JsonCodec
from .fingerprint import Fingerprint
from .protocol import Checkpoint, CheckpointError, Codec, Record
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
