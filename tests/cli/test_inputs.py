"""Inputs from files and pipes: read as they are asked for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from nadoo_flow.cli.run import inputs
from nadoo_flow.cli.run.inputs import FileInputs, Reading
from nadoo_flow.cli.run.readers import FORMATS, InputsError


def test_a_file_is_read_as_inputs_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("1\n2\nno\n")
    inputs_ = iter(FileInputs(str(path), Reading(FORMATS["jsonl"], stops=True)))
    assert [next(inputs_), next(inputs_)] == [1, 2]
    with pytest.raises(InputsError, match="line 3 is not JSON"):
        next(inputs_)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
@pytest.mark.asyncio(loop_factories=["real"])
async def test_no_more_is_read_from_a_pipe_than_there_is_room_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    pipe = inputs.open_inputs(str(path), Reading(FORMATS["text"]))
    written = []

    def fill() -> None:
        with suppress(BrokenPipeError), path.open("w", buffering=1) as file:
            for number in range(200_000):
                file.write(f"{number}\n")
                written.append(number)

    writer = threading.Thread(target=fill)
    writer.start()
    stream = aiter(pipe)  # type: ignore[arg-type]
    assert [await anext(stream) for _ in range(3)] == ["0", "1", "2"]
    await stream.aclose()  # type: ignore[attr-defined]
    writer.join(10)
    assert not writer.is_alive()
    assert len(written) < 200_000
