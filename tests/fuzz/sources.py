"""Makes the inputs that a case says, which keep books of what they gave and of their clean-up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import reactivex as rx
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from .acts import perform, perform_without_waiting
from .case import Act, Source
from .ledger import Ledger

TOO_MANY = 3_000
"""Items of an endless source that no run may come to."""

_variable: ContextVar[int] = ContextVar("fuzz_source", default=0)


class Inputs:
    """The inputs of one case.

    Attributes:
        tasks: Tasks that emit, which belong to the case and not to the run.
        threads: Threads that emit.
    """

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self.length = TOO_MANY if source.length is None else source.length
        self.endless = source.length is None
        self.acts = dict(source.acts)
        self.kind = source.kind
        self.ledger = ledger
        self.tasks: list[asyncio.Task[None]] = []
        self.threads: list[threading.Thread] = []
        self._left = threading.Event()

    def make(self) -> Any:
        """Make what is given to the run."""
        match self.kind:
            case "list":
                return list(range(self.length))
            case "iterable":
                return _Iterable(self)
            case "iterator":
                return _Counting(self)
            case "generator":
                return self._generator()
            case "async_generator":
                return self._async_generator()
            case "async_iterator":
                return _AsyncCounting(self)
            case "async_closeable":
                return _AsyncCloseable(self)
            case "cold":
                return rx.from_iterable(range(self.length))
            case "subject":
                return Observable(self._emit_from_task)
            case "thread":
                return Observable(self._emit_from_thread)
        raise ValueError(self.kind)

    async def leave(self) -> None:
        """End whatever still emits."""
        self._left.set()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        for thread in self.threads:
            thread.join(5)
            if thread.is_alive():
                self.ledger.find("a thread that emits is stuck")

    def give(self, number: int) -> int:
        """Note an item that is given."""
        if self.endless and number >= TOO_MANY - 1:
            self.ledger.find("an endless source was read without an end")
        self.ledger.pulled.append(number)
        return number

    def before(self, number: int) -> Act:
        """Say what happens before an item."""
        return self.acts.get(number, Act())

    def _generator(self) -> Generator[int, None, None]:
        self.ledger.opened += 1
        try:
            for number in range(self.length):
                perform_without_waiting(self.before(number), self.ledger)
                yield self.give(number)
            perform_without_waiting(self.before(self.length), self.ledger)
        finally:
            self.ledger.closed += 1

    async def _async_generator(self) -> AsyncGenerator[int, None]:
        self.ledger.opened += 1
        task, token = asyncio.current_task(), _variable.set(1)
        try:
            for number in range(self.length):
                await perform(self.before(number), self.ledger)
                yield self.give(number)
            await perform(self.before(self.length), self.ledger)
        finally:
            if asyncio.current_task() is not task:
                self.ledger.find("an async generator is closed in another task")
            try:
                _variable.reset(token)
            except ValueError:
                self.ledger.find("an async generator is closed in another context")
            await self._clean_up()

    async def _clean_up(self) -> None:
        try:
            await perform(self.before(-1), self.ledger)
        finally:
            self.ledger.closed += 1

    def _emit_from_task(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subject: Subject[int] = Subject()
        subscription = subject.subscribe(observer)
        over = False

        async def emit() -> None:
            try:
                for number in range(self.length):
                    await perform(self.before(number), self.ledger)
                    if over:
                        return
                    subject.on_next(self.give(number))
                await perform(self.before(self.length), self.ledger)
            except Exception as error:
                subject.on_error(error)
            else:
                subject.on_completed()

        task = asyncio.get_running_loop().create_task(emit())
        self.tasks.append(task)

        def dispose() -> None:
            nonlocal over
            over = True
            subscription.dispose()
            task.cancel()

        return Disposable(dispose)

    def _emit_from_thread(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        left = self._left

        def emit() -> None:
            for number in range(self.length):
                if left.is_set():
                    return
                self.give(number)
                observer.on_next(number)
            observer.on_completed()

        thread = threading.Thread(target=emit)
        self.threads.append(thread)
        thread.start()
        return Disposable(left.set)


class _Counting(Iterator[int]):
    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._next = 0

    def __next__(self) -> int:
        number, self._next = self._next, self._next + 1
        perform_without_waiting(self._inputs.before(number), self._inputs.ledger)
        if number >= self._inputs.length:
            raise StopIteration
        return self._inputs.give(number)


class _Iterable:
    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def __iter__(self) -> Iterator[int]:
        return _Counting(self._inputs)


class _AsyncCounting(AsyncIterator[int]):
    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._next = 0

    async def __anext__(self) -> int:
        number, self._next = self._next, self._next + 1
        await perform(self._inputs.before(number), self._inputs.ledger)
        if number >= self._inputs.length:
            raise StopAsyncIteration
        return self._inputs.give(number)


class _AsyncCloseable(_AsyncCounting):
    """Counts as opened with its first item, and has to be closed then."""

    _opened = _closed = False

    async def __anext__(self) -> int:
        if not self._opened:
            self._opened = True
            self._inputs.ledger.opened += 1
        return await super().__anext__()

    async def aclose(self) -> None:
        if self._opened and not self._closed:
            self._closed = True
            await self._inputs._clean_up()
