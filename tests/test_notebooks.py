"""The notebooks run from a fresh kernel, and their committed outputs are what they print today."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

Execute: TypeAlias = Callable[[NotebookNode], None]


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Execute a notebook in place, by this interpreter and without the user's own settings."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))

    def run(notebook: NotebookNode) -> None:
        # Where no kernels are installed, "python3" is the running interpreter.
        specs = KernelSpecManager(kernel_dirs=[])
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
        folder = {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(notebook, km=manager, timeout=60, resources=folder)
        asyncio.run(client.async_execute(cleanup_kc=True))

    return run


def printed(cell: NotebookNode) -> list[tuple[str, str]]:
    """Return the texts that a cell has put out, each with its kind, in pieces that can compare."""
    pieces: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            kind, text = output.name, output.text
        elif output.output_type == "error":
            kind, text = "error", output.ename
        else:
            kind, text = output.output_type, output.data.get("text/plain", "")
        if pieces and pieces[-1][0] == kind:
            text = pieces.pop()[1] + text
        pieces.append((kind, text))
    return pieces


def outputs(notebook: NotebookNode) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what each code cell has put out, but for cells with the tag "volatile"."""
    return [
        (cell.source, printed(cell))
        for cell in notebook.cells
        if cell.cell_type == "code" and "volatile" not in cell.metadata.get("tags", ())
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


def test_notebooks_are_executed_by_the_interpreter_of_the_tests(execute: Execute) -> None:
    notebook = new_notebook(cells=[new_code_cell("import sys; print(sys.executable)")])
    execute(notebook)
    assert outputs(notebook)[0][1] == [("stdout", f"{sys.executable}\n")]


def test_a_cell_that_raises_fails_the_notebook(execute: Execute) -> None:
    notebook = new_notebook(cells=[new_code_cell("1 / 0"), new_code_cell("print('too far')")])
    with pytest.raises(CellExecutionError) as raised:
        execute(notebook)
    assert (raised.value.ename, raised.value.evalue) == ("ZeroDivisionError", "division by zero")
    assert [printed(cell) for cell in notebook.cells] == [[("error", "ZeroDivisionError")], []]


def test_outputs_are_compared_whatever_their_pieces_and_but_for_volatile_cells() -> None:
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n")]
    value = new_output("execute_result", data={"text/plain": "7"})
    told = new_code_cell("told", outputs=[*pieces, value])
    volatile = new_code_cell("now()", outputs=pieces, metadata={"tags": ["volatile"]})
    assert outputs(new_notebook(cells=[new_markdown_cell("text"), told, volatile])) == [
        ("told", [("stdout", "a\nb\n"), ("execute_result", "7")])
    ]
