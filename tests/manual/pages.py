"""The pages of the manual and the front page: their blocks of code, headings and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "README.md"
PACKAGE = ROOT / "nadoo_flow"
MANUAL = sorted(PACKAGE.rglob("*.md"))
PAGES = [FRONT, *MANUAL]
LINKED = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / "tests" / "CONTRACT.md",
]
"""All texts whose links have to lead somewhere."""
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of code, with the page and the line after which it starts."""

    page: str
    language: str
    line: int
    code: str

    @property
    def name(self) -> str:
        """The place of the block, as an identifier."""
        return re.sub(r"\W+", "_", f"{self.page.removesuffix('.md')}_line_{self.line}")


def read(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def name_page(page: Path) -> str:
    """Return the path of a page within the repository."""
    return page.relative_to(ROOT).as_posix()


def find_blocks(page: Path) -> list[Block]:
    """Return the blocks of code of a page."""
    text = read(page)
    return [
        Block(name_page(page), found[1], text.count("\n", 0, found.start(2)), found[2])
        for found in _FENCED.finditer(text)
    ]


def read_prose(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return _FENCED.sub("", read(page))


def find_anchors(page: Path) -> set[str]:
    """Return the anchors that code hosts make of the headings of a page, and its own."""
    headings = re.findall(r"^#+ (.*)$", read_prose(page), re.MULTILINE)
    of_headings = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
    return of_headings | set(re.findall(r'<a id="([^"]+)"', read(page)))


def find_targets(page: Path) -> list[str]:
    """Return what a page links to, and the images that it shows."""
    prose = re.sub(r"`[^`]*`", "", read_prose(page))
    inline = re.findall(r"\]\(([^)\s]+)\)", prose)
    named = re.findall(r"^\[[^\]]+\]: (\S+)", prose, re.MULTILINE)
    return inline + named + re.findall(r'(?:src|srcset|href)="([^"]+)"', prose)


BLOCKS = [block for page in PAGES for block in find_blocks(page)]
COMMANDS = [block.code.strip() for block in BLOCKS if block.language == "bash"]
EXAMPLES = [block for block in BLOCKS if block.language == "python"]
"""What is run as it is printed."""
