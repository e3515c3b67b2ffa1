"""Progress bars: tqdm's own, one for each stage."""

from __future__ import annotations

import asyncio
import gc
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from reactivex import Subject
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeError,
    OperatorNode,
    ReduceNode,
    Trace,
)
from nadoo_flow.events import RunMeter
from nadoo_flow.events.progress import ProgressBars
from nadoo_flow.testing import DeadlockError, VirtualTimeLoop, advance, assert_nothing_left

from ..conftest import Execute
from ..stand_ins import double, log_of_the_loop, raised_by, slowly


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def bars(written: str) -> list[str]:
    """Return how each bar looked in the end: its name, counts and failures."""
    last: dict[str, str] = {}
    for bar in re.split(r"[\r\n]|\x1b\[A", written):
        found = re.match(r"(.+?): .*?(\d+/\d+|\d+it) \[", bar)
        if found:
            failed = re.search(r"failed=\d+", bar)
            last[found[1]] = f"{found[1]} {found[2]}" + (f" {failed[0]}" if failed else "")
    return list(last.values())


def counts(written: str) -> list[str]:
    """Return the counts that were drawn, each once."""
    return list(dict.fromkeys(re.findall(r"\d+/\d+", written)))


def even(value: int) -> bool:
    return value % 2 == 0


class TestWhatIsShown:
    async def test_a_batch_counts_its_items_and_failures(self, terminal: Terminal) -> None:
        node = FunctionNode(lambda x: 1 / x, "divide")
        with redirect_stderr(terminal):
            await BatchProcessor(node, progress=True).batch([1, 0, 2, 0])
        assert bars(terminal.getvalue()) == ["divide 4/4 failed=2"]

    async def test_what_is_in_work_is_shown_while_nothing_ends(self, terminal: Terminal) -> None:
        processor = BatchProcessor(FunctionNode(slowly, "slow"), 2, progress=True)
        with redirect_stderr(terminal):
            run = asyncio.ensure_future(processor.batch([9, 9, 9]))
            await asyncio.sleep(1)
            before = terminal.getvalue()
            await asyncio.sleep(1)
            assert terminal.getvalue() != before
            assert re.search(r"slow: .*0/3 \[.*, in work=2\]", before)
            await run
        assert re.search(r"3/3 \[[^=]*\]\s*$", terminal.getvalue())

    async def test_what_was_cancelled_is_no_longer_in_work(self, terminal: Terminal) -> None:
        stage = MapNode("map", slowly, max_concurrency=3)
        with redirect_stderr(terminal):
            async with stage.stream([1, 9, 9], progress=True) as outputs:
                await anext(outputs)
        last = terminal.getvalue().split("\r")[-1]
        assert "1/3" in last
        assert "in work" not in last

    async def test_a_total_that_is_not_known_is_not_shown(self, terminal: Terminal) -> None:
        processor = BatchProcessor(FunctionNode(double, "double"), progress=True)
        with redirect_stderr(terminal):
            await processor.batch(iter([1, 2, 3]))
        assert bars(terminal.getvalue()) == ["double 3it"]

    async def test_every_way_to_run_shows_it(self, terminal: Terminal) -> None:
        processor = BatchProcessor(FunctionNode(double, "double"), progress=True)
        with redirect_stderr(terminal):
            async for _ in processor.batch_as_completed([1, 2]):
                pass
        assert bars(terminal.getvalue()) == ["double 2/2"]

    async def test_a_subclass_that_overrides_the_iteration_shows_it(
        self, terminal: Terminal
    ) -> None:
        class OneByOne(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> Any:  # type: ignore[override]
                for index, value in enumerate(inputs):
                    yield await self.process_single(value, index)

        with redirect_stderr(terminal):
            await OneByOne(FunctionNode(double, "double"), progress=True).batch([1, 2])
        assert bars(terminal.getvalue()) == ["double 2/2"]

    @pytest.mark.parametrize("beside", ["nothing", "a trace", "a subscriber"])
    async def test_each_stage_has_a_bar_that_waits_for_what_still_comes(
        self, beside: str, terminal: Terminal
    ) -> None:
        chain = (
            MapNode("map", lambda x: 10 // x, "a", "b", continue_on_error=True)
            | FilterNode("filter", even, "b", "c")
            | ReduceNode("sum", lambda total, x: total + x, 0, "c", "d")
        )
        if beside == "a subscriber":
            chain.events.subscribe()
        trace = Trace() if beside == "a trace" else None
        with redirect_stderr(terminal):
            # 0 fails; 10, 5, 2, 1
            await chain.run({"a": [0, 1, 2, 5, 10]}, progress=True, trace=trace)
        assert bars(terminal.getvalue()) == ["map 5/5 failed=1", "filter 4/4", "sum 2/2"]

    @pytest.mark.parametrize("traced", [False, True])
    async def test_a_stage_that_is_complete_keeps_its_own_time_and_mean_rate(
        self, traced: bool, terminal: Terminal
    ) -> None:
        chain = MapNode("fast", slowly, "a", "b", max_concurrency=1) | MapNode(
            "slow", lambda _: asyncio.sleep(9), "b", "c", max_concurrency=1
        )
        with redirect_stderr(terminal):
            trace = Trace() if traced else None
            await chain.run({"a": [1, 3, 1, 3]}, progress=True, trace=trace)
        last = dict(re.findall(r"(fast|slow): 100%[^\[]*4/4 (\[.*?\])", terminal.getvalue()))
        assert last == {
            "fast": "[00:08<00:00,  2.00s/it]",
            "slow": "[00:37<00:00,  9.25s/it]",
        }

    @pytest.mark.parametrize("traced", [False, True])
    async def test_a_bar_is_drawn_every_quarter_of_a_second(
        self, traced: bool, terminal: Terminal
    ) -> None:
        processor = BatchProcessor(slowly, 1, progress=True, trace=traced)
        with redirect_stderr(terminal):
            await processor.batch([0.011] * 90)
        assert counts(terminal.getvalue()) == ["0/90", "22/90", "45/90", "68/90", "90/90"]

    async def test_it_is_drawn_between_items_that_block_the_loop(self, terminal: Terminal) -> None:
        with redirect_stderr(terminal):
            await BatchProcessor(advance, progress=True).batch([1, 1, 1])
        assert counts(terminal.getvalue()) == ["0/3", "1/3", "2/3", "3/3"]

    async def test_behind_operators_nobody_knows_how_many_come(self, terminal: Terminal) -> None:
        chain = (
            MapNode("map", double, "a", "b")
            | OperatorNode(ops.take(2), input_key="b", output_key="c", node_id="take")
            | MapNode("again", double, "c", "d")
        )
        with redirect_stderr(terminal):
            await chain.run({"a": [1, 2, 3]}, progress=True)
        assert bars(terminal.getvalue())[1:] == ["take 2it", "again 2it"]

    async def test_a_pipeline_shows_a_bar_for_each_of_its_list_stages(
        self, terminal: Terminal
    ) -> None:
        pipeline = (
            MapNode("one", double)
            | (lambda x: {"items": x["results"][:2]})
            | MapNode("two", double)
        )
        with redirect_stderr(terminal):
            assert await pipeline.run({"items": [1, 2, 3]}, progress=True) == {"results": [4, 8]}
        assert bars(terminal.getvalue()) == ["one 3/3", "two 2/2"]

    async def test_a_stream_shows_it(self, terminal: Terminal) -> None:
        with redirect_stderr(terminal):
            async for _ in MapNode("map", double).stream([1, 2], progress=True):
                pass
        assert bars(terminal.getvalue()) == ["map 2/2"]

    async def test_stages_inside_items_show_nothing(self, terminal: Terminal) -> None:
        inner = MapNode("inner", double)
        with redirect_stderr(terminal):
            await MapNode("outer", inner).run({"items": [{"items": [1, 2]}]}, progress=True)
        assert bars(terminal.getvalue()) == ["outer 1/1"]

    async def test_a_run_that_is_left_early_leaves_its_bar_where_it_was(
        self, terminal: Terminal
    ) -> None:
        stage = MapNode("map", slowly, max_concurrency=1)
        with redirect_stderr(terminal):
            async with stage.stream([1] * 9, progress=True) as outputs:
                await anext(outputs)
        assert bars(terminal.getvalue()) == ["map 1/9"]
        assert terminal.getvalue().endswith("\n")

    async def test_a_failed_run_shows_the_failure(self, terminal: Terminal) -> None:
        stage = MapNode("map", lambda x: 1 / x)
        with redirect_stderr(terminal):
            error = await raised_by(stage.run({"items": [0]}, progress=True))
        assert isinstance(error, NodeError)
        assert bars(terminal.getvalue()) == ["map 1/1 failed=1"]

    async def test_a_name_is_one_short_line(self, terminal: Terminal) -> None:
        node = FunctionNode(double, "<b>\n\x1b[31m" + "x" * 1_000)
        with redirect_stderr(terminal):
            await BatchProcessor(node, progress=True).batch([1])
        assert "\x1b[31m" not in terminal.getvalue()
        assert max(map(len, terminal.getvalue().split("\r"))) < 150


class TestWhereItIsShown:
    @pytest.mark.parametrize("progress", [True, False])
    async def test_nothing_is_written_where_there_is_no_terminal(
        self, progress: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await BatchProcessor(double, progress=progress).batch([1])
        await MapNode("map", double).run({"items": [1]}, progress=progress)
        assert capsys.readouterr() == ("", "")

    async def test_always_writes_anywhere(self, capsys: pytest.CaptureFixture[str]) -> None:
        await BatchProcessor(FunctionNode(double, "a"), progress="always").batch([1])
        await MapNode("b", double).run({"items": [1]}, progress="always")
        assert bars(capsys.readouterr().err) == ["a 1/1", "b 1/1"]

    async def test_nothing_is_written_unless_it_is_asked_for(self, terminal: Terminal) -> None:
        with redirect_stderr(terminal):
            await BatchProcessor(double).batch([1])
            await MapNode("map", double).run({"items": [1]})
        assert terminal.getvalue() == ""

    @pytest.mark.parametrize("progress", [1, "yes", None])
    async def test_any_other_value_is_an_error(self, progress: Any) -> None:
        message = "progress must be True, False or 'always'"
        with pytest.raises(TypeError, match=message):
            BatchProcessor(double, progress=progress)
        with pytest.raises(TypeError, match=message):
            await MapNode("map", double).run({"items": [1]}, progress=progress)
        with pytest.raises(TypeError, match=message):
            MapNode("map", double).stream([1], progress=progress)


class Reader:
    """Keeps the meters of runs that have ended."""

    def __init__(self) -> None:
        self.ended: list[RunMeter] = []

    def add_run(self, meter: RunMeter) -> None:
        pass

    def end_run(self, meter: RunMeter) -> None:
        self.ended.append(meter)


class Broken(io.StringIO):
    """A stderr that cannot be written to."""

    def write(self, text: str) -> int:
        raise OSError("gone")


# What tqdm began to make of the bar may raise again when it is garbage.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_bar_that_cannot_be_shown_breaks_no_run_and_no_other_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged = log_of_the_loop()
    monkeypatch.setattr(sys, "stderr", Broken())
    processor = BatchProcessor(double, progress="always")
    reader = Reader()
    processor.events.add_reader(reader)
    results = await processor.batch([1, 2])
    assert results.outputs == [2, 4]
    assert [meter.end for meter in reader.ended] == ["completed"]
    assert [entry["message"] for entry in logged()] == [
        "a watcher of a run raised, so it gets no more events"
    ]
    logged().clear()
    gc.collect()


class Breaking(Terminal):
    """A terminal that is closed after a second of virtual time."""

    def write(self, text: str) -> int:
        if asyncio.get_running_loop().time() > 1:
            raise OSError("gone")
        return super().write(text)


async def test_bars_that_cannot_be_drawn_any_more_make_no_room_between_later_ones(
    terminal: Terminal,
) -> None:
    logged = log_of_the_loop()
    chain = MapNode("a", slowly, "a", "b") | MapNode("b", slowly, "b", "c")
    with redirect_stderr(Breaking()):
        await chain.run({"a": [0.7, 0.7]}, progress=True)
    assert {type(entry["exception"]) for entry in logged()} == {OSError}
    with redirect_stderr(terminal):
        await BatchProcessor(slowly, progress=True).batch([1])
    assert "\x1b[A" not in terminal.getvalue()
    logged().clear()


class Lengthless:
    """Items that say they have a length, and do not."""

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


async def test_inputs_whose_length_cannot_be_read_are_run_all_the_same(terminal: Terminal) -> None:
    processor = BatchProcessor(FunctionNode(double, "double"), progress=True)
    with redirect_stderr(terminal):
        assert (await processor.batch(Lengthless())).outputs == [2, 4]
    assert bars(terminal.getvalue()) == ["double 2it"]


async def test_a_bar_leaves_no_thread_behind(terminal: Terminal) -> None:
    with redirect_stderr(terminal), assert_nothing_left():
        await BatchProcessor(double, progress=True).batch([1, 2])


async def test_who_keeps_the_meter_of_a_run_does_not_keep_its_bars(terminal: Terminal) -> None:
    processor = BatchProcessor(double, progress=True)
    reader = Reader()
    processor.events.add_reader(reader)
    with redirect_stderr(terminal):
        await processor.batch([])
        gc.collect()
        assert [each for each in gc.get_objects() if type(each) is ProgressBars] == []
    assert len(reader.ended) == 1


async def test_two_runs_at_a_time_have_a_bar_each(terminal: Terminal) -> None:
    one = BatchProcessor(FunctionNode(slowly, "one"), progress=True)
    two = BatchProcessor(FunctionNode(slowly, "two"), progress=True)
    with redirect_stderr(terminal):
        await asyncio.gather(one.batch([1, 2]), two.batch([2, 1, 3]))
    assert sorted(bars(terminal.getvalue())) == ["one 2/2", "two 3/3"]


def test_one_processor_shows_its_bars_in_two_loops() -> None:
    processor = BatchProcessor(slowly, 1, progress=True)
    for _ in range(2):
        terminal = Terminal()
        with redirect_stderr(terminal), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(processor.batch([0.3, 0.3]))
        assert counts(terminal.getvalue()) == ["0/2", "1/2", "2/2"]


def make_loop() -> VirtualTimeLoop:
    return VirtualTimeLoop(max_turns=1_000)


def test_a_bar_that_is_not_shown_needs_no_timer() -> None:
    never = asyncio.Event()
    processor = BatchProcessor(lambda _: never.wait(), progress=True)
    with redirect_stderr(io.StringIO()), asyncio.Runner(loop_factory=make_loop) as runner:
        with pytest.raises(DeadlockError, match="no timer"):
            runner.run(processor.batch([1]))
        assert runner.get_loop().time() == 0


@pytest.mark.parametrize(("ending", "last"), [("not yet", 10.5), ("closed", 2.3), ("failed", 10.3)])
def test_a_run_without_items_in_work_has_no_timer(
    ending: str, last: float, terminal: Terminal
) -> None:
    never = asyncio.Event()

    async def main() -> None:
        inputs: Subject[float] = Subject()
        async with BatchProcessor(slowly, progress=True).batch_as_completed(inputs) as run:
            asking = asyncio.ensure_future(anext(run))
            await asyncio.sleep(1)
            inputs.on_next(0.3)
            await asking
            inputs.on_next(9)
            asking = asyncio.ensure_future(anext(run))
            await asyncio.sleep(1)
            if ending == "closed":
                await run.aclose()
            elif ending == "failed":
                inputs.on_error(ValueError())
            await asyncio.wait([asking])
            await never.wait()

    with redirect_stderr(terminal), asyncio.Runner(loop_factory=make_loop) as runner:
        with pytest.raises(DeadlockError, match="no timer"):
            runner.run(main())
        assert runner.get_loop().time() == pytest.approx(last)


BATCH = """
from nadoo_flow import BatchProcessor, FunctionNode

divide = FunctionNode(lambda x: 1 / x, "divide")
results = await BatchProcessor(divide, progress=True).batch([1, 0, 2, 0])
"""

CHAIN = """
from nadoo_flow import FilterNode, MapNode

one = MapNode("one", lambda x: x, "items", "a")
even = FilterNode("even", lambda x: x % 2 == 0, "a", "b")
two = MapNode("two", lambda x: x, "b", "c")
output = await (one | even | two).run({"items": [1, 2, 3, 4, 5]}, progress=True)
"""


SLOW = """
import asyncio, gc
from ipywidgets import HTML
from nadoo_flow import BatchProcessor

def read_widgets():
    return [each.value for each in gc.get_objects() if isinstance(each, HTML)]

ready = asyncio.Event()

async def wait(x):
    await ready.wait()

run = asyncio.ensure_future(BatchProcessor(wait, progress=True).batch([1, 2]))
while not any("work" in value for value in read_widgets()):
    await asyncio.sleep(0.01)
print(read_widgets())
ready.set()
await run;
"""

UNEVEN = """
import asyncio, gc, re
from ipywidgets import HTML
from nadoo_flow import BatchProcessor

results = await BatchProcessor(asyncio.sleep, 1, progress=True).batch(iter([0.8, 0.1, 0.1, 0.1]))
(value,) = [w.value for w in gc.get_objects() if isinstance(w, HTML) and "4/?" in w.value]
number, unit = re.search(r"([\\d.]+)(it/s|s/it)", value).groups()
print(float(number) if unit == "it/s" else 1 / float(number), results.summary().throughput)
"""

INSTALL = "for progress bars a notebook needs ipywidgets: pip install 'nadoo-flow[notebook]'"


@pytest.mark.slow
@pytest.mark.one_python
class TestInANotebook:
    def test_it_shows_a_widget_and_for_those_who_cannot_a_line(self, execute: Execute) -> None:
        notebook = new_notebook(cells=[new_code_cell(BATCH)])
        execute(notebook)
        (output,) = notebook.cells[0].outputs
        assert output.data.pop("application/vnd.jupyter.widget-view+json")["model_id"]
        (line,) = output.data.values()
        assert line.startswith("divide: ")
        assert "0/4" in line
        widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        values = [str(widget["state"].get("value")) for widget in widgets.values()]
        assert [value for value in values if re.search(r"4/4\s\[.*failed=2", value)]
        (bar,) = [w["state"] for w in widgets.values() if "max" in w["state"]]
        assert bar["bar_style"] == "warning"

    def test_its_widgets_are_full_where_not_all_items_came(self, execute: Execute) -> None:
        notebook = new_notebook(cells=[new_code_cell(CHAIN)])
        execute(notebook)
        widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        states = [widget["state"] for widget in widgets.values()]
        bars = [state for state in states if "max" in state]
        assert [(bar["value"], bar["max"]) for bar in bars] == [(5, 5), (5, 5), (2, 2)]
        assert {bar["bar_style"] for bar in bars} == {"success"}

    def test_its_widgets_begin_at_one_place(self, execute: Execute) -> None:
        notebook = new_notebook(cells=[new_code_cell(CHAIN)])
        execute(notebook)
        widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        widths = [widget["state"].get("min_width") for widget in widgets.values()]
        (width,) = {width for width in widths if width}
        assert widths.count(width) == 3

    def test_its_widget_ends_with_the_mean_rate_also_without_a_total(
        self, execute: Execute
    ) -> None:
        notebook = new_notebook(cells=[new_code_cell(UNEVEN)])
        execute(notebook)
        (printed,) = [o for o in notebook.cells[0].outputs if o.output_type == "stream"]
        shown, mean = map(float, printed.text.split())
        assert shown == pytest.approx(mean, rel=0.1)

    def test_its_widget_says_while_nothing_ends_what_is_in_work(self, execute: Execute) -> None:
        notebook = new_notebook(cells=[new_code_cell(SLOW)])
        execute(notebook)
        (printed,) = [o for o in notebook.cells[0].outputs if o.output_type == "stream"]
        assert re.search(r"0/2.\[.*in.work=2\]", printed.text.replace(r"\u2007", " "))

    def test_without_ipywidgets_it_says_once_how_to_have_it(self, execute: Execute) -> None:
        hidden = "import sys; sys.modules['ipywidgets'] = None"  # as if it were not installed
        notebook = new_notebook(cells=[new_code_cell(code) for code in (hidden, BATCH, BATCH)])
        execute(notebook)
        for cell, words in zip(notebook.cells[1:], [INSTALL, ""], strict=True):
            assert {output.name for output in cell.outputs} == {"stderr"}
            text = "".join(output.text for output in cell.outputs)
            assert text.count(INSTALL) == bool(words)
            assert bars(text.replace(INSTALL, "\n")) == ["divide 4/4 failed=2"]
