"""What a process answers to questions about its generators."""

from __future__ import annotations

import pickle
from typing import Literal, NamedTuple

from .host import hosting

BUSY = b"busy"
"""The answer for a generator that is left, and still in a step."""


class Question(NamedTuple):
    """A question about a generator.

    Attributes:
        kind: Whether its next chunk is to be fetched, or the generator to be closed.
        number: Identifies the generator in its process.
        seconds: How long to wait for an output, or for its end.
    """

    kind: Literal["fetch", "close"]
    number: int
    seconds: float


def answer(question: Question) -> bytes:
    """Return the next chunk, pickled as a tuple, or BUSY if a closed generator has not ended yet.

    The answer is empty if the generator is not here, or if it has ended because it was closed.
    """
    generator = hosting.find(question.number)
    if generator is None:
        return b""
    if question.kind == "close":
        generator.leave()
        hosting.forget(generator)
        return b"" if generator.wait_for_end(question.seconds) else BUSY
    chunk = generator.fetch(question.seconds)
    if chunk.end is not None:
        hosting.forget(generator)
    return pickle.dumps(tuple(chunk))
