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
        received: How many of its outputs have arrived.
    """

    kind: Literal["fetch", "close"]
    number: int
    seconds: float
    received: int = 0


def answer(question: Question) -> bytes:
    """Return the next chunk, pickled as a tuple, or BUSY if a closed generator has not ended yet.

    The answer is empty if the generator is not here, if it has ended because it was closed, or if
    outputs that it gave have not arrived.
    """
    generator = hosting.find(question.number)
    if generator is None:
        return b""
    if question.kind == "close":
        generator.leave()
        hosting.forget(generator)
        return b"" if generator.wait_for_end(question.seconds) else BUSY
    chunk = generator.fetch(question.seconds, question.received)
    if chunk is None:
        return b""
    if chunk.end is not None:
        hosting.forget(generator)
    return pickle.dumps(tuple(chunk))
