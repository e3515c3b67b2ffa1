"""The cases: every module here has a tuple ``CASES``."""

from __future__ import annotations

import importlib
import pkgutil

from ..model import Case


def all_cases() -> dict[str, Case]:
    """Return the cases of all modules by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {case.name: case for module in modules for case in module.CASES}
