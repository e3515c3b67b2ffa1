"""The commands that the apps print above their code, and the apps as these commands start them."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Mapping

from ..embedding.processes import ROOT, Process, WebServer

FOLDER = ROOT / "notebooks" / "apps"
APPS = sorted(path.stem for path in FOLDER.glob("*.py"))


def read_header(app: str) -> str:
    """Return the text above the code of an app."""
    return ast.get_docstring(ast.parse((FOLDER / f"{app}.py").read_text("utf-8"))) or ""


def read_commands(app: str) -> list[list[str]]:
    """Return the commands that an app prints, in the order of their lines."""
    return [shlex.split(line) for line in re.findall(r"^ {4}(\S.*)$", read_header(app), re.M)]


def find_start(app: str) -> list[str]:
    """Return the first command that starts an app."""
    return next(
        command
        for command in read_commands(app)
        if command[:2] in (["python", f"{app}.py"], ["uvicorn", f"{app}:app"])
    )


def start_app(
    app: str, replaced: Mapping[str, str] | None = None, variables: Mapping[str, str] | None = None
) -> Process:
    """Start an app as it prints.

    Args:
        app: Its name.
        replaced: What has to be replaced in the command, such as the address of a server.
        variables: Of the environment.
    """
    _, file, *arguments = find_start(app)
    given = [(replaced or {}).get(argument, argument) for argument in arguments]
    return Process(sys.executable, file, *given, folder=FOLDER, variables=variables)


def serve_app(app: str) -> WebServer:
    """Start an app of the web as it prints, but for the port."""
    _, *arguments = find_start(app)
    return WebServer(*arguments, folder=FOLDER)
