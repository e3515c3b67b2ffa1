"""``python -m nadoo_flow demo``: real documents, some of them broken, through the pipeline."""

from __future__ import annotations

import ast
import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from nadoo_flow import NodeContext, WorkflowContext
from nadoo_flow.__main__ import build_parser, main
from nadoo_flow.cli.demo import command
from nadoo_flow.cli.demo.command import read_documents
from nadoo_flow.cli.demo.digest import digest, find_headings
from nadoo_flow.cli.demo.pipeline import DocumentProcessor

from ..interrupts import interruptible
from ..stand_ins import describe_failure

RunMain: TypeAlias = Callable[..., tuple[int, str, str]]

MODULE = '''"""Shapes and colours. And more of it."""
class Shape:
    def area(self): pass
if True:
    async def fetch():
        def inner(): pass
else:
    try:
        def tried(): pass
    except ValueError:
        def handled(): pass
    finally:
        def last(): pass
match 1:
    case 1:
        def matched(): pass
'''

UNDECODABLE_BYTES = b"\xff\xfe\xfa"


class BadCookie(io.BytesIO):
    """A file whose encoding does not exist."""

    name = "bad_cookie.py"


BAD_COOKIE = describe_failure(
    lambda: tokenize.detect_encoding(BadCookie(b"# coding: nonsense\n").readline)
)
UNCLOSED = describe_failure(lambda: ast.parse("x = (\n", "unclosed.py"))
UNDECODABLE = describe_failure(UNDECODABLE_BYTES.decode)

REPORT = f"""\
documents   9
read        5
empty       1
failed      3
words      65
entities   12

longest documents  words  entities  summary
module.py             41         8  Shapes and colours.
guide.rst              8         2  Guide
latin.py               7         1  Olé!
notes.md               7         1  Notes
sub/PLAIN.TXT          2         0  Plain words

failed documents  2 SyntaxError, 1 UnicodeDecodeError
bad_cookie.py     {BAD_COOKIE}
unclosed.py       {UNCLOSED}
undecodable.txt   {UNDECODABLE}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make nine documents, three of them broken, and two files that are none."""
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "module.py").write_text(MODULE)
    latin = '# coding: latin-1\n"""Olé!"""\ndef café(): pass'
    (root / "latin.py").write_bytes(latin.encode("latin-1"))
    (root / "notes.md").write_text("# Notes\n\n```\n# no heading\n```")
    (root / "guide.rst").write_text("Guide\n=====\n\nSome text.\n\nMore of it\n----------\n")
    (root / "sub" / "PLAIN.TXT").write_text("Plain words")
    (root / "empty.py").write_text("")
    (root / "bad_cookie.py").write_text("# coding: nonsense\n")
    (root / "unclosed.py").write_text("x = (\n")
    (root / "undecodable.txt").write_bytes(UNDECODABLE_BYTES)
    (root / "program.c").write_text("int main() {}")
    (root / "folder.txt").mkdir()
    return root


@pytest.fixture
def run_main(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunMain:
    """Run a command in this process; return its status, stdout without the time taken, stderr."""
    monkeypatch.setenv("COLUMNS", "0")  # as when the output is no terminal

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, without_time(captured.out), captured.err

    return run


def without_time(output: str) -> str:
    """Leave out the last line of a report, which tells the time that was taken."""
    report, took = re.subn(r"\ntook \d+\.\d s\n\Z", "", output)
    assert took == bool(output)
    return report


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "nadoo_flow", *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
    )


def test_every_document_is_counted_and_the_broken_ones_are_named(
    tree: Path, run_main: RunMain
) -> None:
    assert run_main("demo", tree) == (0, REPORT, f"documents in {tree}: 9\n")


def test_the_lists_can_be_made_shorter(tree: Path, run_main: RunMain) -> None:
    _, output, _ = run_main("demo", tree, "--rows", 2)
    assert output.partition("\n\n")[2] == (
        "longest documents  words  entities  summary\n"
        "module.py             41         8  Shapes and colours.\n"
        "guide.rst              8         2  Guide\n"
        "\n"
        "failed documents  2 SyntaxError, 1 UnicodeDecodeError\n"
        f"bad_cookie.py     {BAD_COOKIE}\n"
        f"unclosed.py       {UNCLOSED}\n"
        "and 1 more; --rows 3 lists them all\n"
    )


@pytest.mark.parametrize("rows", ["0", "-1", "2.5", "many"])
def test_a_list_has_at_least_one_row(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"--rows={rows}"])
    assert ended.value.code == 2
    assert f"must be a whole number from 1, got '{rows}'" in capsys.readouterr().err


def test_one_document_can_be_given_from_where_it_is(
    tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    assert run_main("demo", "notes.md") == (
        0,
        "documents  1\nread       1\nempty      0\nfailed     0\nwords      7\nentities   1\n\n"
        "longest documents  words  entities  summary\n"
        "notes.md               7         1  Notes\n",
        "documents in notes.md: 1\n",
    )


def test_a_report_of_broken_documents_alone_has_no_list_of_others(
    tree: Path, run_main: RunMain
) -> None:
    assert run_main("demo", tree / "undecodable.txt") == (
        0,
        "documents  1\nread       0\nempty      0\nfailed     1\nwords      0\nentities   0\n\n"
        "failed documents  1 UnicodeDecodeError\n"
        f"undecodable.txt   {UNDECODABLE}\n",
        f"documents in {tree / 'undecodable.txt'}: 1\n",
    )


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_document_that_has_vanished_since_it_was_listed_fails_alone(tree: Path) -> None:
    kept, vanished = str(tree / "notes.md"), str(tree / "vanished.md")
    result = await read_documents(str(tree), [vanished, kept], 10)
    assert result.output["totals"]["documents"] == 1
    assert result.metadata["errors"] == [
        {
            "index": 0,
            "error": f"FileNotFoundError: [Errno 2] No such file or directory: '{vanished}'",
            "stage": "read",
        }
    ]


def test_lines_are_cut_to_the_width_of_the_terminal(
    tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, output, _ = run_main("demo", tree)
    assert "\nundecodable.txt   UnicodeDecodeError:...\n" in output
    assert max(map(len, output.splitlines())) == 40


def test_what_a_terminal_would_obey_is_escaped(tree: Path, run_main: RunMain) -> None:
    (tree / "sub" / "a\nb\x1b[2J.txt").write_text("\x07 rings")
    _, output, _ = run_main("demo", tree / "sub")
    assert "\na\\nb\\x1b[2J.txt        2         0  \\x07 rings\n" in output


def test_a_folder_that_cannot_be_listed_is_told_and_the_rest_is_read(
    tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir
    locked = str(tree / "sub")

    def scandir(path: str) -> Any:
        if path == locked:
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    status, output, errors = run_main("demo", tree)
    assert status == 0
    assert output.startswith("documents   8\n")
    assert errors == f"left out {locked}: Permission denied\ndocuments in {tree}: 8\n"


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("missing", "no such file or folder: missing"),
        ("", "no such file or folder: "),
        ("program.c", "no .py, .md, .rst, .txt documents in program.c"),
        ("folder.txt", "no .py, .md, .rst, .txt documents in folder.txt"),
    ],
)
def test_a_bad_path_is_one_clear_line_and_status_2(
    path: str, complaint: str, tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    assert run_main("demo", path) == (2, "", f"python -m nadoo_flow: {complaint}\n")


def test_a_path_that_may_not_be_read_is_one_clear_line_and_status_2(
    tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, to whom nothing is forbidden.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    complaint = f"python -m nadoo_flow: not allowed to read {tree}\n"
    assert run_main("demo", tree) == (2, "", complaint)


def test_the_default_is_the_standard_library() -> None:
    assert build_parser().parse_args(["demo"]).path == sysconfig.get_path("stdlib")


def test_what_was_installed_into_the_standard_library_is_left_out(
    tree: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for installed in ("site-packages", "dist-packages"):
        (tree / installed).mkdir()
        (tree / installed / "other.py").write_text("x = 1")
    assert run_main("demo", tree)[1].startswith("documents  11\n")
    monkeypatch.setattr(command, "STANDARD_LIBRARY", str(tree))
    assert run_main("demo")[1] == REPORT


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: python -m nadoo_flow [-h] COMMAND ...\n")
    assert "\n    demo      read the documents below a folder and report on them\n" in output


@pytest.mark.parametrize(
    ("name", "content", "summary", "entities"),
    [
        ("a.py", '"""One thing. Two things."""', "One thing.", []),
        ("a.py", '"""A title\n    over two lines\n\nText."""', "A title over two lines", []),
        ("a.py", "# a comment\nx = lambda: 1", "", []),
        ("a.PY", "\ufeffclass A: pass", "", ["A"]),
        ("a.md", "\ufeff# First #\n\ntext\n\n## Second", "First", ["First", "Second"]),
        ("a.md", "Setext\n---\n\n#hashtag", "Setext", ["Setext"]),
        ("a.md", "~~~\n# code\nTitle\n===\n~~~\n# After", "After", ["After"]),
        ("a.rst", "====\nOver\n====\n\n# text", "Over", ["Over"]),
        ("a.rst", "==  ==\na   b\n==  ==", "== == a b == ==", []),
        ("a.txt", "# text. More of it!\nyes", "# text.", []),
        ("a.txt", " \n\n", "", []),
        ("a.txt", "word " * 50, "word " * 18 + "word...", []),
    ],
)
def test_a_digest_tells_what_is_in_a_document(
    name: str, content: str, summary: str, entities: list[str], tmp_path: Path
) -> None:
    document = tmp_path / name
    document.write_text(content, encoding="utf-8")
    assert digest(str(document)) == {
        "document": str(document),
        "summary": summary,
        "entities": entities,
        "word_count": len(content.split()),
    }


def test_the_entities_of_a_module_are_its_classes_and_functions_in_order(tree: Path) -> None:
    assert digest(str(tree / "module.py"))["entities"] == [
        "Shape", "area", "fetch", "inner", "tried", "handled", "last", "matched"
    ]  # fmt: skip


def test_headings_of_a_huge_line_are_found_without_delay() -> None:
    assert list(find_headings("a " * 500_000 + "\nTitle\n=====", markdown=True)) == ["Title"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
@pytest.mark.asyncio(loop_factories=["real"])
async def test_the_loop_goes_on_while_a_document_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "slow.txt"
    os.mkfifo(pipe)
    loop_went_on, waited = threading.Event(), []

    def write() -> None:
        with pipe.open("w") as file:
            waited.append(loop_went_on.wait(5))
            file.write("two words")

    done: list[str] = []
    writer = threading.Thread(target=write)
    writer.start()
    processor = DocumentProcessor("document", lambda: done.append("done"))
    asyncio.get_running_loop().call_later(0, loop_went_on.set)
    result = await processor.execute(NodeContext({"document": str(pipe)}), WorkflowContext())
    writer.join()
    assert (result.output["word_count"], waited, done) == (2, [True], ["done"])


@pytest.mark.slow
def test_as_a_process_it_prints_the_same_and_no_warnings_about_the_documents(tree: Path) -> None:
    (tree / "module.py").write_text(MODULE.replace("pass\nif", "'\\d'\nif"))
    process = start("demo", tree, env=os.environ | {"PYTHONWARNINGS": "always", "COLUMNS": "0"})
    output, errors = process.communicate()
    assert (process.returncode, without_time(output)) == (0, REPORT)
    assert errors == f"documents in {tree}: 9\n"


@pytest.mark.slow
def test_a_name_that_the_output_cannot_encode_is_escaped(tree: Path) -> None:
    (tree / "sub" / "PLAIN.TXT").rename(tree / "sub" / "naïve.txt")
    process = start("demo", tree / "sub", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, f"documents in {tree / 'sub'}: 1\n")
    assert "\nna\\xefve.txt " in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "printed"), [(["demo", "."], "documents in .: 9\n"), (["-h"], "")]
)
def test_a_reader_that_has_gone_is_no_error(
    arguments: list[str], printed: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    read_end, write_end = os.pipe()
    os.close(read_end)
    # With unbuffered output nothing would be left for the end of the process.
    process = start(*arguments, stdout=write_end, env=os.environ | {"PYTHONUNBUFFERED": ""})
    os.close(write_end)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (1, printed)


@pytest.mark.slow
def test_ctrl_c_ends_it_with_one_line_and_status_130(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_text("x = [1, 2, 3]\n" * 2_000)
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(1_000):
        (tree / f"{number}.py").symlink_to(large)
    with interruptible():
        process = start("demo", tree)
    assert process.stderr is not None
    assert process.stderr.readline() == f"documents in {tree}: 1,000\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (process.returncode, output, errors) == (130, "", "interrupted\n")
