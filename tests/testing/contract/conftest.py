"""What the tests of the checks of rules share."""

from __future__ import annotations

import pytest

from nadoo_flow.testing.contract import searching


@pytest.fixture
def first_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search end with the first case in which a rule is broken, simple or not."""
    monkeypatch.setattr(searching, "SHRINKING", 0.0)
