"""What outlives a process: outputs as bytes, fingerprints of inputs, and SQLite files.

``codec`` turns outputs into JSON and back, ``canonical`` writes equal inputs as equal bytes, and
``sqlite_file`` opens files and says what is wrong with one that cannot be used. Checkpoints and
caches are built on these.

It may import ``errors`` and ``_support``.
"""

from .canonical import encode_canonically
from .codec import (
    FAILURES,
    Codec,
    JsonCodec,
    choose_encode,
    encode_metadata,
    encode_with,
)
from .sqlite_file import SqliteFile, begin_transaction, insert_rows

__all__ = [
    "FAILURES",
    "Codec",
    "JsonCodec",
    "SqliteFile",
    "begin_transaction",
    "choose_encode",
    "encode_canonically",
    "encode_metadata",
    "encode_with",
    "insert_rows",
]
