"""Texts that exporters can send."""

from __future__ import annotations

import pytest

from nadoo_flow import NodeError
from nadoo_flow.telemetry.texts import MOST_CHARACTERS, format_traceback, make_fit, name_type


@pytest.mark.parametrize(
    ("text", "fit"),
    [("plain", "plain"), ("é\n\0", "é\n\0"), ("\ud800x", "?x"), ("", "")],
    ids=["plain", "kept", "surrogate", "empty"],
)
def test_what_cannot_be_encoded_is_replaced(text: str, fit: str) -> None:
    assert make_fit(text) == fit


def test_a_long_text_is_cut() -> None:
    cut = make_fit("x" * 10_000_000)
    assert (len(cut), cut[-2:]) == (MOST_CHARACTERS, "x…")


def test_a_type_of_python_has_no_module() -> None:
    assert name_type(ValueError()) == "ValueError"
    assert name_type(NodeError("id", "error")) == "nadoo_flow.errors.NodeError"


def test_of_a_long_traceback_the_end_is_kept() -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 100)
        # Python writes a line that repeats once only.
        if depth % 2:
            fall(depth - 1)
        else:
            fall(depth - 1)

    with pytest.raises(ValueError, match="xxx") as caught:
        fall(200)
    written = format_traceback(caught.value)
    assert len(written) <= MOST_CHARACTERS
    assert written.endswith(f"ValueError: {'x' * 100}\n")


def test_a_traceback_without_its_message_is_better_than_none() -> None:
    class MuteError(Exception):
        @property
        def __notes__(self) -> list[str]:
            raise RuntimeError

    with pytest.raises(MuteError) as caught:
        raise MuteError
    assert "test_a_traceback_without" in format_traceback(caught.value)
