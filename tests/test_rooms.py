"""The architecture: which room stands on which floor, and that no import runs back up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nadoo_flow

PACKAGE = Path(nadoo_flow.__file__).parent

FLOORS = (
    ("testing",),
    ("__main__",),
    ("cli", "telemetry"),
    ("dashboard",),
    ("batch",),
    ("executors", "dead_letters", "operators"),
    ("policies", "stages"),
    ("checkpoint",),
    ("results",),
    ("nodes", "tracing"),
    ("events",),
    ("streams", "drawing", "storage"),
    ("errors", "_support"),
)
"""From the top down. A room imports only from floors below its own."""

FLOORS_OF_STREAMS = (
    ("sinks", "operators", "sources"),
    ("plan", "loop_thread"),
    ("places", "valve"),
    ("subscription", "timed_context"),
    ("draining",),
    ("demand", "direct", "turn", "run_scope", "run_tasks", "work", "many_work", "begun"),
)
"""The same inside the room that has rooms of its own."""


def imports_of(package: Path) -> Iterator[tuple[str, str, str]]:
    """Give the room of each module, the room of what it imports, and where the import stands.

    Late imports and those for type checkers are among them.
    """
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package).with_suffix("").parts
        for statement in ast.walk(ast.parse(file.read_text())):
            if isinstance(statement, ast.ImportFrom) and statement.level:
                above = len(path) - statement.level
                if above < 0:
                    continue  # out of the package
                names = (statement.module or "").split(".") if statement.module else []
                targets = [[*path[:above], *names]]
                if not targets[0]:
                    targets = [[alias.name] for alias in statement.names]
                for target in targets:
                    yield path[0], target[0], f"{file.relative_to(package)}:{statement.lineno}"


def arrows_up(package: Path, floors: tuple[tuple[str, ...], ...]) -> list[str]:
    """List the imports that do not run down."""
    floor_of = {room: number for number, rooms in enumerate(floors) for room in rooms}
    return [
        f"{where} imports {target}"
        for room, target, where in imports_of(package)
        if room not in ("__init__", target) and floor_of[room] >= floor_of[target]
    ]


@pytest.mark.parametrize(
    ("package", "floors"),
    [
        pytest.param(PACKAGE, FLOORS, id="nadoo_flow"),
        pytest.param(PACKAGE / "streams", FLOORS_OF_STREAMS, id="streams"),
    ],
)
def test_no_import_runs_back_up(package: Path, floors: tuple[tuple[str, ...], ...]) -> None:
    assert arrows_up(package, floors) == []


def test_each_room_is_on_the_plan() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    planned = {room for floor in FLOORS for room in floor}
    assert rooms - {"__init__", "__pycache__", "py"} == planned


def test_an_import_that_runs_up_is_found(tmp_path: Path) -> None:
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "subscription.py").write_text(
        "def late():\n    from ..nodes import BaseNode\n"
    )
    (tmp_path / "errors.py").write_text("from . import streams\n")
    assert arrows_up(tmp_path, FLOORS) == [
        "errors.py:1 imports streams",
        "streams/subscription.py:2 imports nodes",
    ]


@pytest.mark.parametrize("room", sorted(path.parent for path in PACKAGE.rglob("__init__.py")))
def test_each_room_has_a_page_of_its_own(room: Path) -> None:
    tree = ast.parse((room / "__init__.py").read_text())
    page = ast.get_docstring(tree) or ""
    assert page.count(".") >= 2 or room.parent.name == "cli" or room == PACKAGE
