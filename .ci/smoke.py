"""Smoke test of the installed wheel; run it with the Python that it is installed in."""

import asyncio
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import files, version
from pathlib import Path

import nadoo_flow
from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.executors import on

DOCUMENTS = {
    "good.py": b'"""A module."""\n\ndef greet(): ...\n',
    "good.md": b"# A title\n\nThree more words.\n",
    "broken.py": b"def (:\n",
}


async def work(number: int) -> int:
    """Suspend once, and fail on 3."""
    await asyncio.sleep(0)
    if number == 3:
        raise ValueError("three")
    return number * 2


def check_batch() -> None:
    """Run a batch with one failing input."""
    results = asyncio.run(BatchProcessor(work, max_concurrency=2).batch(range(5)))
    assert [result.output for result in results] == [0, 2, 4, None, 8]
    assert [result.error for result in results if not result.success] == ["ValueError: three"]


def check_extras() -> None:
    """Use what the extras bring, in their newest versions."""
    processor = BatchProcessor(FunctionNode(work).pipe(on(ThreadPoolExecutor)))
    frame = asyncio.run(processor.batch(range(5))).to_pandas()
    assert frame["success"].tolist() == [True, True, True, False, True]


def check_demo() -> None:
    """Run the demo on three documents, one of which is broken."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in DOCUMENTS.items():
            Path(folder, name).write_bytes(content)
        demo = subprocess.run(
            [sys.executable, "-I", "-m", "nadoo_flow", "demo", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    assert demo.returncode == 0, demo.stderr
    assert "broken.py" in demo.stdout, demo.stdout
    assert "SyntaxError" in demo.stdout, demo.stdout


def main() -> None:
    """Check that it is the installed package that is tested, and that it works."""
    package = Path(nadoo_flow.__file__).parent
    assert package.is_relative_to(sys.prefix), package
    assert (package / "py.typed").is_file()
    assert (package / "policies" / "README.md").is_file()
    installed = version("nadoo-flow")
    placed = files("nadoo-flow") or ()
    # Beside the package lies only the command, which is named by its way out of site-packages.
    folders = {file.parts[0] for file in placed if file.name != "nadoo-flow"}
    assert folders == {"nadoo_flow", f"nadoo_flow-{installed}.dist-info"}, folders
    check_batch()
    check_extras()
    check_demo()
    print(f"nadoo-flow {installed} works in {package}")


if __name__ == "__main__":
    main()
