"""A file of dead letters: appended to, torn, refused where it holds something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchResult, DeadLetterError, read_failed
from nadoo_flow.dead_letters import LetterFile


def failed(index: int) -> BatchResult:
    return BatchResult(index, f"input {index}", False, error="ValueError: no")


def append(path: Path, *indexes: int) -> None:
    file = LetterFile(str(path))
    for index in indexes:
        file.take(failed(index))
    file.close()


def indexes(path: Path) -> list[int]:
    return [letter.index for letter in read_failed(path)]


def test_each_opening_appends(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    append(path, 1, 2)
    append(path)
    append(path, 1)
    assert indexes(path) == [1, 2, 1]


def test_what_is_taken_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    first, second = LetterFile(str(path)), LetterFile(str(path))
    first.take(failed(1))
    second.take(failed(2))
    first.take(failed(3))
    assert indexes(path) == [1, 2, 3]
    first.close()
    second.close()


@pytest.mark.parametrize("torn", [1, 5, 20, 100])
def test_a_torn_line_is_left_out_at_the_end_and_in_the_middle(torn: int, tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    append(path, 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:torn])
    assert indexes(path) == [1, 2]
    append(path, 3)
    assert indexes(path) == [1, 2, 3]


def test_a_file_of_a_torn_line_alone_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    path.write_bytes(b'{"in')
    append(path, 3)
    assert indexes(path) == [3]


def test_a_whole_line_without_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    append(path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    assert indexes(path) == [1]
    append(path, 2)
    assert indexes(path) == [1, 2]


@pytest.mark.parametrize("text", ["prompt one\nprompt two", '{"n": 1}\n', "\ufeff{"])
def test_a_file_of_something_else_is_not_appended_to(text: str, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text(text)
    with pytest.raises(DeadLetterError, match="holds something else; name another file"):
        LetterFile(str(path))
    assert path.read_text() == text


def test_a_line_that_is_no_letter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    append(path, 1)
    path.write_bytes(path.read_bytes() + b"\nnonsense\n")
    with pytest.raises(DeadLetterError, match=r"failed.jsonl': line 3 is no dead letter: "):
        read_failed(path)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeadLetterError, match=os.strerror(errno.ENOENT)):
        LetterFile(str(tmp_path / "missing" / "failed.jsonl"))
    with pytest.raises(DeadLetterError, match="is no file that can be appended to"):
        LetterFile(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        read_failed(tmp_path / "missing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
def test_a_pipe_without_a_reader_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeadLetterError, match="is no file that can be appended to"):
        LetterFile(str(tmp_path / "pipe"))


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    file = LetterFile(str(path))
    whole = file._file

    class Slow:
        def write(self, data: Any) -> int:
            return whole.write(data[:7])

        def close(self) -> None:
            whole.close()

    file._file = Slow()  # type: ignore[assignment]
    file.take(failed(5))
    file.close()
    assert indexes(path) == [5]
