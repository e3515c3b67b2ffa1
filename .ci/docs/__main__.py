"""Build the reference: a page for each room that users import from, with pdoc.

Usage: python .ci/docs [FOLDER], which is build/docs by default. A warning of pdoc is an error.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.metadata import metadata
from pathlib import Path

import pdoc
import pdoc.render
from as_written import keep_annotations_as_written
from links import Links
from manual import Manual, make_html
from members import adopt_members_of_inner_bases, describe_constants
from pygments.formatters import HtmlFormatter
from rooms import ROOMS

import nadoo_flow

HERE = Path(__file__).parent


def find_repository() -> str | None:
    """Find the URL under which the files of the project are shown."""
    for line in metadata("nadoo-flow").get_all("Project-URL") or []:
        label, _, url = line.partition(", ")
        if label in ("Repository", "Source"):
            return f"{url.rstrip('/')}/blob/main"
    return None


def build(folder: Path) -> None:
    """Write the site into a folder."""
    warnings.simplefilter("error")
    for room in ROOMS:
        importlib.import_module(room)
    keep_annotations_as_written()
    pdoc.render.configure(
        docformat="google",
        footer_text=f"nadoo-flow {nadoo_flow.__version__}",
        show_source=False,
        template_directory=HERE,
    )
    links = Links(ROOMS)
    package = Path(nadoo_flow.__path__[0])
    manual = Manual(package, ROOMS, links.room_of, find_repository())
    manual.add_pages()
    describe_constants()
    adopt_members_of_inner_bases(links.room_of)
    pdoc.render.env.filters |= {
        "linkify": links.linkify,
        "linkify_name": links.linkify_name,
        "to_html": make_html,
    }
    dark = HtmlFormatter(style="github-dark").get_style_defs(".pdoc-code")
    pdoc.render.env.globals |= {
        "dark_code": dark,
        "pages": manual.pages,
        "room_of": links.room_of,
        "offered": links.offered,
    }
    # pdoc would take the module of a function that has its name for a member of the room.
    inner = r"!nadoo_flow\.\w+\.\w"
    pdoc.pdoc(*ROOMS, inner, *manual.pages, output_directory=folder)


if __name__ == "__main__":
    target = Path(sys.argv[1] if sys.argv[1:] else HERE.parents[1] / "build" / "docs")
    build(target)
    print(f"wrote {target / 'index.html'}")
