"""The notebooks run from a fresh kernel, and their committed outputs are what they print today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from .conftest import Execute
from .manual.pages import find_anchors

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


WIDGET = "application/vnd.jupyter.widget-view+json"


def shown(cell: NotebookNode) -> list[tuple[str, str]]:
    """Return what a cell shows, piece by piece, each with its kind, so that it can be compared."""
    pieces: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            # Which may have come in any number of parts.
            earlier = pieces.pop()[1] if pieces and pieces[-1][0] == output.name else ""
            pieces.append((output.name, earlier + output.text))
        elif output.output_type == "error":
            pieces.append(("error", output.ename))
        else:
            # A widget has another id in every run.
            data = {**output.data, WIDGET: ""} if WIDGET in output.data else output.data
            pieces += sorted(data.items())
    return pieces


def without_numbers(text: str) -> str:
    """Replace all numbers, and the unit of a time: it may be near to the next."""
    return re.sub(r"\d[\d.,]*( ms| µs)?", lambda found: "0 s" if found[1] else "0", text)


def shown_but_for_numbers(cell: NotebookNode) -> list[tuple[str, str]]:
    """Return the words of a cell that measures something, and the kinds of its pictures.

    What it finds depends on how busy the machine is where the cell has the tag "unsteady".
    """
    if "unsteady" in cell.metadata.tags:
        return [(kind, "") for kind, _ in shown(cell)]
    return [
        (kind, "" if "/" in kind and kind != "text/plain" else without_numbers(text))
        for kind, text in shown(cell)
    ]


def outputs(notebook: NotebookNode) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what each code cell shows; the numbers of those with the tag "volatile" may change."""
    return [
        (
            cell.source,
            shown_but_for_numbers(cell)
            if "volatile" in cell.metadata.get("tags", ())
            else shown(cell),
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_committed_outputs_are_not_stale(
    path: Path, execute: Execute
) -> None:
    notebook = nbformat.read(path, as_version=4)
    committed = outputs(notebook)
    execute(notebook)
    assert outputs(notebook) == committed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_committed_after_a_run_from_top_to_bottom(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_local_link_of_a_notebook_leads_somewhere(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    broken = []
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose):
        name, _, anchor = target.partition("#")
        found = path.parent / name
        if not found.exists() or (anchor and anchor not in find_anchors(found)):
            broken.append(target)
    assert broken == []


def test_notebooks_are_executed_by_the_interpreter_of_the_tests(execute: Execute) -> None:
    notebook = new_notebook(cells=[new_code_cell("import sys; print(sys.executable)")])
    execute(notebook)
    assert outputs(notebook)[0][1] == [("stdout", f"{sys.executable}\n")]


SLEEPERS = """
import asyncio, runpy, sys, threading

runpy.run_path(sys.argv[1])


async def sleep_often():
    threading.Thread(target=asyncio.run, args=[asyncio.sleep(0.5)]).start()
    for _ in range(10):
        async with asyncio.timeout(20):
            await asyncio.sleep(0.1)


asyncio.run(sleep_often())
"""


def test_loops_of_other_threads_hold_up_no_sleeper() -> None:
    helper = str(Path(__file__).with_name("punctual_sleep.py"))
    subprocess.run([sys.executable, "-c", SLEEPERS, helper], check=True, timeout=60)


def test_a_cell_that_raises_fails_the_notebook(execute: Execute) -> None:
    notebook = new_notebook(
        cells=[new_code_cell("raise OSError('no')"), new_code_cell("print('too far')")]
    )
    with pytest.raises(CellExecutionError) as raised:
        execute(notebook)
    assert (raised.value.ename, raised.value.evalue) == ("OSError", "no")
    assert [shown(cell) for cell in notebook.cells] == [[("error", "OSError")], []]


def test_outputs_are_compared_in_whole_whatever_the_parts_in_which_they_came() -> None:
    parts = [new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n")]
    drawn = new_output("execute_result", data={"text/plain": "<7>", "image/svg+xml": "<svg/>"})
    bar = new_output("display_data", data={"text/plain": "0%", WIDGET: {"model_id": "1f"}})
    cell = new_code_cell("told", outputs=[*parts, drawn, bar])
    assert outputs(new_notebook(cells=[new_markdown_cell("text"), cell])) == [
        (
            "told",
            [
                ("stdout", "a\nb\n"),
                ("image/svg+xml", "<svg/>"),
                ("text/plain", "<7>"),
                (WIDGET, ""),
                ("text/plain", "0%"),
            ],
        )
    ]


def test_of_volatile_cells_the_words_and_the_kinds_are_compared() -> None:
    printed = new_output("stream", name="stdout", text="limit 4: 1,204.5 ms\n")
    drawn = new_output("execute_result", data={"text/plain": "<7>", "text/html": "<b>7</b>"})
    cell = new_code_cell("x", outputs=[printed, drawn], metadata={"tags": ["volatile"]})
    assert outputs(new_notebook(cells=[cell])) == [
        ("x", [("stdout", "limit 0: 0 s\n"), ("text/html", ""), ("text/plain", "<0>")])
    ]
    cell.metadata.tags.append("unsteady")
    assert outputs(new_notebook(cells=[cell])) == [
        ("x", [("stdout", ""), ("text/html", ""), ("text/plain", "")])
    ]
