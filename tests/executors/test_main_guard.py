"""A script that starts processes without the ``__main__`` guard gets one error that says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import asyncio, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.executors import on

def double(number):
    return 2 * number

def make():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({method!r}))

def main():
    node = FunctionNode(double).pipe(on({executor}))
    results = asyncio.run(BatchProcessor(node, 20).batch(range(60)))
    for line in {{result.error or str(result.output) for result in results}}:
        print(line)
    return node

"""

ADVICE = (
    "workers import the script that starts them, so put what it does below a line that reads "
    "if __name__ == '__main__':"
)


def run(path: Path, end: str, method: str = "spawn", executor: str = "make") -> tuple[str, str]:
    """Run the script with this end, and return what it writes to stdout and stderr."""
    path.write_text(SCRIPT.format(method=method, executor=executor) + end)
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("executor", ["make", "make()"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_rule_r22_a_script_without_the_guard_gets_one_error(
    tmp_path: Path, method: str, executor: str
) -> None:
    out, err = run(tmp_path / "script.py", "main()", method, executor)
    assert out == f"ExecutorLost: a worker ran the script once more; {ADVICE}\n", out + err
    # A pool that the worker made is reported as leaked, when the worker is killed with it.
    assert err == "" if (method, executor) == ("spawn", "make") else "Traceback" not in err


def test_rule_r22_later_items_start_no_process_and_say_the_same(tmp_path: Path) -> None:
    noting = "lambda: (__name__ == '__main__' and print('made'), make())[1]"
    out, err = run(tmp_path / "script.py", "main()", executor=f"{noting}, lanes=1, chunk=1")
    assert out == f"made\nExecutorLost: a worker ran the script once more; {ADVICE}\n"
    assert err == ""


def test_a_script_with_the_guard_works(tmp_path: Path) -> None:
    out, err = run(tmp_path / "script.py", "if __name__ == '__main__': main()")
    assert sorted(map(int, out.split())) == list(range(0, 120, 2))
    assert err == ""


def test_a_worker_that_cannot_import_the_script_is_told_with_the_advice(tmp_path: Path) -> None:
    end = "if __name__ == '__main__': main()\nelse: raise SystemExit(3)"
    out, err = run(tmp_path / "script.py", end)
    assert out.startswith("ExecutorLost: a new executor does not work: BrokenProcessPool: ")
    assert out.endswith(f"; {ADVICE}\n")
    assert err == ""
