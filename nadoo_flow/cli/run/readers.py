"""Inputs from lines: JSON, CSV, text, or the dead letters of an earlier run."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any, TypeAlias

from ...dead_letters import DeadLetter, DeadLetterError
from ...dead_letters.file import read_letters
from ...errors import describe_error
from .bad_line import BadLine
from .files import get_ending

LARGEST_FIELD = 2**31 - 1
"""Characters in a field of a CSV file; Python's default is too small for a long prompt."""

Reader: TypeAlias = "Callable[[Iterator[str]], Iterator[Any]]"
"""Makes inputs of lines, and a BadLine of one that is none."""


class InputsError(Exception):
    """The inputs cannot be read."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An input with the index that it had in an earlier run."""

    index: int
    value: Any


def read_json_lines(lines: Iterator[str]) -> Iterator[Any]:
    """Read one JSON value from each line that is not blank."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            yield _parse_json(line, number)


def read_json_lines_or_letters(lines: Iterator[str]) -> Iterator[Any]:
    """Read JSON values, or the inputs of dead letters if the first line is one."""
    skipped: list[str] = []
    for line in lines:
        skipped.append(line)
        if not line.isspace():
            break
    read = read_dead_letters if skipped and _is_letter(skipped[-1]) else read_json_lines
    return read(chain(skipped, lines))


def read_dead_letters(lines: Iterator[str]) -> Iterator[Any]:
    """Read the inputs of dead letters with their indexes; those that are there twice only once."""
    seen: set[bytes] = set()
    try:
        for letter in _read_letters(lines):
            if (digest := _take_digest(letter)) not in seen:
                seen.add(digest)
                yield Numbered(letter.index, _get_input(letter))
    except DeadLetterError as error:
        raise InputsError(str(error)) from error


def read_csv_rows(lines: Iterator[str]) -> Iterator[Any]:
    """Read a mapping from each row, with the names in the first row as keys."""
    csv.field_size_limit(LARGEST_FIELD)
    rows = csv.DictReader(lines, strict=True)
    try:
        names = rows.fieldnames or []
    except csv.Error as error:
        raise InputsError(f"line {rows.reader.line_num} is not CSV: {error}") from error
    if not all(map(_is_decoded, names)):
        raise InputsError(f"line {rows.reader.line_num} is not UTF-8")
    while True:
        try:
            row: dict[Any, Any] = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _make_bad("", rows.reader.line_num, f"is not CSV: {error}")
            continue
        yield _check_row(row, rows.reader.line_num)


def read_text_lines(lines: Iterator[str]) -> Iterator[Any]:
    """Read each line that is not blank, without its end."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            text = line.rstrip("\r\n")
            yield text if _is_decoded(text) else _make_bad(text, number, "is not UTF-8")


FORMATS: dict[str, Reader] = {
    "jsonl": read_json_lines,
    "csv": read_csv_rows,
    "text": read_text_lines,
    "failed": read_dead_letters,
}
ENDINGS = {
    ".jsonl": read_json_lines_or_letters,
    ".ndjson": read_json_lines_or_letters,
    ".json": read_json_lines_or_letters,
    ".csv": read_csv_rows,
}
A_LINE_EACH = (read_json_lines, read_text_lines)
"""Readers for which each line that is not blank is an input."""


def find_reader(path: str) -> Reader:
    """Return the reader that the ending of a file stands for; that of text by default."""
    return ENDINGS.get(get_ending(path), read_text_lines)


def _parse_json(line: str, number: int) -> Any:
    if not _is_decoded(line):
        return _make_bad(line, number, "is not UTF-8")
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return _make_bad(line, number, f"is not JSON: {describe_error(error)}")


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _check_row(row: dict[Any, Any], number: int) -> Any:
    if None in row or None in row.values():
        cells = [cell for cell in row.values() if isinstance(cell, str)]
        cells += row.get(None) or []
        why = "has not as many fields as the header has names"
    elif not all(map(_is_decoded, row.values())):
        cells, why = list(row.values()), "is not UTF-8"
    else:
        return row
    return _make_bad(",".join(cells), number, why)


def _is_decoded(text: str) -> bool:
    """Return whether a text has none of the characters that stand for bytes that are not UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_bad(text: str, number: int, why: str) -> BadLine:
    return BadLine(text.rstrip("\r\n"), number, f"line {number} {why}")


class _OfCode:
    """Stands for the codec of a program, which this command does not have."""

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        return data.decode(errors="replace")


def _read_letters(lines: Iterable[str]) -> Iterator[DeadLetter]:
    encoded = (line.encode(errors="surrogateescape") for line in lines)
    return read_letters(encoded, _OfCode())


def _is_letter(line: str) -> bool:
    try:
        return any(True for _ in _read_letters([line]))
    except DeadLetterError:
        return False


def _get_input(letter: DeadLetter) -> Any:
    if letter.form == "json":
        return letter.input
    return BadLine(
        letter.input, 0, f"the input itself is not in its letter; it failed with {letter.error}"
    )


def _take_digest(letter: DeadLetter) -> bytes:
    value = json.dumps([letter.index, letter.input], sort_keys=True)
    return blake2b(value.encode(), digest_size=16).digest()
