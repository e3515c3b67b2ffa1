"""The manual, whose pages lie beside the modules, as a part of the reference."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pdoc.render_helpers

LINK = re.compile(r"\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>[^)\s]+)\)")
REFERENCE = re.compile(r"^\[([^\]]+)\]: ", re.MULTILINE)
ANCHOR = "manual"
"""Begins the anchor of each heading, so that it is none of those of the names."""


class Html(str):
    """What pdoc makes of a text, with its table of contents."""

    toc_html: str | None = None


def make_html(text: str) -> Html:
    """Make HTML of Markdown as pdoc does, with other anchors of headings."""
    made = pdoc.render_helpers.to_html(text)
    html = Html(re.sub(r'(?<=<h[1-6] id=")', f"{ANCHOR}-", made))
    html.toc_html = (made.toc_html or "").replace('href="#', f'href="#{ANCHOR}-')
    return html


class Manual:
    """Adds the pages of the manual to the docstrings that pdoc is going to read.

    Args:
        package: The folder of the package.
        rooms: The rooms that have a page in the reference.
        room_of: The room that describes a name.
        repository: The URL of the folder of the project, to which links to other files lead. They
            become plain text without one.
    """

    def __init__(
        self,
        package: Path,
        rooms: Sequence[str],
        room_of: Mapping[str, str],
        repository: str | None,
    ) -> None:
        self._package = package
        self._room_of = room_of
        self._repository = repository
        self._names = {self._find_file(room): room for room in rooms}
        pages = sorted(file for file in package.glob("*.md") if file not in self._names)
        self._names |= {file: f"{package.name}.{file.stem}" for file in pages}
        self.pages = [self._names[file] for file in pages]

    def _find_file(self, room: str) -> Path:
        """Return the file of the page that a room has, if it has one."""
        place = self._package.parent.joinpath(*room.split("."))
        return place / "README.md" if place.is_dir() else place.with_suffix(".md")

    def add_pages(self) -> None:
        """Describe each room by its page, and make modules of the pages that belong to none."""
        for file, name in self._names.items():
            if name in self.pages:
                sys.modules[name] = ModuleType(name)
                sys.modules[name].__spec__ = ModuleSpec(name, None)
                sys.modules[name].__doc__ = self._read(file)
            elif file.exists():
                text = self._read(file).partition("\n")[2]  # the site has a title of its own
                summary, _, inside = (sys.modules[name].__doc__ or "").partition("\n")
                parts = [summary, text.strip(), *(["## Inside the room", inside] if inside else [])]
                sys.modules[name].__doc__ = "\n\n".join(parts)

    def _read(self, file: Path) -> str:
        """Read a page, with links to the pages of the site."""

        def relink(found: re.Match[str]) -> str:
            target = self._find_target(found["target"], file, found["text"].strip("`"))
            return f"[{found['text']}]({target})" if target else found["text"]

        text = file.read_text(encoding="utf-8")
        # pdoc knows links by reference only with two pairs of brackets.
        for name in REFERENCE.findall(text):
            text = re.sub(rf"(\[{re.escape(name)}\])(?![\[(:])", r"\1\1", text)
        # What looks like a link in a block of code is none.
        parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
        return "".join(part if part.startswith("```") else LINK.sub(relink, part) for part in parts)

    def _find_target(self, target: str, file: Path, text: str) -> str | None:
        path, _, anchor = target.partition("#")
        if path.startswith(("https:", "http:")):
            return target
        if not path:
            return f"#{ANCHOR}-{anchor}"
        found = Path(os.path.normpath(file.parent / path))
        up = "../" * self._names[file].count(".")
        if found.suffix == ".py" and text in self._room_of:
            return f"{up}{self._room_of[text].replace('.', '/')}.html#{text}"
        if found in self._names:
            page = f"{up}{self._names[found].replace('.', '/')}.html"
            return f"{page}#{ANCHOR}-{anchor}" if anchor else page
        if self._repository is None:
            return None
        return f"{self._repository}/{found.relative_to(self._package.parent)}"
