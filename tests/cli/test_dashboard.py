"""``nadoo-flow run --dashboard``: the live page of a run from the shell."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from nadoo_flow.__main__ import main

from ..interrupts import interruptible

NODE = """
import asyncio
import os


async def gated(text):
    while text != "first" and not os.path.exists("gate"):
        await asyncio.sleep(0.005)
    return text.upper()
"""


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Start the command, and connect to the page that it names."""
    (folder / "gates.py").write_text(NODE)
    (folder / "in.txt").write_text("first\nsecond\nthird\nfourth\n")
    command = f"-m nadoo_flow run gates:gated in.txt -o out.jsonl --concurrency 2 {options[0]}"
    with (
        interruptible(),
        subprocess.Popen(
            [sys.executable, *command.split()], cwd=folder, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("live page: ").strip()
        parts = urlsplit(url)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        try:
            with httpx.Client(
                base_url=url.partition("?")[0],
                params={"token": parts.query.removeprefix("token=")},
                headers=headers,
            ) as page:
                yield process, page
        finally:
            process.kill()


def read_run(page: httpx.Client) -> dict[str, object]:
    with page.stream("GET", "events") as events:
        for line in events.iter_lines():
            if line.startswith("data: ") and '"number"' in line:
                return json.loads(line.removeprefix("data: "))["boards"][0]["running"][0]  # type: ignore[no-any-return]
    raise AssertionError("there is no run")


@pytest.mark.slow
@pytest.mark.one_python
def test_a_run_is_shown_and_ended_on_its_page(tmp_path: Path) -> None:
    with running(tmp_path, "--dashboard") as (process, page):
        assert "<title>" in page.get("").text
        assert httpx.get(page.base_url).status_code == 403
        run = read_run(page)
        assert (run["total"], run["state"]) == (4, "running")
        assert page.post(f"runs/{run['number']}/drain").status_code == 202
        (tmp_path / "gate").touch()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert "interrupted" in said
    outputs = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {output["output"] for output in outputs} == {"FIRST", "SECOND", "THIRD"}


@pytest.mark.slow
@pytest.mark.one_python
def test_a_run_ends_though_a_page_is_open_and_the_page_gets_the_end(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--dashboard=127.0.0.1:0") as (process, page),
        page.stream("GET", "events") as events,
    ):
        lines = events.iter_lines()
        assert next(lines) == "retry: 250"
        (tmp_path / "gate").touch()
        received = [line for line in lines if line.startswith("data: ")]
        assert process.wait(30) == 0
    run, last = (json.loads(line.removeprefix("data: ")) for line in received[-2:])
    assert last["boards"][0]["ended"] == [run["number"]]
    assert (run["done"], run["state"]) == (4, "completed")


@pytest.mark.parametrize("address", ["in.txt", "gates:gated", "host", "host:99999", "host:²", ":"])
def test_what_is_no_address_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "json:dumps", "--dashboard", address])
    assert re.search(r"must be HOST:PORT, got '.*'; what is no", capsys.readouterr().err)


def test_an_address_that_is_taken_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = ["run", "json:dumps", str(tmp_path / "in.txt"), f"--dashboard=127.0.0.1:{port}"]
        assert main(given) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err
