"""Bad arguments of on() are named where they are given."""

from __future__ import annotations

from typing import Any

import pytest
from distributed import Client

from nadoo_flow.executors import on

from .helpers import ByHand, real


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lanes": 0}, ValueError, "lanes must be at least 1, got 0"),
        ({"lanes": True}, TypeError, "lanes must be a positive int, got True (bool)"),
        ({"lanes": None}, TypeError, "lanes must be a positive int, got None (NoneType)"),
        ({"chunk": -1}, ValueError, "chunk must be at least 1, got -1"),
        ({"chunk": 2.5}, TypeError, "chunk must be a positive int, got 2.5 (float)"),
    ],
)
def test_numbers_are_checked(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        on(ByHand(), **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("executor", "shown"), [(4, "4 (int)"), (None, "None (NoneType)"), ("tcp:", "'tcp:' (str)")]
)
def test_what_is_no_executor_is_refused(executor: Any, shown: str) -> None:
    with pytest.raises(TypeError) as caught:
        on(executor)
    assert str(caught.value) == (
        "executor must be an Executor, a Client of Dask's, or a function that makes an Executor, "
        f"got {shown}"
    )


@real
async def test_an_asynchronous_client_is_refused(dask: Client) -> None:
    address = dask.scheduler.address  # type: ignore[union-attr]
    async with Client(address, asynchronous=True) as client:
        with pytest.raises(TypeError, match="executor must be a synchronous Client"):
            on(client)
