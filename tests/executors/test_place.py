"""How a call reaches the process that it is for, or finds that it has ended."""

from __future__ import annotations

import pickle
from multiprocessing.connection import Client
from typing import Any

import pytest

from nadoo_flow.executors.answers import Question
from nadoo_flow.executors.chunk import Chunk
from nadoo_flow.executors.host import hosting
from nadoo_flow.executors.place import Place, ask, find_place

ELSEWHERE = b"another process"


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return the place of this process, as another one sees it."""
    place = find_place(caller=ELSEWHERE)
    monkeypatch.setattr("nadoo_flow.executors.place.hosting", Elsewhere())
    return place


class Elsewhere:
    token = ELSEWHERE


@pytest.fixture
def generator() -> Any:
    generator = hosting.make(None)
    yield generator
    hosting.forget(generator)


def test_a_process_that_asks_itself_needs_no_door() -> None:
    assert find_place(caller=hosting.token) == Place(hosting.token)


@pytest.mark.one_python
def test_a_question_is_answered_at_the_door(door: Place, generator: Any) -> None:
    generator.end((b"result", None))
    question = Question("fetch", generator.number, 0)
    assert Chunk(*pickle.loads(ask(door, question))) == Chunk(0, b"", (b"result", None))
    assert ask(door, question) == b""  # that was its last chunk


@pytest.mark.one_python
def test_a_generator_that_is_closed_and_has_not_ended_is_busy(door: Place, generator: Any) -> None:
    assert ask(door, Question("close", generator.number, 0)) == b"busy"
    assert ask(door, Question("close", generator.number, 0)) == b""


def test_rule_r46_a_process_that_has_ended_gives_no_answer() -> None:
    question = Question("fetch", 0, 0)
    assert ask(Place(b"ended"), question) == b""
    assert ask(Place(b"ended", ("127.0.0.1", 1), b"key"), question) == b""


def test_rule_r46_a_door_does_not_answer_those_who_have_no_key(door: Place) -> None:
    assert ask(door._replace(key=b"wrong"), Question("fetch", 0, 0)) == b""
    with Client(door.door) as connection:  # one that says nothing more holds up no one
        assert ask(door, Question("fetch", 0, 0)) == b""
        assert not connection.closed
