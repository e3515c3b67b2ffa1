"""How a call reaches the process that it is for, or finds that it has ended."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Client
from typing import Any

import pytest

from nadoo_flow.executors.answers import Question
from nadoo_flow.executors.chunk import Chunk
from nadoo_flow.executors.host import hosting
from nadoo_flow.executors.place import Place, ask, find_place

from ..interrupts import interruptible

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


@pytest.mark.one_python
def test_all_who_come_to_a_door_at_once_are_answered(door: Place, generator: Any) -> None:
    together = threading.Barrier(64)

    def come(_: int) -> bytes:
        together.wait()
        return ask(door, Question("close", generator.number, 0))

    with ThreadPoolExecutor(64) as pool:
        assert sorted(pool.map(come, range(64), timeout=30)) == [b""] * 63 + [b"busy"]


@pytest.mark.one_python
def test_a_fetch_that_is_repeated_shows_that_outputs_are_lost(door: Place, generator: Any) -> None:
    for _ in range(2):
        generator._put("output")
    first, second = (Question("fetch", generator.number, 0, received) for received in (0, 2))
    assert Chunk(*pickle.loads(ask(door, first))).outputs == 2
    assert ask(door, first) == b""
    assert Chunk(*pickle.loads(ask(door, second))).outputs == 0


@pytest.mark.one_python
def test_an_answer_that_an_interrupt_kept_from_arriving_is_none_to_the_next_question(
    door: Place, generator: Any
) -> None:
    def interrupt() -> None:
        while not generator._is_wanted:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    with interruptible(), pytest.raises(KeyboardInterrupt):
        threading.Thread(target=interrupt).start()
        ask(door, Question("fetch", generator.number, 30))
    generator.end((b"result", None))
    assert ask(door, Question("close", generator.number, 0)) == b""
