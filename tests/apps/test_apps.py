"""What all programs to copy have in common: one short file that says how it is started."""

from __future__ import annotations

import configparser
import re
import sys

import pytest

from ..embedding.processes import ROOT
from ..typing.test_types import run_mypy
from .printed import APPS, FOLDER, find_start, read_commands, read_header

MOST_LINES = 120


def test_there_is_one_for_each_place_that_people_put_a_run_in() -> None:
    names = "consumer crawler enrich gui live_page redis_store telemetry tokens web"
    assert names.split() == APPS
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} == {".py"}


@pytest.mark.parametrize("app", APPS)
def test_an_app_is_one_short_file_that_begins_with_how_to_start_it(app: str) -> None:
    assert len((FOLDER / f"{app}.py").read_text("utf-8").splitlines()) <= MOST_LINES
    assert read_header(app).splitlines()[0].endswith((".", ":"))
    assert read_commands(app)[0][:2] == ["pip", "install"]
    assert find_start(app)


def read_requirements(app: str) -> set[str]:
    """Return the names of the packages that an app has installed, with those of the extras."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    needed = {"nadoo_flow", *setup["options"]["install_requires"].split()}
    for requirement in read_commands(app)[0][2:]:
        found = re.fullmatch(r"nadoo-flow(?:\[(\w+)\])?", requirement)
        if found is None:
            needed.add(requirement)
        elif found[1] is not None:
            needed.update(setup["options.extras_require"][found[1]].split())
    return {re.split(r"[<>=;]", requirement)[0].replace("-", "_") for requirement in needed}


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_what_it_has_installed(app: str) -> None:
    imports = re.findall(r"^(?:from|import) (\w+)", (FOLDER / f"{app}.py").read_text("utf-8"), re.M)
    foreign = set(imports) - sys.stdlib_module_names
    needed = read_requirements(app)
    assert {name for name in foreign if not any(each.startswith(name) for each in needed)} == set()


@pytest.mark.slow
@pytest.mark.one_python
def test_the_apps_have_no_wrong_types() -> None:
    untyped = ["--config-file=", "--check-untyped-defs", "--no-strict-optional"]
    untyped += ["--disable-error-code", "var-annotated"]
    files = [FOLDER / f"{app}.py" for app in APPS]
    errors = run_mypy(*untyped, "--ignore-missing-imports", *files)
    assert [error for error in errors if "notebooks" in error] == []
