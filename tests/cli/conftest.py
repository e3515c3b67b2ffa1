"""Fixtures that the tests of all files of this folder share."""

from .test_run import folder, run

__all__ = ["folder", "run"]
