"""One dead letter, and its line of JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from ..errors import NO_MESSAGE, describe_error
from ..results.batch_result import BatchResult
from ..storage import FAILURES, Codec, JsonCodec
from .error import DeadLetterError

Form: TypeAlias = Literal["json", "codec", "text"]

BEGINNING = b'{"index": '
"""How each line begins, by which the remains of a torn one are known."""

LONGEST_TEXT = 10_000

_to_json = json.JSONEncoder(check_circular=False, allow_nan=False, ensure_ascii=False).encode


@dataclass(frozen=True)
class DeadLetter:
    """A failed input.

    Attributes:
        index: The position of the input in its batch.
        input: The input; where ``form`` is ``"text"``, only a text that describes it.
        error: A description of the failure.
        exception: The name of the type of the exception behind it, where there was one.
        attempts: How often the input was tried, as far as the node's metadata say so.
        time: When the letter was written.
        form: How the input is written: as ``"json"`` that comes back equal, by the ``"codec"`` of
            the batch, or as a ``"text"`` because neither can hold it.

    Example:
        >>> processor = BatchProcessor(lambda n: 60 // n, failed_to="failed.jsonl")
        >>> results = asyncio.run(processor.batch([5, 0]))
        >>> letter, = read_failed("failed.jsonl")
        >>> letter.index, letter.input, letter.exception
        (1, 0, 'ZeroDivisionError')
    """

    index: int
    input: Any
    error: str
    exception: str | None
    attempts: int
    time: datetime
    form: Form = "json"


def make_letter(result: BatchResult) -> DeadLetter:
    """Make the letter of a failed result.

    Args:
        result: The failed result.
    """
    attempts = result.metadata.get("attempts")
    return DeadLetter(
        index=int(result.index),
        input=result.input_data,
        error=result.error or NO_MESSAGE,
        exception=None if result.exception is None else _name_type(result.exception),
        attempts=attempts if type(attempts) is int and attempts > 0 else 1,
        time=datetime.now(UTC),
    )


def format_line(letter: DeadLetter, codec: Codec | None = None) -> bytes:
    """Write a letter as a line of JSON; an input that cannot be written becomes a text."""
    value, form = (letter.input, "text") if letter.form == "text" else _write(letter.input, codec)
    entries = {
        "index": letter.index,
        "input": value,
        "error": letter.error,
        "exception": letter.exception,
        "attempts": letter.attempts,
        "time": letter.time.isoformat(),
    }
    if form != "json":
        entries["form"] = form
    # A lone surrogate, which UTF-8 cannot encode, is escaped as in JSON.
    return f"{_to_json(entries)}\n".encode(errors="backslashreplace")


def parse_line(line: bytes, codec: Codec | None) -> DeadLetter | None:
    """Read a line; None if it is the remains of one whose writer was killed.

    Raises:
        DeadLetterError: If it is no dead letter, or needs a codec that is not given.
    """
    try:
        entries = json.loads(line)
    except (ValueError, RecursionError) as error:
        if begins_like_letter(line.rstrip(b"\n")):
            return None
        raise DeadLetterError(f"is no dead letter: {describe_error(error)}") from error
    try:
        form = entries.pop("form", "json")
        time = datetime.fromisoformat(entries.pop("time"))
        letter = DeadLetter(**entries, time=time, form=form)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise DeadLetterError(f"is no dead letter: {describe_error(error)}") from error
    if not _is_sound(letter):
        raise DeadLetterError("is no dead letter: a field of it is not of its type")
    return letter if form != "codec" else _decode(letter, codec)


def begins_like_letter(data: bytes) -> bool:
    """Return whether data may be the beginning of a line."""
    return data.startswith(BEGINNING) or BEGINNING.startswith(data)


def _is_sound(letter: DeadLetter) -> bool:
    return (
        type(letter.index) is int
        and isinstance(letter.error, str)
        and isinstance(letter.exception, str | None)
        and type(letter.attempts) is int
        and letter.form in get_args(Form)
        and (letter.form == "json" or isinstance(letter.input, str))
    )


def _write(value: Any, codec: Codec | None) -> tuple[Any, Form]:
    try:
        JsonCodec().encode(value)
    except TypeError:
        if codec is None:
            return _describe(value), "text"
    else:
        return value, "json"
    try:
        return base64.b64encode(codec.encode(value)).decode(), "codec"
    except FAILURES:
        return _describe(value), "text"


def _decode(letter: DeadLetter, codec: Codec | None) -> DeadLetter:
    if codec is None:
        raise DeadLetterError("holds an input that a codec has encoded; pass that as codec=")
    try:
        value = codec.decode(base64.b64decode(letter.input, validate=True))
    except FAILURES as error:
        raise DeadLetterError(
            f"holds an input that the codec cannot read: {describe_error(error)}"
        ) from error
    return DeadLetter(
        letter.index,
        value,
        letter.error,
        letter.exception,
        letter.attempts,
        letter.time,
        letter.form,
    )


def _describe(value: Any) -> str:
    try:
        return repr(value)[:LONGEST_TEXT]
    except FAILURES as error:
        return f"<{type(value).__name__}: its repr could not be read: {type(error).__name__}>"


def _name_type(error: BaseException) -> str:
    kind = type(error)
    plain = kind.__module__ == "builtins"
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"
