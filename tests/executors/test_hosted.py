"""A generator in a worker takes no step that no call waits for, and leaves others theirs."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator

import pytest

from nadoo_flow import FunctionNode, WorkflowContext
from nadoo_flow.executors.bundle import PackedNode
from nadoo_flow.executors.chunk import Chunk
from nadoo_flow.executors.host import Host, hosting
from nadoo_flow.executors.hosted import HostedGenerator
from nadoo_flow.executors.packed_input import pack_input
from nadoo_flow.executors.packed_result import unpack_result

BEGUN = threading.Semaphore(0)
MAY_END = threading.Semaphore(0)


def step_by_step(number: int) -> Iterator[int]:
    while True:
        BEGUN.release()
        MAY_END.acquire()
        yield number


class Fetch(threading.Thread):
    """A call that fetches the first outputs of a generator."""

    def __init__(self, generator: HostedGenerator, seconds: float) -> None:
        super().__init__()
        self.generator = generator
        self.seconds = seconds
        self.chunk: Chunk | None = None
        self.start()

    def run(self) -> None:
        self.chunk = self.generator.fetch(self.seconds, 0)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def generator(host: Host) -> Iterator[HostedGenerator]:
    """Make a generator whose first step goes on when a call that waited for it has returned."""
    node = PackedNode(FunctionNode(step_by_step))
    payload = pack_input(7, WorkflowContext())
    generator = hosting.make(None)
    host.begin(generator, node.digest, node.data, payload)
    in_vain = Fetch(generator, 0.05)
    assert BEGUN.acquire(timeout=30)
    in_vain.join()
    assert in_vain.chunk == Chunk(0, b"", None)
    yield generator
    generator.leave()
    hosting.forget(generator)
    MAY_END.release()
    assert generator.wait_for_end(30)
    while BEGUN.acquire(blocking=False) or MAY_END.acquire(blocking=False):
        pass


@pytest.mark.one_python
def test_rule_r44_no_step_follows_one_for_which_a_call_has_waited_in_vain(
    host: Host, generator: HostedGenerator
) -> None:
    MAY_END.release()
    for _ in range(3):
        turned = expect_turn(host)
        assert turned.wait(5)  # not held up by a step
    assert generator.outputs == 1
    assert not BEGUN.acquire(blocking=False)
    fetch = Fetch(generator, 30)
    assert BEGUN.acquire(timeout=30)
    fetch.join()
    assert fetch.chunk is not None
    assert fetch.chunk.outputs == 1


@pytest.mark.one_python
def test_the_others_on_its_thread_get_a_turn_before_the_step_for_a_call_that_came_early(
    host: Host, generator: HostedGenerator
) -> None:
    fetch = Fetch(generator, 30)
    while not generator._is_wanted:
        pass
    turned = expect_turn(host)
    MAY_END.release()
    assert turned.wait(5)
    assert BEGUN.acquire(timeout=30)
    fetch.join()


@pytest.mark.one_python
def test_rule_r46_a_generator_fails_for_which_no_event_loop_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(selector: object) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(selectors.DefaultSelector, "__init__", refuse)
    generator = hosting.make(None)
    node = PackedNode(FunctionNode(step_by_step))

    def begin() -> None:
        payload = pack_input(7, WorkflowContext())
        Host().begin(generator, node.digest, node.data, payload)

    threading.Thread(target=begin, daemon=True).start()
    chunk = generator.fetch(30, 0)
    hosting.forget(generator)
    assert chunk is not None
    assert chunk.end is not None
    assert unpack_result(chunk.end).error == "OSError: Too many open files"


def expect_turn(host: Host) -> threading.Event:
    """Return an event that is set in the next turn of the loop of a host."""
    turned = threading.Event()
    assert host._loop is not None
    host._loop.call_soon_threadsafe(turned.set)
    return turned
