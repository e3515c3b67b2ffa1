"""How a failure is put into words, and the one exception type."""

from __future__ import annotations

import copy
import pickle

import pytest

from nadoo_flow import NodeError
from nadoo_flow.errors import NO_MESSAGE, describe_error


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise OSError("no words")


class _NoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad input"), "ValueError: bad input"),
        (ValueError(), "ValueError"),
        (ValueError(""), "ValueError"),
        (KeyError("name"), "KeyError: 'name'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (_Unspeakable(), "_Unspeakable: <its message could not be read: OSError>"),
        (_NoText(), "_NoText: <its message could not be read: TypeError>"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_describe_names_the_type_and_the_message_and_is_never_empty(
    error: BaseException, text: str
) -> None:
    assert describe_error(error) == text


def test_node_error_names_the_node_and_what_went_wrong() -> None:
    error = NodeError("translate", "ValueError: bad input")
    assert str(error) == "node 'translate' failed: ValueError: bad input"
    assert (error.node_id, error.error, error.index) == ("translate", "ValueError: bad input", None)


@pytest.mark.parametrize("index", [0, 7])
def test_node_error_names_the_item(index: int) -> None:
    error = NodeError("translate", "no luck", index)
    assert str(error) == f"node 'translate' failed on item {index}: no luck"
    assert error.index == index


def test_node_error_survives_pickling_and_copying() -> None:
    error = NodeError("translate", "no luck", 7)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is NodeError
        assert str(twin) == str(error)
        assert (twin.node_id, twin.error, twin.index) == ("translate", "no luck", 7)


def test_the_default_text_of_a_failure_is_not_empty() -> None:
    assert NO_MESSAGE == "the node reported a failure without a message"
