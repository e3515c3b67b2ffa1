"""Programs that are not Python packages: found, or a reason to skip a test."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "NADOO_FLOW_REQUIRED_PROGRAMS"
"""Names, set by the gate where it can install them: there, what is missing is a failure."""


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test because a Debian package is missing."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed (apt-get install {package})"
    if name in os.environ.get(REQUIRED, "").split():
        pytest.fail(reason)
    pytest.skip(reason)
