"""``--failed`` and ``--bad-lines``: what failed is kept, and runs again with its old index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, read_failed

from .test_run import Run, in_order, outputs, write


def indexes(lines: list[dict[str, Any]]) -> list[int]:
    return [line["index"] for line in lines]


def test_what_fails_is_kept_and_runs_again_with_its_index(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n2\n3\n4\n")
    status, lines, _ = run("shell_nodes:odd", name, "--failed", "failed.jsonl")
    assert (status, outputs(lines)) == (1, [1, None, 3, None])
    letters = read_failed("failed.jsonl")
    assert sorted((letter.index, letter.input) for letter in letters) == [(1, "2"), (3, "4")]
    assert {letter.exception for letter in letters} == {"ValueError"}

    status, lines, _ = run("shell_nodes:Models.upper", "failed.jsonl", "--progress")
    assert (status, indexes(lines), outputs(lines)) == (0, [1, 3], ["2", "4"])
    status, lines, _ = run("shell_nodes:Models.upper", "failed.jsonl", "--limit", 1)
    assert (status, indexes(lines)) == (0, [letters[0].index])
    again = ("shell_nodes:odd", "failed.jsonl", "--failed", "again.jsonl")
    assert (run(*again)[0], len(read_failed("again.jsonl"))) == (1, 2)


def test_each_run_writes_what_failed_in_it(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n2\n")
    more = ("--failed", "failed.jsonl", "--checkpoint", "run.sqlite")
    for _ in range(2):
        run("shell_nodes:odd", name, *more)
        assert [letter.index for letter in read_failed("failed.jsonl")] == [1]
    run("shell_nodes:Models.upper", name, "--failed", "failed.jsonl")
    assert (folder / "failed.jsonl").read_text() == ""


def test_letters_of_a_program_run_again_each_once(run: Run, folder: Path) -> None:
    import asyncio

    def fail(value: Any) -> None:
        raise ValueError(value)

    processor = BatchProcessor(fail, failed_to=folder / "failed.jsonl")
    for inputs in (["a", "b"], ["a", ("c",)]):
        asyncio.run(processor.batch(inputs))
    with (folder / "failed.jsonl").open("a") as file:
        file.write('{"index": 7, "inp')
    status, lines, _ = run("shell_nodes:Models.upper", "failed.jsonl")
    assert (status, indexes(lines)) == (1, [0, 1, 1])
    assert {line["output"] for line in lines} == {"A", "B", None}
    (bad,) = (line for line in lines if not line["success"])
    assert bad["input_data"] == "('c',)"
    assert bad["error"] == (
        "the input itself is not in its letter; it failed with ValueError: ('c',)"
    )
    assert run("shell_nodes:Models.upper", "failed.jsonl", "--bad-lines=stop")[0] == 2


def test_lines_of_json_that_look_a_bit_like_letters_are_inputs(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", '\n{"index": 7, "n": 1}\n{"index": 8, "n": 2}\n')
    status, lines, _ = run("shell_nodes:double", name)
    assert (status, indexes(lines), outputs(lines)) == (0, [0, 1], [2, 4])


def test_letters_can_be_taken_for_plain_json_or_named_as_such(run: Run, folder: Path) -> None:
    run("shell_nodes:odd", write(folder, "in.txt", "1\n2\n"), "--failed", "failed")
    _, lines, _ = run("shell_nodes:odd", "failed", "--format", "jsonl")
    assert lines[0]["input_data"]["input"] == "2"
    _, lines, _ = run("shell_nodes:odd", "failed", "--format", "failed")
    assert (lines[0]["index"], lines[0]["input_data"]) == (1, "2")
    _, _, errors = run("shell_nodes:odd", "in.txt", "--format", "failed")
    assert "the input in.txt: line 1 is no dead letter: " in errors


@pytest.mark.parametrize(
    ("name", "data", "node", "expected", "error"),
    [
        (
            "in.jsonl",
            b'{"n": 1}\n\nno\n{"n": 2}\n',
            "double",
            [2, None, 4],
            "line 3 is not JSON: JSONDecodeError: ",
        ),
        ("in.jsonl", b'{"n": 1}\n{"n": "caf\xe9"}\n', "double", [2, None], "line 2 is not UTF-8"),
        ("in.jsonl", b"[" * 100_000 + b"\n1\n", "odd", [None, 1], "line 1 is not JSON: "),
        ("in.txt", b"caf\xe9\n1\n", "odd", [None, 1], "line 1 is not UTF-8"),
        (
            "in.csv",
            b"n,m\na,b\nc\nd,e,f\ng,h\n",
            "double",
            ["aa", None, None, "gg"],
            "line 3 has not as many fields as the header has names",
        ),
        ("in.csv", b'n\na\n"b"c\nd\n', "double", ["aa", None, "dd"], "line 3 is not CSV: "),
        ("in.csv", b"n\na\ncaf\xe9\n", "double", ["aa", None], "line 3 is not UTF-8"),
        ("in.csv", b'n\na\n"b\n', "double", ["aa", None], "line 3 is not CSV: "),
    ],
)
@pytest.mark.parametrize("more", [[], ["--checkpoint", "run.sqlite", "--retries", "5"]])
def test_a_bad_line_fails_alone(
    more: list[str],
    name: str,
    data: bytes,
    node: str,
    expected: list[Any],
    error: str,
    run: Run,
    folder: Path,
) -> None:
    (folder / name).write_bytes(data)
    status, lines, _ = run(f"shell_nodes:{node}", name, "--failed", "failed.jsonl", *more)
    assert (status, outputs(lines)) == (1, expected)
    bad = next(line for line in lines if not line["success"])
    assert bad["error"].startswith(error)
    assert bad["metadata"] == {"line": int(error.split()[1])}
    letter = read_failed("failed.jsonl")[0]
    assert (letter.index, letter.form, letter.input) == (bad["index"], "text", bad["input_data"])


def test_a_header_that_cannot_be_read_ends_the_run(run: Run, folder: Path) -> None:
    (folder / "in.csv").write_bytes(b"caf\xe9\na\n")
    status, _, errors = run("shell_nodes:double", "in.csv")
    assert (status, errors.splitlines()[-1][-19:]) == (2, "line 1 is not UTF-8")


def test_an_output_that_is_no_json_is_kept_as_failed(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "a\n")
    run("shell_nodes:unprintable", name, "--failed", "failed.jsonl")
    (letter,) = read_failed("failed.jsonl")
    assert letter.error.startswith("the output is not JSON: ")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--failed", "in.txt"], "the file of dead letters in.txt is the input; name another file"),
        (
            ["-o", "x", "--failed", "./x"],
            "the file of dead letters ./x is the output; name another file",
        ),
        (["--failed", "."], "is no file that can be appended to"),
        (["--failed", "missing/x"], "the file of dead letters 'missing/x' cannot be opened"),
        (["--failed", "other.jsonl"], "holds something else; name another file"),
    ],
)
def test_a_file_that_cannot_take_failures_is_one_clear_line(
    options: list[str], complaint: str, run: Run, folder: Path
) -> None:
    write(folder, "in.txt", "1\n")
    write(folder, "other.jsonl", '{"n": 1}\n')
    status, _, errors = run("shell_nodes:odd", "in.txt", *options)
    assert status == 2
    assert complaint in errors.splitlines()[-1]
    assert (folder / "other.jsonl").read_text() == '{"n": 1}\n'


def test_a_dry_run_shows_the_first_results_and_writes_nothing(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n2\n3\n")
    before = set(folder.iterdir())
    more = ("--failed", "f", "--checkpoint", "c", "--cache", "d", "-o", "o.jsonl")
    status, lines, errors = run("shell_nodes:odd", name, "--dry-run", 2, *more)
    assert (status, outputs(lines), errors[:10]) == (1, [1, None], "2 results:")
    assert set(folder.iterdir()) == before
    assert outputs(run("shell_nodes:odd", name, "--dry-run", 2, "--limit", 1)[1]) == [1]


def test_equal_inputs_run_once_with_a_cache(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n1\n")
    for saved in (1, 2):
        status, lines, errors = run("shell_nodes:odd", name, "--cache", "cache.sqlite")
        assert (status, outputs(lines)) == (0, [1, 1])
        assert sum(line["metadata"].get("cached", False) for line in lines) == saved
        assert errors.startswith(f"2 results: 2 succeeded ({saved} from the cache), 0 failed, in ")


def test_a_surrogate_half_goes_to_stdout_as_json_writes_it(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", json.dumps("\ud83d") + "\n")
    assert outputs(run("shell_nodes:Models.upper", name)[1]) == ["\ud83d"]
    run("shell_nodes:Models.upper", name, "-o", "out.jsonl")
    assert outputs(in_order((folder / "out.jsonl").read_text())) == ["\ud83d"]
