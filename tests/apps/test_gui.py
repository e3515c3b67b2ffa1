"""The window of the app in a real display, without a screen."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nadoo_flow import BatchProcessor

from ..embedding.processes import PATIENCE, Process
from ..embedding.programs import program
from ..interrupts import interruptible
from .printed import start_app

tk = pytest.importorskip("tkinter", reason="this Python has no Tk", exc_type=ImportError)
from notebooks.apps import gui  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """Serve a display that exists only in memory."""
    reading, writing = os.pipe()
    options = f"-displayfd {writing} -screen 0 800x600x24 -nolisten tcp".split()
    with Process(program("Xvfb", "xvfb"), *options, inherited=(writing,)):
        os.close(writing)
        with os.fdopen(reading) as said:
            yield f":{said.readline().strip()}"


class Service:
    """A node that answers when its gate is open, and needs a moment to end."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.cancelled: list[str] = []

    async def __call__(self, prompt: str) -> str:
        try:
            if prompt == "slow":
                await self.gate.wait()
            return prompt.upper()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            self.cancelled.append(prompt)
            raise


class User:
    """Somebody who types, clicks and looks."""

    def __init__(self, service: Service) -> None:
        self.window = gui.Window()
        self.window.processor = BatchProcessor(service)

    def type(self, text: str) -> None:
        self.window.prompts.focus_force()
        for letter in text:
            self.window.update()
            name = {"\n": "Return", " ": "space"}.get(letter, letter)
            self.window.prompts.event_generate("<KeyPress>", keysym=name)

    def click(self) -> None:
        for event in ("<Enter>", "<ButtonPress-1>", "<ButtonRelease-1>"):
            self.window.button.event_generate(event, x=5, y=5)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, (self.answers, self.button)
            self.window.update()
            time.sleep(0.002)

    @property
    def answers(self) -> list[str]:
        return list(self.window.answers.get(0, "end"))

    @property
    def button(self) -> str:
        return str(self.window.button["text"])


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def user(display: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    monkeypatch.setenv("DISPLAY", display)
    user = User(service)
    yield user
    if user.window.background.thread.is_alive():
        user.window.close()
    # A window that the thread of a later one would happen to collect would end the process.
    del user.window
    gc.collect()


def test_answers_are_shown_as_they_come(user: User, service: Service) -> None:
    user.type("slow\nquick")
    user.click()
    user.wait_for(lambda: user.answers == ["quick: QUICK"])
    assert (user.button, user.window.bar["value"], user.window.bar["maximum"]) == ("Stop", 1, 2)
    user.window.background.loop.call_soon_threadsafe(service.gate.set)
    user.wait_for(lambda: user.button == "Answer")
    assert user.answers == ["quick: QUICK", "slow: SLOW"]
    assert user.window.bar["value"] == 2
    user.click()
    user.wait_for(lambda: len(user.answers) == 2 and user.button == "Answer")


def test_stop_cancels_the_run(user: User, service: Service) -> None:
    user.type("slow\nquick\nslow")
    user.click()
    user.wait_for(lambda: user.answers == ["quick: QUICK"])
    user.click()
    user.wait_for(lambda: len(service.cancelled) == 2 and user.button == "Answer")
    assert user.answers == ["quick: QUICK"]


def test_closing_the_window_waits_for_the_clean_up_of_what_is_in_work(
    user: User, service: Service
) -> None:
    user.type("slow\nquick")
    user.click()
    user.wait_for(lambda: user.answers == ["quick: QUICK"])
    user.window.close()
    assert service.cancelled == ["slow"]
    assert not user.window.background.thread.is_alive()
    with pytest.raises(tk.TclError):
        user.window.winfo_exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_app_as_it_is_printed_ends_on_signals(display: str, number: signal.Signals) -> None:
    with interruptible(), start_app("gui", variables={"DISPLAY": display}) as app:
        status = Path(f"/proc/{app.running.pid}/status")
        end = time.monotonic() + PATIENCE
        while not catches(status, signal.SIGTERM):
            assert time.monotonic() < end
            time.sleep(0.01)
        app.running.send_signal(number)
        assert app.end() == 0
    assert app.said == []


def catches(status: Path, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    (mask,) = (line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)
