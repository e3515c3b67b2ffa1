"""The rooms that have a page in the reference, in the order in which it lists them."""

from __future__ import annotations

import importlib
import pkgutil

import nadoo_flow

INNER = {"drawing", "storage"}
"""What users import nothing from: helpers of the other rooms."""

ROOMS = [
    "nadoo_flow",
    *sorted(
        f"nadoo_flow.{module.name}"
        for module in pkgutil.iter_modules(nadoo_flow.__path__)
        if not module.name.startswith("_") and module.name not in INNER
    ),
]


def list_names(room: str) -> list[str]:
    """List the names that a room offers."""
    module = importlib.import_module(room)
    own = [name for name, value in vars(module).items() if is_own(value, room)]
    return list(getattr(module, "__all__", own))


def is_own(value: object, room: str) -> bool:
    """Return whether a module defines a class or function itself."""
    return getattr(value, "__module__", None) == room and not value.__name__.startswith("_")
