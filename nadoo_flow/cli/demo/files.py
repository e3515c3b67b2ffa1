"""The documents below a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from ..console import CommandError, escape_unprintable

SUFFIXES = (".py", ".md", ".rst", ".txt")


def find_documents(path: str, leave_out: Iterable[str] = ()) -> list[str]:
    """List the documents below a folder, or the one that the path itself is.

    Raises:
        CommandError: If there is none, or the path cannot be read.
    """
    if not os.path.exists(path):
        raise CommandError(f"no such file or folder: {path}")
    if not os.access(path, os.R_OK):
        raise CommandError(f"not allowed to read {path}")
    files = [path] if os.path.isfile(path) else list_files(path, leave_out)
    documents = [file for file in files if file.lower().endswith(SUFFIXES) and os.path.isfile(file)]
    if not documents:
        raise CommandError(f"no {', '.join(SUFFIXES)} documents in {path}")
    return documents


def list_files(path: str, leave_out: Iterable[str]) -> Iterator[str]:
    """List all files below a folder in order, and report the folders that cannot be listed."""
    for folder, folders, files in os.walk(path, onerror=report_left_out):
        folders[:] = sorted(set(folders).difference(leave_out))
        for file in sorted(files):
            yield os.path.join(folder, file)


def report_left_out(error: OSError) -> None:
    """Report a folder that cannot be listed."""
    print(escape_unprintable(f"left out {error.filename}: {error.strerror}"), file=sys.stderr)
