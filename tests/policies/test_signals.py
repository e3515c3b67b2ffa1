"""What a failure says about the service behind a node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from nadoo_flow import NodeResult
from nadoo_flow.policies import signals
from nadoo_flow.policies.signals import is_overload, read_retry_after

from .services import Clock, HttpError, Response


class Treacherous(Exception):
    """An exception none of whose properties can be read."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} was never set")


class CountingHeaders(dict[str, str]):
    """Headers that tell how they were asked."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)


def failed(**attributes: Any) -> NodeResult:
    return NodeResult(False, error="no", exception=HttpError(**attributes))


def with_header(value: Any) -> NodeResult:
    return failed(response=Response(headers={"Retry-After": value}))


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine be in a time zone in which local time would be found out."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Seoul")
        time.tzset()
        yield
    time.tzset()


class TestRetryAfter:
    @pytest.mark.parametrize(
        "result",
        [
            NodeResult(False, metadata={"retry_after": 7}),
            failed(retry_after=7),
            with_header("7"),
            failed(response=Response(headers=CountingHeaders({"retry-after": "7"}))),
            failed(headers={"retry-after": "7"}),
        ],
        ids=["metadata", "attribute", "response", "case-insensitive", "headers"],
    )
    def test_is_found(self, result: NodeResult) -> None:
        assert read_retry_after(result) == 7

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (7, 7.0),
            (0.25, 0.25),
            ("7", 7.0),
            (" 7 ", 7.0),
            (b"7", 7.0),
            (timedelta(minutes=2), 120.0),
        ],
        ids=repr,
    )
    def test_is_a_number_of_seconds(self, value: Any, seconds: float) -> None:
        assert read_retry_after(with_header(value)) == seconds

    @pytest.mark.parametrize(
        "date",
        [
            "Wed, 21 Oct 2015 07:30:00 GMT",
            "Wednesday, 21-Oct-15 07:30:00 GMT",
            "Wed Oct 21 07:30:00 2015",
            "Wed, 21 Oct 2015 07:30:00 -0000",
            "Wed, 21 Oct 2015 09:30:00 +0200",
        ],
    )
    def test_is_a_date_in_any_form_of_http(
        self, date: str, far_from_greenwich: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signals, "datetime", Clock)
        assert read_retry_after(with_header(date)) == 120

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "0",
            "-5",
            "inf",
            "nan",
            "1e999",
            10**400,
            float("inf"),
            float("nan"),
            timedelta(seconds=-1),
            [],
            object(),
            "Wed, 21 Oct 2015 07:27:00 GMT",
            "Wed, 99 Oct 2015 07:27:00 GMT",
            "Wed, 21 Oct 2115 07:30:00 +" + 20 * "9",
        ],
        ids=lambda value: repr(value).partition(" at 0x")[0],
    )
    def test_is_nothing_where_it_makes_no_sense(
        self, value: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signals, "datetime", Clock)
        assert read_retry_after(with_header(value)) == 0
        assert read_retry_after(failed(retry_after=value)) == 0
        assert read_retry_after(NodeResult(False, metadata={"retry_after": value})) == 0

    def test_is_taken_from_the_first_place_that_makes_sense(self) -> None:
        result = failed(retry_after="soon", response=Response(headers={"retry-after": "9"}))
        assert read_retry_after(result) == 9
        result.metadata["retry_after"] = 3
        assert read_retry_after(result) == 3

    @pytest.mark.parametrize(
        "result",
        [
            NodeResult(False, error="no"),
            NodeResult(False, exception=Treacherous()),
            failed(response=None),
            failed(response={"Error": {}}),
            failed(response=Response(headers=None)),
            failed(response=Response(headers=["retry-after"])),
            failed(response=Treacherous()),
        ],
    )
    def test_of_other_failures_is_nothing(self, result: NodeResult) -> None:
        assert read_retry_after(result) == 0


class TestIsOverload:
    @pytest.mark.parametrize("status", [429, 503, 529])
    def test_by_a_status_wherever_clients_put_it(self, status: int) -> None:
        assert is_overload(failed(status_code=status))
        assert is_overload(failed(status=status))
        assert is_overload(failed(response=Response(status)))

    @pytest.mark.parametrize("status", [None, 200, 400, 401, 404, 500, {"code": 429}, "busy"])
    def test_not_by_another_status(self, status: Any) -> None:
        assert not is_overload(failed(status_code=status))
        assert not is_overload(failed(status=status))
        assert not is_overload(failed(response=Response(status)))

    def test_by_a_timeout(self) -> None:
        assert is_overload(NodeResult(False, exception=TimeoutError()))

    def test_by_a_wish_to_come_back_later(self) -> None:
        assert is_overload(NodeResult(False, metadata={"retry_after": 1}))
        assert is_overload(with_header("1"))

    def test_not_by_any_other_failure(self) -> None:
        assert not is_overload(NodeResult(False, error="429 TimeoutError"))
        assert not is_overload(NodeResult(False, exception=ValueError("429")))
        assert not is_overload(NodeResult(False, exception=Treacherous()))

    def test_not_by_a_success_whatever_it_carries(self) -> None:
        error = HttpError(status_code=429)
        assert not is_overload(NodeResult(True, metadata={"retry_after": 1}, exception=error))
