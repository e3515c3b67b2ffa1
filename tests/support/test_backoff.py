"""How long to wait: seconds, tenacity's strategies, or the default."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import pytest
import tenacity

from nadoo_flow._support.backoff import MAX_WAIT, as_wait, generate_waits


class TestWaits:
    @pytest.mark.parametrize(
        ("wait", "expected"),
        [
            (0, [0, 0, 0]),
            (2.5, [2.5, 2.5, 2.5]),
            (tenacity.wait_exponential(multiplier=2), [2, 4, 8]),
            (tenacity.wait_incrementing(1, 5), [1, 6, 11]),
            (tenacity.wait_none(), [0, 0, 0]),
            (lambda state: state.attempt_number, [1, 2, 3]),
        ],
    )
    def test_follow_the_strategy(self, wait: Any, expected: list[float]) -> None:
        assert list(generate_waits(wait, 3)) == expected

    def test_are_as_many_as_there_are_attempts(self) -> None:
        assert [len(list(generate_waits(1, attempts))) for attempts in (1, 2, 7)] == [1, 2, 7]

    @pytest.mark.parametrize(
        ("drawn", "expected"),
        [(min, [1, 2, 4, 8, 16, 32, 60, 60]), (max, [2, 3, 5, 9, 17, 33, 60, 60])],
        ids=["least jitter", "most jitter"],
    )
    def test_grow_exponentially_up_to_a_minute_by_default(
        self, drawn: Any, expected: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(random, "uniform", lambda low, high: drawn(low, high))
        assert list(generate_waits(None, 8)) == expected

    def test_never_exceed_a_minute_however_many(self) -> None:
        # 2 ** 5000 is no float any more.
        assert set(islice(generate_waits(None, 5_000), 4_990, None)) == {MAX_WAIT}

    def test_of_several_calls_differ_by_default(self) -> None:
        assert len({tuple(generate_waits(None, 3)) for _ in range(20)}) == 20


class TestAsWait:
    def test_leaves_a_strategy_as_it_is(self) -> None:
        strategy = tenacity.wait_random(1, 2)
        assert as_wait(strategy) is strategy

    @pytest.mark.parametrize(
        ("wait", "kind", "words"),
        [
            (-1, ValueError, "wait must not be negative, got -1"),
            (float("nan"), ValueError, "wait must be a finite number, got nan"),
            (float("inf"), ValueError, "wait must be a finite number, got inf"),
            (True, TypeError, r"wait must be a number, got True \(bool\)"),
            ("1", TypeError, r"wait must be a number, got '1' \(str\)"),
            (tenacity.wait_fixed, TypeError, "wait must be seconds or a wait strategy, got the"),
        ],
    )
    def test_names_what_is_wrong(self, wait: Any, kind: type[Exception], words: str) -> None:
        with pytest.raises(kind, match=words):
            as_wait(wait)
