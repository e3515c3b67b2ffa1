"""Dead letters: each input that failed for good, as a line of JSON in a file or as a call.

``letter`` is one of them and its line, ``file`` appends lines and reads them again, ``failed_to``
is what a run hands its failures to.

It may import ``results``, ``storage``, whose codec finds out what JSON can hold, ``errors`` and
``_support``.
"""

from .error import DeadLetterError
from .failed_to import FailedTo, FailureSink, as_failed_to
from .file import LetterFile, read_failed
from .letter import DeadLetter, make_letter

__all__ = [
    "DeadLetter",
    "DeadLetterError",
    "FailedTo",
    "FailureSink",
    "LetterFile",
    "as_failed_to",
    "make_letter",
    "read_failed",
]
