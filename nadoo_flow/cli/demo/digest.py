"""The digest of a document: a summary, its entities, and its number of words."""

from __future__ import annotations

import ast
import re
import textwrap
import tokenize
from collections.abc import Iterator
from typing import Any

BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


def digest(document: str) -> dict[str, Any]:
    """Extract a summary, the entities and the word count of a document."""
    if document.lower().endswith(".py"):
        with tokenize.open(document) as file:  # in the encoding that the file declares
            text = file.read()
        module = ast.parse(text, document)
        summary, entities = (
            extract_first_sentence(ast.get_docstring(module) or ""),
            list(find_names(module)),
        )
    else:
        with open(document, encoding="utf-8-sig") as file:
            text = file.read()
        entities = list(find_headings(text, markdown=document.lower().endswith(".md")))
        summary = entities[0] if entities else extract_first_sentence(text)
    return {
        "document": document,
        "summary": textwrap.shorten(summary, 100, placeholder="..."),
        "entities": entities,
        "word_count": len(text.split()),
    }


def extract_first_sentence(text: str) -> str:
    """Return the first sentence of the first paragraph."""
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def find_names(module: ast.Module) -> Iterator[str]:
    """Yield the names of the classes and functions of a module, also those inside others."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        inner = [statement for block in BLOCKS for statement in getattr(node, block, ())]
        waiting.extend(reversed(inner))


def find_headings(text: str, *, markdown: bool) -> Iterator[str]:
    """Find the headings of a prose text: the underlined ones, and Markdown's ``# ...``."""
    previous, in_code = "", False
    for line in map(str.strip, text.splitlines()):
        if markdown and line.startswith(("```", "~~~")):
            in_code = not in_code
        elif markdown and not in_code and re.match(r"#{1,6}\s", line):
            yield line.strip("# \t")
        elif not in_code and is_underline(line) and any(map(str.isalnum, previous)):
            yield previous
        previous = line


def is_underline(line: str) -> bool:
    """Return whether a line consists of one character that underlines headings."""
    return len(line) >= 3 and line[0] in "=-~^*" and not line.strip(line[0])
