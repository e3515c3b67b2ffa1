"""Exceptions come back as themselves, or as much of them as can be pickled."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from nadoo_flow.errors import describe_error
from nadoo_flow.executors import RemoteError
from nadoo_flow.executors.remote_exception import pack_exception, unpack_exception


class Plain(Exception):
    """Nothing special."""


class Needy(Exception):
    """Pickles, but cannot be unpickled: ``args`` are not what ``__init__`` takes."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(f"{text}: {code}")
        self.code = code
        self.headers = {"retry-after": "5"}


class Holding(Exception):
    """Holds what cannot be pickled, among its arguments and its attributes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lock = threading.Lock()
        self.status = 503


class Stubborn(Exception):
    """Cannot be made without its ``__init__``."""

    def __new__(cls, text: str, *, lock: Any) -> Stubborn:
        return super().__new__(cls, text)

    def __init__(self, text: str, *, lock: Any) -> None:
        super().__init__(text)
        self.lock = lock
        self.status_code = 429


class Speechless(Exception):
    """Raises when it is asked for its words."""

    def __str__(self) -> str:
        raise LookupError("none")


def there_and_back(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return unpack_exception(pack_exception(raised), describe_error(raised))


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (Plain("a", 1), {}),
        (ValueError(), {}),
        (OSError(2, "not there", "file"), {}),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), {}),
        (KeyboardInterrupt(), {}),
        (Needy("no", code=7), {"code": 7, "headers": {"retry-after": "5"}}),
        (Holding("x"), {"status": 503}),
        (Speechless("x"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_type_the_words_and_the_attributes_come_back(
    error: BaseException, attributes: dict[str, Any]
) -> None:
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (describe_error(back), back.args) == (describe_error(error), error.args)
    assert vars(back) == attributes


def test_an_argument_that_cannot_be_pickled_comes_back_as_text() -> None:
    lock = threading.Lock()
    back = there_and_back(Holding(lock))
    assert type(back) is Holding
    assert back.args == (str(lock),)


def test_a_stand_in_comes_for_what_cannot() -> None:
    back = there_and_back(Stubborn("busy", lock=threading.Lock()))
    assert type(back) is RemoteError
    assert str(back) == "Stubborn: busy"
    assert vars(back) == {"status_code": 429}


def test_a_group_comes_with_what_is_in_it() -> None:
    back = there_and_back(ExceptionGroup("two", [ValueError("a"), Plain("b")]))
    assert isinstance(back, ExceptionGroup)
    assert [describe_error(error) for error in back.exceptions] == ["ValueError: a", "Plain: b"]


def test_rule_r21_what_comes_back_keeps_no_event_loop_alive() -> None:
    """Once Dask is imported, as it is here, tracebacks are pickled and unpickled as real ones."""

    def fail() -> None:
        try:
            raise ExceptionGroup("inner", [Plain("a"), ExceptionGroup("b", [KeyError("c")])])
        except ExceptionGroup as inner:
            raise LookupError("outer") from inner

    async def fetch() -> BaseException:
        try:
            fail()
        except LookupError as error:
            return unpack_exception(pack_exception(error), describe_error(error))
        raise AssertionError

    gc.disable()  # it would find what refers to itself
    try:
        with asyncio.Runner() as runner:
            loop = weakref.ref(runner.get_loop())
            kept = runner.run(fetch())
        del runner
        assert loop() is None
    finally:
        gc.enable()
    assert kept.__traceback__ is None
    assert "in fail" in str(kept.__cause__)


def test_what_is_unpickled_as_no_exception_comes_as_a_stand_in() -> None:
    class Odd(Exception):
        def __reduce__(self) -> Any:
            return int, ("7",)

        def __new__(cls, text: str) -> Odd:
            return super().__new__(cls, text)

    back = there_and_back(Odd("a"))
    assert describe_error(back) == "Odd: a"


def test_the_traceback_is_the_cause() -> None:
    back = there_and_back(Plain("a"))
    cause = str(back.__cause__)
    assert "in there_and_back" in cause
    assert cause.rstrip().endswith("Plain: a")


def test_what_cannot_be_unpickled_here_is_told_by_a_stand_in() -> None:
    _, traceback = pack_exception(Plain("a"))
    back = unpack_exception((b"no pickle", traceback), "Plain: a")
    assert (type(back), str(back)) == (RemoteError, "Plain: a")
