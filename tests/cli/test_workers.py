"""``--processes`` and ``--dask``: the node is executed in workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow.cli.run.options import add_options
from nadoo_flow.cli.run.workers import choose_concurrency

from .test_run import Run, in_order, outputs, start, write

WHERE = """
import os

def where(text):
    if text == "bad":
        raise ValueError(text)
    return os.getpid()
"""

BLOCKS = """
import time

def block(seconds):
    time.sleep(float(seconds))
"""


def parse(*arguments: str) -> Any:
    import argparse

    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(["a:b", *arguments])


@pytest.mark.parametrize(
    ("arguments", "most"),
    [([], 10), (["--processes", "2"], 10), (["--processes", "8"], 32), (["--concurrency", "3"], 3)],
)
def test_there_is_work_for_all_processes(arguments: list[str], most: int) -> None:
    assert choose_concurrency(parse(*arguments)) == most


def test_one_kind_of_worker_is_enough(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n")
    status, _, errors = run("shell_nodes:odd", name, "--processes", 2, "--dask", "tcp://x:1")
    assert (status, errors.endswith("--processes and --dask exclude each other\n")) == (2, True)


def test_an_extra_that_is_missing_is_named(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write(folder, "in.txt", "1\n")
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, _, errors = run("shell_nodes:odd", name, "--dask", "tcp://x:1")
    assert (status, errors.endswith("pip install 'nadoo-flow[dask,processes]'\n")) == (2, True)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    status, _, errors = run("shell_nodes:odd", name, "--processes", 2)
    assert (status, "nadoo-flow[processes]" in errors) == (2, True)


@pytest.mark.slow
def test_the_node_is_executed_in_processes(folder: Path) -> None:
    write(folder, "where_nodes.py", WHERE)
    name = write(folder, "in.txt", "a\nbad\n" + "b\n" * 20)
    process = start("where_nodes:where", name, "--processes", 2)
    printed, errors = process.communicate()
    lines = in_order(printed)
    assert (process.returncode, errors[:38]) == (1, "22 results: 21 succeeded, 1 failed, in")
    assert lines[1]["error"] == "ValueError: bad"
    pids = set(outputs(lines)) - {None}
    assert 1 <= len(pids) <= 2
    assert not pids & {process.pid, os.getpid()}


@pytest.mark.slow
def test_the_second_ctrl_c_does_not_wait_for_a_call_in_a_process(folder: Path) -> None:
    write(folder, "where_nodes.py", BLOCKS)
    name = write(folder, "in.txt", "0\n600\n")
    process = start("where_nodes:block", name, "--processes", 2)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "1 in work; Ctrl-C again to cancel it\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors


@pytest.mark.slow
def test_the_node_is_executed_on_a_cluster_that_lacks_its_module(folder: Path) -> None:
    distributed = pytest.importorskip("distributed")
    write(folder, "where_nodes.py", WHERE)
    name = write(folder, "in.txt", "a\nbad\nb\n")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        process = start("where_nodes:where", name, "--dask", cluster.scheduler_address)
        printed, errors = process.communicate()
        (worker,) = (worker.pid for worker in cluster.workers.values())
    assert (process.returncode, errors[:36]) == (1, "3 results: 2 succeeded, 1 failed, in")
    assert outputs(in_order(printed)) == [worker, None, worker]


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_clear_line(folder: Path) -> None:
    name = write(folder, "in.txt", "a\n")
    process = start("shell_nodes:odd", name, "--dask", "tcp://127.0.0.1:1")
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "cannot connect to Dask at tcp://127.0.0.1:1: " in errors.splitlines()[-1]
