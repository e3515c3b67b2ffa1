"""``nadoo-flow run``: a node over a file, from the shell."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from nadoo_flow.__main__ import SCRIPT, get_program_name, main

from ..interrupts import interruptible

MISSING = os.strerror(errno.ENOENT)

NODES = """
import asyncio
import atexit
import re

from nadoo_flow import BaseNode, FunctionNode, NodeResult

tries = []


class Double(BaseNode):
    async def execute(self, node_context, workflow_context):
        return NodeResult(True, node_context.input_data["n"] * 2)


class NeedsMore(BaseNode):
    def __init__(self, url):
        super().__init__("more")


class Models:
    upper = FunctionNode(str.upper, "upper")


double = Double("double")
pipeline = FunctionNode(str.strip, "strip") | str.title


async def slow(data):
    await asyncio.sleep(0.001)
    return {"n": data["n"]}


async def waits(seconds):
    await asyncio.sleep(float(seconds))
    return seconds


def odd(text):
    if int(text) % 2 == 0:
        raise ValueError(f"{text} is even")
    return int(text)


def second_try(text):
    tries.append(text)
    if tries.count(text) < 2:
        raise ValueError("once more")
    return text


def pair(text):
    return text, {"nested": (1, 2)}


def unprintable(text):
    return object()


def with_metadata(text):
    return NodeResult(True, text, metadata={"raw": object()})


number = 5


def memory():
    with open("/proc/self/status") as status, open("memory", "a") as file:
        file.write(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1] + "\\n")


try:
    open("/proc/self/status").close()
    atexit.register(memory) if __import__("os").environ.get("TELL_MEMORY") else None
except OSError:
    pass
"""

Run: TypeAlias = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a module of nodes."""
    (tmp_path / "shell_nodes.py").write_text(NODES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("shell_nodes", "broken_nodes"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; return status, the lines of stdout, and stderr."""

    def call(*arguments: object) -> tuple[int, list[dict[str, Any]], str]:
        status = main(["run", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, in_order(captured.out), re.sub(r"in \d+\.\d s", "in T s", captured.err)

    return call


def in_order(text: str) -> list[dict[str, Any]]:
    return sorted(map(json.loads, text.split("\n")[:-1]), key=lambda line: line["index"])


def outputs(lines: list[dict[str, Any]]) -> list[Any]:
    return [line["output"] for line in lines]


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return name


def test_a_line_says_what_became_of_an_input(run: Run, folder: Path) -> None:
    status, lines, errors = run("shell_nodes:odd", write(folder, "in.txt", "1\n2\n"))
    seconds = [line.pop("execution_time") for line in lines]
    assert all(0 <= second < 1 for second in seconds)
    assert lines == [
        {
            "index": 0,
            "input_data": "1",
            "success": True,
            "error": None,
            "output": 1,
            "metadata": {},
        },
        {
            "index": 1,
            "input_data": "2",
            "success": False,
            "error": "ValueError: 2 is even",
            "output": None,
            "metadata": {},
        },
    ]
    assert status == 1
    assert errors == (
        "2 results: 1 succeeded, 1 failed, in T s\n       1 x ValueError: 2 is even\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "node", "expected"),
    [
        ("in.jsonl", '{"n": 1}\n\n{"n": 2}', "Double", [2, 4]),
        ("in.ndjson", '\ufeff{"n": 1}\r\n', "double", [2]),
        ("in.jsonl", '"a"\n"b\\u2028c"\n', "Models.upper", ["A", "B\u2028C"]),
        ("in.csv", 'n,m\n"a\nb",c\n\nd,"e""f"\n', "double", ["a\nba\nb", "dd"]),
        ("in.txt", "  one two \nthree\n\n   \nfour", "pipeline", ["One Two", "Three", "Four"]),
        ("noending", "é ü\n", "Models.upper", ["É Ü"]),
        ("in.CSV", "n\n", "double", []),
        ("in.txt", "", "odd", []),
    ],
)
def test_the_ending_of_a_file_says_what_it_holds(
    name: str, text: str, node: str, expected: list[Any], run: Run, folder: Path
) -> None:
    status, lines, _ = run(f"shell_nodes:{node}", write(folder, name, text))
    assert (status, outputs(lines)) == (0, expected)


def test_the_format_can_be_said(run: Run, folder: Path) -> None:
    name = write(folder, "data", '{"n": 4}\n')
    assert outputs(run("shell_nodes:double", name, "--format", "jsonl")[1]) == [8]


def test_a_long_field_of_a_csv_file_is_read(run: Run, folder: Path) -> None:
    name = write(folder, "in.csv", f"n\n{'x' * 200_000}\n")
    assert outputs(run("shell_nodes:double", name)[1]) == ["x" * 400_000]


def test_results_go_to_a_file(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n3\n")
    status, lines, errors = run("shell_nodes:odd", name, "-o", "out.jsonl")
    assert (status, lines) == (0, [])
    assert errors == "2 results: 2 succeeded, 0 failed, in T s\n"
    assert outputs(in_order((folder / "out.jsonl").read_text())) == [1, 3]


def test_an_empty_input_gives_an_empty_output(run: Run, folder: Path) -> None:
    write(folder, "out.jsonl", "old")
    run("shell_nodes:odd", write(folder, "in.txt", ""), "-o", "out.jsonl")
    assert (folder / "out.jsonl").read_text() == ""


def test_only_the_first_inputs_are_taken(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", '"1"\n"3"\nthis is no JSON\n')
    assert outputs(run("shell_nodes:odd", name, "--limit", 2)[1]) == [1, 3]


def test_failed_inputs_are_tried_again(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadoo_flow._support.backoff.FIRST", 0.0, raising=False)
    monkeypatch.setattr("nadoo_flow._support.backoff.MAX_WAIT", 0)
    name = write(folder, "in.txt", "a\n")
    status, lines, _ = run("shell_nodes:second_try", name, "--retries", 1)
    assert (status, outputs(lines), lines[0]["metadata"]) == (0, ["a"], {"attempts": 2})


def test_an_input_that_takes_too_long_fails(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "0\n60\n")
    status, lines, _ = run("shell_nodes:waits", name, "--timeout", 0.05)
    assert status == 1
    assert [line["error"] for line in lines] == [None, "TimeoutError: not finished within 0.05 s"]


def test_starts_are_spaced_by_the_rate(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "0\n" * 5)
    started = time.monotonic()
    status, lines, _ = run("shell_nodes:waits", name, "--rate", 50)
    assert (status, len(lines)) == (0, 5)
    assert time.monotonic() - started >= 4 / 50


def test_an_output_is_written_as_json_and_recorded_the_same(run: Run, folder: Path) -> None:
    command = ("shell_nodes:pair", write(folder, "in.txt", "a\n"))
    for more in ([], ["--checkpoint", "run.sqlite"], ["--checkpoint", "run.sqlite"]):
        status, lines, _ = run(*command, *more)
        assert (status, outputs(lines)) == (0, [["a", {"nested": [1, 2]}]])
    assert lines[0]["metadata"] == {"resumed": True}


@pytest.mark.parametrize("more", [[], ["--checkpoint", "run.sqlite"]])
def test_an_output_that_is_no_json_fails_alone(more: list[str], run: Run, folder: Path) -> None:
    status, lines, _ = run("shell_nodes:unprintable", write(folder, "in.txt", "a\n"), *more)
    assert (status, outputs(lines), lines[0]["success"]) == (1, [None], False)
    assert "TypeError: Object of type object is not JSON serializable" in lines[0]["error"]


def test_metadata_that_is_no_json_is_left_out(run: Run, folder: Path) -> None:
    status, lines, _ = run("shell_nodes:with_metadata", write(folder, "in.txt", "a\n"))
    assert (status, outputs(lines), lines[0]["metadata"]) == (0, ["a"], {})


def test_half_of_a_surrogate_pair_goes_through_as_json_writes_it(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", '"\\ud83d"\n')
    for _ in range(2):
        run("shell_nodes:Models.upper", name, "-o", "out.jsonl", "--checkpoint", "run.sqlite")
        assert outputs(in_order((folder / "out.jsonl").read_text())) == ["\ud83d"]


def test_a_checkpoint_makes_the_next_run_go_on_and_write_all(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n2\n3\n")
    more = ("-o", "out.jsonl", "--checkpoint", "run.sqlite")
    assert run("shell_nodes:odd", name, *more)[0] == 1
    status, _, errors = run("shell_nodes:odd", name, *more)
    lines = in_order((folder / "out.jsonl").read_text())
    assert status == 1
    assert [line["metadata"] for line in lines] == [{"resumed": True}, {}, {"resumed": True}]
    assert errors.startswith("3 results: 2 succeeded (2 from the checkpoint), 1 failed, in T s\n")


def test_progress_is_shown_when_it_is_asked_for(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n3\n")
    assert "2/2" in run("shell_nodes:odd", name, "--progress")[2]
    assert "1/1" in run("shell_nodes:odd", name, "--progress", "--limit", 1)[2]
    name = write(folder, "in.csv", 'n\n"a\nb"\n')
    assert "1/1" in run("shell_nodes:double", name, "--progress")[2]


def test_of_many_kinds_of_errors_the_most_frequent_are_told(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "".join(f"{n}\n" for n in (0, 2, 4, 6, 8, 10, 12, 2)))
    lines = run("shell_nodes:odd", name)[2].splitlines()
    assert lines[1] == "       2 x ValueError: 2 is even"
    assert lines[-1] == "         and 2 other errors"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense", "in.txt"], "name a node as MODULE:NODE, not 'nonsense'"),
        ([":odd", "in.txt"], "name a node as MODULE:NODE, not ':odd'"),
        (
            ["missing_module:odd", "in.txt"],
            "cannot import missing_module: ModuleNotFoundError: ",
        ),
        (["broken_nodes:odd", "in.txt"], "cannot import broken_nodes: ZeroDivisionError: "),
        (
            ["shell_nodes.py:odd", "in.txt"],
            "cannot import shell_nodes.py (write shell_nodes:odd): ModuleNotFoundError: ",
        ),
        (["shell_nodes:missing", "in.txt"], "shell_nodes has no missing"),
        (["shell_nodes:odd.fn", "in.txt"], "shell_nodes has no odd.fn"),
        (
            ["shell_nodes:NeedsMore", "in.txt"],
            "shell_nodes:NeedsMore cannot be used as a node: TypeError: ",
        ),
        (
            ["shell_nodes:number", "in.txt"],
            "shell_nodes:number cannot be used as a node: TypeError: ",
        ),
        (
            ["shell_nodes:Models", "in.txt"],
            "shell_nodes:Models cannot be used as a node: TypeError: ",
        ),
        (
            ["shell_nodes:odd", "missing.txt"],
            f"the input missing.txt: cannot be opened: {MISSING}",
        ),
        (["shell_nodes:odd", "."], "the input .: is a folder"),
        (
            ["shell_nodes:odd", "in.txt", "-o", "missing/out"],
            f"cannot write missing/out: {MISSING}",
        ),
        (
            ["shell_nodes:odd", "in.txt", "-o", "./in.txt"],
            "the output ./in.txt is the input; name another file",
        ),
        (
            ["shell_nodes:odd", "in.txt", "--checkpoint", "in.txt"],
            "the checkpoint 'in.txt' is damaged, or no checkpoint at all: ",
        ),
        (
            ["shell_nodes:odd", "bad.jsonl", "--bad-lines", "stop"],
            "the input bad.jsonl: line 2 is not JSON: JSONDecodeError: ",
        ),
        (
            ["shell_nodes:odd", "nan.jsonl", "--bad-lines", "stop"],
            "the input nan.jsonl: line 1 is not JSON: ValueError: ",
        ),
        (
            ["shell_nodes:odd", "bad.csv", "--bad-lines", "stop"],
            "the input bad.csv: line 3 has not as many fields as the header has names",
        ),
        (
            ["shell_nodes:odd", "open.csv", "--bad-lines", "stop"],
            "the input open.csv: line 2 is not CSV: ",
        ),
        (
            ["shell_nodes:odd", "latin.txt", "--bad-lines", "stop"],
            "the input latin.txt: line 1 is not UTF-8",
        ),
    ],
)
def test_what_cannot_be_used_is_one_clear_line_and_status_2(
    arguments: list[str], complaint: str, run: Run, folder: Path
) -> None:
    write(folder, "in.txt", "this is a text that is longer than the header of a database\n" * 20)
    write(folder, "bad.jsonl", '"1"\n{"n"\n')
    write(folder, "nan.jsonl", "NaN\n")
    write(folder, "bad.csv", "a,b\n1,2\n3\n")
    write(folder, "open.csv", 'a\n"1\n')
    write(folder, "broken_nodes.py", "1 / 0\n")
    (folder / "latin.txt").write_bytes(b"caf\xe9\n")
    status, _, errors = run(*arguments)
    assert status == 2
    assert errors.splitlines()[-1].startswith(f"{get_program_name()}: {complaint}")


def test_a_run_that_cannot_begin_leaves_the_old_output(run: Run, folder: Path) -> None:
    write(folder, "out.jsonl", "old")
    write(folder, "run.sqlite", "no checkpoint but something else " * 50)
    name = write(folder, "in.txt", "1\n")
    assert run("shell_nodes:odd", name, "-o", "out.jsonl", "--checkpoint", "run.sqlite")[0] == 2
    assert (folder / "out.jsonl").read_text() == "old"


def test_results_before_a_bad_line_are_written(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", '"1"\n"3"\nno')
    status, lines, errors = run("shell_nodes:odd", name, "--bad-lines", "stop")
    assert (status, outputs(lines)) == (2, [1, 3])
    assert errors.startswith("2 results: 2 succeeded, 0 failed, in T s\n")


@pytest.mark.parametrize(
    "option", ["--concurrency=0", "--rate=0", "--rate=fast", "--timeout=nan", "--limit=-1"]
)
def test_a_wrong_number_is_bad_usage(option: str, folder: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "shell_nodes:odd", option])
    assert ended.value.code == 2


@pytest.mark.parametrize("called", [f"/usr/bin/{SCRIPT}", SCRIPT])
def test_the_program_is_named_as_it_was_called(
    called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    assert get_program_name() == "nadoo-flow"


# As processes of their own.


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own, which obeys SIGINT as in a terminal."""
    with interruptible():
        return subprocess.Popen(
            [sys.executable, "-m", "nadoo_flow", "run", *map(str, arguments)],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
        )


@pytest.mark.slow
def test_a_pipe_is_read_as_it_comes_and_results_leave_at_once(folder: Path) -> None:
    process = start("shell_nodes:waits", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    for line in ("0", "0.0", ""):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        if line:
            assert json.loads(process.stdout.readline())["input_data"] == line
    _, errors = process.communicate()
    assert (process.returncode, errors[:30]) == (0, "2 results: 2 succeeded, 0 fail")


@pytest.mark.slow
def test_standard_input_can_be_any_format(folder: Path) -> None:
    process = start("shell_nodes:double", "-", "--format=jsonl", stdin=subprocess.PIPE)
    output, _ = process.communicate('{"n": 1}\n{"n": 2}\n')
    assert (process.returncode, outputs(in_order(output))) == (0, [2, 4])
    stop = ("--format=jsonl", "--bad-lines=stop")
    process = start("shell_nodes:double", "-", *stop, stdin=subprocess.PIPE)
    _, errors = process.communicate("{")
    assert process.returncode == 2
    assert "the input -: line 1 is not JSON" in errors


@pytest.mark.slow
def test_ctrl_c_ends_a_run_that_waits_for_input(folder: Path) -> None:
    process = start("shell_nodes:waits", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("0\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr is not None
    assert process.stderr.read().endswith(
        "results are not kept for a later run; use --checkpoint FILE to keep them\n"
    )
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()


@pytest.mark.slow
def test_a_reader_that_has_gone_is_no_error(folder: Path) -> None:
    write(folder, "in.txt", "1\n" * 10_000)
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start("shell_nodes:odd", "in.txt", "--checkpoint", "a.sqlite", stdout=write_end)
    os.close(write_end)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (1, "")


LINES = int(os.environ.get("NADOO_FLOW_LINES", "20000"))
MEMORY = 12_000  # kB that a longer file may take more


@pytest.mark.slow
def test_a_long_file_is_interrupted_and_resumed_in_flat_memory(folder: Path) -> None:
    long = write(folder, "long.jsonl", "".join(f'{{"n": {n}}}\n' for n in range(LINES)))
    short = write(folder, "short.jsonl", "".join(f'{{"n": {n}}}\n' for n in range(1_000)))
    environment = os.environ | {"TELL_MEMORY": "1"}

    def begin(name: str) -> subprocess.Popen[str]:
        more = ("--checkpoint", f"{name}.sqlite", "--concurrency", 200)
        return start("shell_nodes:slow", name, "-o", f"{name}.out", *more, env=environment)

    assert begin(short).communicate()[1].startswith("1,000 results: 1,000 succeeded")
    process = begin(long)
    output = folder / f"{long}.out"
    while not output.exists() or output.stat().st_size < 40 * LINES:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate()
    assert (process.returncode, printed) == (130, "")
    *_, first, counts, resume = errors.splitlines()
    assert first == "interrupted"
    told = int(counts.split()[0].replace(",", ""))
    assert 0 < told < LINES
    assert len(output.read_text().splitlines()) == told

    # The command that was told, as a shell would run it.
    command = resume.removeprefix("to resume: ").removeprefix("python -m nadoo_flow ")
    assert shlex.split(command)[:2] == ["run", "shell_nodes:slow"]
    done = subprocess.run(
        [sys.executable, "-m", "nadoo_flow", *shlex.split(command)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr.startswith(f"{LINES:,} results: {LINES:,} succeeded (")
    with output.open() as lines:
        results = [json.loads(line) for line in lines]
    assert {result["index"] for result in results} == set(range(LINES))
    assert len(results) == LINES
    assert all(result["output"] == {"n": result["index"]} for result in results)
    assert sum("resumed" in result["metadata"] for result in results) >= told
    if (folder / "memory").exists():
        small, *large = map(int, (folder / "memory").read_text().split())
        assert len(large) == 2
        assert max(large) - small < MEMORY


# The records themselves.
