"""Natural mistakes of someone who starts: each works, or says what was given and what to write."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from nbformat.v4 import new_code_cell, new_notebook
from reactivex import operators as ops

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    CheckpointError,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    MicroBatchNode,
    NodeContext,
    NodeError,
    NodeResult,
    Pipeline,
    ReduceNode,
    WorkflowContext,
    route,
)
from nadoo_flow.executors import on
from nadoo_flow.policies import (
    circuit_breaker,
    fallback,
    in_thread,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.testing import advance

from .conftest import Execute

NO_ITEMS = "inputs must be an iterable, async iterable or Observable of items, got "


async def fetch(url: Any) -> Any:
    await asyncio.sleep(0.1)
    return url


def forget_to_return(item: int) -> None:
    _ = item > 1


def fold_in_place(total: list[int], item: int) -> None:
    total.append(item)


class Answer(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return NodeResult(True, 42)


class Scripted(BaseNode):
    """A node whose ``execute`` gives what a function of its context gives."""

    def __init__(self, script: Callable[[Any], Any]) -> None:
        super().__init__("scripted")
        self.script = script

    async def execute(self, node_context: NodeContext, workflow_context: WorkflowContext) -> Any:
        return self.script(node_context)


class Modelled(Answer):
    def __init__(self, model: str) -> None:
        self.model = model


class Client:
    async def ask(self, question: str) -> str:
        return question


class DataFrame:
    """Iterates over the names of its columns, as the one of pandas does."""

    def __iter__(self) -> Iterator[str]:
        return iter(["url"])

    def __repr__(self) -> str:
        return "1 row"

    def iterrows(self) -> Iterator[Any]:
        raise NotImplementedError


def give() -> Iterator[int]:
    yield 1


async def give_later() -> AsyncIterator[int]:
    yield 1


node: Any = FunctionNode(fetch)
batch: Any = BatchProcessor(fetch).batch
processor: Any = BatchProcessor
a: Any = MapNode("a", fetch, "texts", "drafts")
map_node: Any = MapNode
filter_node: Any = FilterNode
reduce_node: Any = ReduceNode
policy: Any = retry
result: Any = NodeResult
Mistake = tuple[Callable[[], Any], type[Exception], str]

# What is refused where it is written, before anything runs.
WRITTEN: dict[str, Mistake] = {
    "class for instance": (
        lambda: processor(Answer),
        TypeError,
        "node must be a node or a function, got <class '.*Answer'> (type); "
        "make an instance of it first",
    ),
    "class behind |": (
        lambda: node | Answer,
        TypeError,
        "node must be a node or a function, got <class '.*Answer'> (type); "
        "make an instance of it first",
    ),
    "None behind |": (
        lambda: node | None,
        TypeError,
        "node must be a node or a function, got None (NoneType)",
    ),
    "str before |": (
        lambda: "upper" | node,
        TypeError,
        "node must be a node or a function, got 'upper' (str)",
    ),
    "call of a sync function": (
        lambda: processor(len("abc")),
        TypeError,
        "node must be a node or a function, got 3 (int)",
    ),
    "coroutine for function": (
        lambda: processor(fetch(1)),
        TypeError,
        "node must be a node or a function, got <coroutine object fetch at .*> (coroutine); "
        "pass the function itself, without calling it",
    ),
    "function of two arguments": (
        lambda: processor(lambda name, age: name),
        TypeError,
        "a function that is a node must take one argument, the input, got <lambda>(name, age)",
    ),
    "function of no argument": (
        lambda: node | (lambda: 1),
        TypeError,
        "a function that is a node must take one argument, the input, got <lambda>()",
    ),
    "method of a class": (
        lambda: map_node("m", Client.ask),
        TypeError,
        "a function that is a node must take one argument, the input, got ask(self, question)",
    ),
    "no super().__init__()": (
        lambda: processor(Modelled("small")),
        TypeError,
        "node must be a node with an id, got a Modelled without one; "
        "Modelled.__init__ must call super().__init__()",
    ),
    "list for arguments": (
        lambda: Pipeline([node, fetch]),
        TypeError,
        "node must be a node or a function, got [FunctionNode('fetch'), .*] (list)",
    ),
    "no id": (
        lambda: map_node(fetch),
        TypeError,
        "node_id must be a str, got <function fetch at .*> (function); "
        "a stage has its id first: MapNode('my_id', function)",
    ),
    "keys that do not meet": (
        lambda: a | MapNode("b", fetch, "texts", "done"),
        ValueError,
        "the input_key of 'b' must be 'drafts', the only key in the output of 'a', got 'texts'",
    ),
    "predicate without return": (
        lambda: filter_node("f", forget_to_return),
        TypeError,
        "filter_fn must return whether to keep the item, got forget_to_return, "
        "which returns nothing; it may lack a return",
    ),
    "fold without return": (
        lambda: reduce_node("r", fold_in_place, []),
        TypeError,
        "reduce_fn must return the next value, got fold_in_place, "
        "which returns nothing; it may lack a return",
    ),
    "fold of one argument": (
        lambda: reduce_node("r", lambda item: item),
        TypeError,
        "reduce_fn must take 2 arguments, the value so far and the item, got <lambda>(item)",
    ),
    "predicate as text": (
        lambda: filter_node("f", "x > 1"),
        TypeError,
        "filter_fn must be a function, got 'x > 1' (str)",
    ),
    "policy not called": (
        lambda: node.pipe(retry),
        TypeError,
        "a policy must be called with its settings before pipe() gets it, got retry; "
        "write pipe(retry(...))",
    ),
    "fallback not called": (
        lambda: node.pipe(fallback),
        TypeError,
        "a policy must be called with its settings before pipe() gets it, got fallback; "
        "write pipe(fallback(...))",
    ),
    "policy as a bare decorator": (
        lambda: policy(fetch),
        TypeError,
        "attempts must be a positive int, got <function fetch at .*> (function); "
        "a policy is called with its settings first: retry(3)(function)",
    ),
    "policy behind |": (
        lambda: node | retry(3),
        TypeError,
        "node must be a node, got the policy retry(attempts=3); write node.pipe(retry(attempts=3))",
    ),
    "operator of Rx for a policy": (
        lambda: a.pipe(ops.take(3)),
        TypeError,
        "the policy .* must return a node, got .* (Observable); "
        "an operator of Rx belongs behind stage.observe(source)",
    ),
    "int for a limit": (
        lambda: node.pipe(limit(5)),
        TypeError,
        "shared must be a ConcurrencyLimit or an AdaptiveLimit, got 5 (int); "
        "write limit(ConcurrencyLimit(5))",
    ),
    "int for a breaker": (
        lambda: node.pipe(circuit_breaker(5)),
        TypeError,
        "breaker must be a CircuitBreaker, got 5 (int)",
    ),
    "value for a fallback": (
        lambda: node.pipe(fallback(0)),
        TypeError,
        "each of others must be a node or a function, got 0 (int)",
    ),
    "thread for an async function": (
        lambda: node.pipe(in_thread()),
        TypeError,
        "in_thread() is for functions that block and return something, "
        "got <function fetch at .*> (function)",
    ),
    "thread behind another policy": (
        lambda: FunctionNode(len).pipe(retry(3), in_thread()),
        TypeError,
        "in_thread() must be the first policy around a function, got RetryNode(.*)",
    ),
    "timeout with its unit": (
        lambda: timeout("5s"),
        TypeError,
        "seconds must be a number, got '5s' (str)",
    ),
    "timeout as a timedelta": (
        lambda: timeout(timedelta(seconds=5)),
        TypeError,
        "seconds must be a number, got datetime.timedelta(seconds=5) (timedelta)",
    ),
    "rate with its unit": (
        lambda: rate_limit("60/minute"),
        TypeError,
        "rate must be a number, got '60/minute' (str)",
    ),
    "no attempts": (
        lambda: retry(0),
        ValueError,
        "attempts must be at least 1, got 0",
    ),
    "concurrency as text": (
        lambda: processor(fetch, max_concurrency="5"),
        TypeError,
        "max_concurrency must be a positive int, got '5' (str)",
    ),
    "no concurrency": (
        lambda: processor(fetch, max_concurrency=0),
        ValueError,
        "max_concurrency must be at least 1, got 0",
    ),
    "concurrency without a limit": (
        lambda: processor(fetch, max_concurrency=None),
        TypeError,
        "max_concurrency must be a positive int, got None (NoneType)",
    ),
    "checkpoint switched on": (
        lambda: processor(fetch, checkpoint=True),
        TypeError,
        "checkpoint must be a path or a Checkpoint, got True (bool)",
    ),
    "progress in words": (
        lambda: processor(fetch, progress="yes"),
        TypeError,
        "progress must be True, False or 'always', got 'yes' (str)",
    ),
    "trace as a file": (
        lambda: processor(fetch, trace="trace.svg"),
        TypeError,
        "trace must be True, False or a Trace, got 'trace.svg' (str)",
    ),
    "name of a key": (
        lambda: processor(fetch, key="user"),
        TypeError,
        "key must be a function, got 'user' (str)",
    ),
    "budget without a unit": (
        lambda: processor(fetch, max_usage=5),
        TypeError,
        "max_usage must be a mapping of names to numbers, got 5 (int)",
    ),
    "async for replaced by for": (
        lambda: list(processor(fetch).batch_as_completed([1])),
        TypeError,
        "ResultIterator is an async iterator; write `async for`, "
        "or [item async for item in ...] for a list",
    ),
    "for over a stream": (
        lambda: list(a.stream([1])),
        TypeError,
        "CloseableAsyncIterator is an async iterator; write `async for`, "
        "or [item async for item in ...] for a list",
    ),
    "with for async with": (
        lambda: processor(fetch).batch_as_completed([1]).__enter__(),
        TypeError,
        "ResultIterator is closed by awaiting; write `async with`",
    ),
    "mapping for a stream": (
        lambda: a.stream({"texts": [1]}),
        TypeError,
        "source must be the items themselves, got {'texts': [1]} (dict); "
        "pass what is under 'texts', or write stage.run(...)",
    ),
}


# What is refused when it is awaited, or iterated over.
RUN: dict[str, Mistake] = {
    "text for a list": (
        lambda: batch("hello"),
        TypeError,
        f"{NO_ITEMS}'hello' (str); for a single one pass [inputs]",
    ),
    "mapping for a list": (
        lambda: batch({"url": "a"}),
        TypeError,
        f"{NO_ITEMS}{{'url': 'a'}} (dict); for a single one pass [inputs]",
    ),
    "number for a list": (lambda: batch(10), TypeError, f"{NO_ITEMS}10 (int)"),
    "generator not called": (
        lambda: batch(give),
        TypeError,
        f"{NO_ITEMS}<function give at .*> (function); call it: inputs()",
    ),
    "async generator not called": (
        lambda: batch(give_later),
        TypeError,
        f"{NO_ITEMS}<function give_later at .*> (function); call it: inputs()",
    ),
    "inputs not awaited": (
        lambda: batch(fetch([1, 2])),
        TypeError,
        f"{NO_ITEMS}<coroutine object fetch at .*> (coroutine); await it first",
    ),
    "data frame": (
        lambda: batch(DataFrame()),
        TypeError,
        f"{NO_ITEMS}1 row (DataFrame); for its rows pass inputs.to_dict('records')",
    ),
    "generator used twice": (
        lambda: run_twice(give()),
        ValueError,
        "inputs must give items, got <generator object give at .*> (generator), which has ended; "
        "pass a list, or make a new generator for each run",
    ),
    "async generator used twice": (
        lambda: run_twice(give_later()),
        ValueError,
        "inputs must give items, got <async_generator object give_later at .*> (async_generator), "
        "which has ended; pass a list, or make a new generator for each run",
    ),
    "dict for the shared context": (
        lambda: batch([1], {"user": 7}),
        TypeError,
        "workflow_context must be a WorkflowContext, got {'user': 7} (dict); "
        "write WorkflowContext(variables=...)",
    ),
    "list without its key": (
        lambda: a.run(["one", "two"]),
        NodeError,
        "node 'a' failed: TypeError: the input must be a mapping with the key 'texts', "
        "got ['one', 'two'] (list); write {'texts': [...]}",
    ),
    "another key": (
        lambda: a.run({"items": [1]}),
        NodeError,
        "node 'a' failed: LookupError: the input has no key 'texts'; it has 'items'",
    ),
    "text under the key": (
        lambda: a.run({"texts": "one"}),
        NodeError,
        "node 'a' failed: TypeError: the input's 'texts' must be a list of items, got 'one' (str)",
    ),
    "no initial value": (
        lambda: reduce_node("sum", lambda total, n: total + n).run({"items": [1]}),
        NodeError,
        "node 'sum' failed: item 0: TypeError: .*; "
        "the value so far was None, so pass an initial_value",
    ),
    "one output for many": (
        lambda: FlatMapNode("split", len).run({"items": ["ab"]}),
        NodeError,
        "node 'split' failed: item 0: TypeError: the child must give many outputs "
        "(an iterable, an async iterable or an Observable), got 2 (int)",
    ),
    "checkpoint that is a folder": (
        lambda: BatchProcessor(fetch, checkpoint=Path(__file__).parent).batch([1]),
        CheckpointError,
        "the checkpoint '.*tests' is a folder; name a file",
    ),
    "checkpoint in no folder": (
        lambda: BatchProcessor(fetch, checkpoint=Path(__file__) / "no" / "file").batch([1]),
        CheckpointError,
        "the checkpoint '.*' is in a folder that does not exist",
    ),
    "checkpoint that is another file": (
        lambda: BatchProcessor(fetch, checkpoint=__file__).batch([1]),
        CheckpointError,
        "the checkpoint '.*' is damaged, or no checkpoint at all: .*",
    ),
    "output of all results": (
        lambda: get_output_of_all(),
        AttributeError,
        "'BatchResults' object has no attribute 'output'; "
        "each of the results has one: [result.output for result in results]",
    ),
    "key of a result": (
        lambda: get_text_of_result(),
        TypeError,
        "a BatchResult is no mapping, got ['text']; write result.output['text']",
    ),
    "error of the inputs": (lambda: batch(int(text) for text in ["1", "x"]), ValueError, ".*'x'"),
}

# What fails an item, with its error.
FAILED: dict[str, tuple[Any, Any, str]] = {
    "output for success": (
        Scripted(lambda _: result({"answer": 42})),
        1,
        "TypeError: the success of a NodeResult must be True or False, got {'answer': 42} (dict); "
        "write NodeResult(success=True, output=...)",
    ),
    "plain output of execute": (
        Scripted(lambda _: {"answer": 42}),
        1,
        "TypeError: expected NodeResult, got dict",
    ),
    "execute that is not async": (
        type("Sync", (BaseNode,), {"execute": lambda *_: NodeResult(True, 42)})(),
        1,
        "TypeError: execute must be defined with async def; it returned a plain NodeResult",
    ),
    "another name for execute": (
        type("Named", (BaseNode,), {"process": fetch})(),
        1,
        "NotImplementedError: Named must define execute()",
    ),
    "context for its input": (
        Scripted(lambda context: context["url"]),
        1,
        "TypeError: a NodeContext is no mapping, got ['url']; write node_context.input_data['url']",
    ),
    "context for its variables": (
        Scripted(lambda _: cast("Any", WorkflowContext())["user"]),
        1,
        "TypeError: a WorkflowContext is no mapping, got ['user']; "
        "write workflow_context.variables['user']",
    ),
    "result for its output": (
        lambda data: data["text"],
        BatchResult(0, "a", True, {"text": "b"}),
        "TypeError: a BatchResult is no mapping, got ['text']; write result.output['text']",
    ),
    "items for a stage": (
        a,
        "one",
        "TypeError: the input must be a mapping with the key 'texts', got 'one' (str); "
        "write {'texts': [...]}",
    ),
    "one answer for many inputs": (
        MicroBatchNode(len),
        1,
        "TypeError: the function must return a list of 1 outputs, got 1 (int)",
    ),
    "no such route": (
        route(lambda _: "b", {"a": fetch}),
        1,
        "LookupError: fn returned 'b' (str), which is no route; the routes are 'a', "
        "and default= would take all others",
    ),
    "a field for the mapping": (
        lambda text: text.upper(),
        {"text": "one"},
        "AttributeError: 'dict' object has no attribute 'upper'",
    ),
}


async def run_twice(inputs: Any) -> None:
    assert (await batch(inputs)).outputs == [1]
    await batch(inputs)


async def get_output_of_all() -> object:
    return cast("Any", await batch([1])).output


async def get_text_of_result() -> object:
    return cast("Any", await batch([{"text": "one"}]))[0]["text"]


async def drop_after(work: Awaitable[Any]) -> Any:
    """Await work, and drop the coroutines that it leaves behind, of which Python then warns."""
    done = await work
    gc.collect()
    return done


def assert_says(error: object, text: str) -> None:
    """Assert that an error says a text, in which .* stands for anything."""
    pattern = re.escape(text).replace(r"\.\*", ".*")
    assert re.fullmatch(pattern, str(error), re.DOTALL), str(error)


@pytest.mark.parametrize("mistake", WRITTEN)
async def test_what_is_wrong_as_it_is_written(mistake: str) -> None:
    write, kind, text = WRITTEN[mistake]
    with pytest.raises(kind) as caught:
        write()
    assert type(caught.value) is kind
    assert_says(caught.value, text)


@pytest.mark.parametrize("mistake", RUN)
async def test_what_is_wrong_as_it_is_run(mistake: str) -> None:
    run, kind, text = RUN[mistake]
    with pytest.raises(kind) as caught:
        await run()
    assert type(caught.value) is kind
    assert_says(caught.value, text)


@pytest.mark.parametrize("mistake", FAILED)
async def test_what_fails_an_item(mistake: str) -> None:
    node, item, text = FAILED[mistake]
    (found,) = await BatchProcessor(node).batch([item])
    assert_says(found.error, text)


@pytest.mark.parametrize("output", [{1, 2}, Client()], ids=["set", "object"])
async def test_an_output_that_json_cannot_hold(output: object, tmp_path: Path) -> None:
    checkpointed = BatchProcessor(lambda _: output, checkpoint=tmp_path / "run")
    (found,) = await checkpointed.batch([1])
    assert_says(
        found.error,
        "the output cannot be recorded: TypeError: .* is not JSON: .*; "
        "another codec= can store what JSON cannot",
    )
    assert found.output is output


async def test_a_checkpoint_for_other_inputs(tmp_path: Path) -> None:
    checkpointed = BatchProcessor(fetch, checkpoint=tmp_path / "run")
    await checkpointed.batch(["a"])
    with pytest.raises(CheckpointError) as caught:
        await checkpointed.batch(["b"])
    assert_says(
        caught.value,
        "the checkpoint '.*' belongs to other inputs: item 0 was \"a\" (sha256 .*), "
        'but is now "b" (sha256 .*); use another file',
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: batch([1]), "BatchProcessor.batch"),
        (lambda: a.run({"texts": [1]}), "ListStage.run"),
        (lambda: node.run(1), "BaseNode.run"),
    ],
    ids=["batch", "run of a stage", "run of a node"],
)
def test_a_missing_await(call: Callable[[], Any], name: str) -> None:
    with pytest.warns(RuntimeWarning, match=re.escape(name)):
        call()


async def test_coroutines_in_the_list() -> None:
    with pytest.warns(RuntimeWarning, match="fetch"):
        await drop_after(batch([fetch(1), fetch(2)]))


async def test_a_function_that_blocks() -> None:
    with pytest.warns(RuntimeWarning) as caught:
        await BatchProcessor(FunctionNode(advance, "parse")).batch([0.2] * 2)
    assert_says(
        caught[0].message,
        "node 'parse' held the event loop for 0.2 s in one step, in which nothing else could go "
        "on; a function that blocks belongs in a thread: "
        "FunctionNode(function).pipe(in_thread())",
    )


async def test_inputs_that_block() -> None:
    def read_lines() -> Iterator[int]:
        for line in range(4):
            advance(0.2)
            yield line

    with pytest.warns(RuntimeWarning) as caught:
        assert (await batch(read_lines())).outputs == [0, 1, 2, 3]
    (warning,) = caught
    assert_says(
        warning.message,
        "the inputs held the event loop for 0.2 s to give item .*, in which nothing else could "
        "go on; iterate over them in an async generator that awaits what blocks, "
        "as by asyncio.to_thread()",
    )


class TestWhatWorks:
    async def test_a_function_without_return(self) -> None:
        assert [one.output for one in await BatchProcessor(forget_to_return).batch([1])] == [None]

    async def test_the_same_node_twice(self) -> None:
        assert await (node | node).run(1) == 1

    async def test_a_policy_as_a_decorator(self) -> None:
        assert (await BatchProcessor(retry(3)(fetch)).batch([1])).outputs == [1]

    async def test_progress_without_a_total(self) -> None:
        assert len(await BatchProcessor(fetch, progress=True).batch(give())) == 1

    async def test_inputs_that_are_a_view_of_a_dict(self) -> None:
        assert (await batch({"a": 1}.values())).outputs == [1]

    async def test_inputs_that_are_empty(self) -> None:
        assert list(await batch([])) == []

    def test_another_event_loop_for_each_batch(self) -> None:
        assert [asyncio.run(batch([n])).outputs for n in (1, 2)] == [[1], [2]]

    @pytest.mark.slow
    @pytest.mark.asyncio(loop_factories=["real"])
    async def test_a_lambda_for_a_process(self) -> None:
        with ProcessPoolExecutor(1) as pool:
            doubled = FunctionNode(lambda number: 2 * number).pipe(on(pool))
            assert (await BatchProcessor(doubled).batch([1, 2])).outputs == [2, 4]


PROMPT = """\
from nadoo_flow import BatchProcessor
import asyncio
async def fetch(url): return url

processor = BatchProcessor(fetch)
for result in processor.batch_as_completed([1]): print(result)

results = processor.batch([1])
results = None
print((await processor.batch([1, 2])).outputs)
print(asyncio.run(processor.batch([3, 4])).outputs)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "printed"), [(["-i"], "[3, 4]"), (["-m", "asyncio"], "[1, 2]")]
)
def test_at_a_prompt(options: list[str], printed: str) -> None:
    command = [sys.executable, *options]
    ended = subprocess.run(
        command, input=PROMPT, capture_output=True, text=True, timeout=60, check=False
    )
    assert [text for text in ("[1, 2]", "[3, 4]") if text in ended.stdout] == [printed]
    assert "ResultIterator is an async iterator; write `async for`" in ended.stderr
    assert "BatchProcessor.batch" in ended.stderr


@pytest.mark.slow
@pytest.mark.one_python
def test_in_a_notebook(execute: Execute) -> None:
    cells = [
        "from nadoo_flow import BatchProcessor\nimport asyncio, time",
        "async def fetch(url): return url",
        "processor = BatchProcessor(fetch)",
        "for result in processor.batch_as_completed([1]): print(result)",
        "results = processor.batch([1])\nresults = None",
        "print(asyncio.run(processor.batch([1, 2])).outputs)",
        "print((await processor.batch([1, 2])).outputs)",
        "results = await BatchProcessor(time.sleep).batch([0.2, 0.2])",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    for cell in notebook.cells:
        cell.metadata.tags = ["raises-exception"]
    execute(notebook)
    iterated, forgotten, run, awaited, blocking = [
        "".join(str(output.get("text") or output.get("evalue")) for output in cell.outputs)
        for cell in notebook.cells[3:]
    ]
    assert iterated.startswith("ResultIterator is an async iterator; write `async for`")
    assert "BatchProcessor.batch" in forgotten
    assert "asyncio.run()" in run
    assert awaited == "[1, 2]\n"
    assert "node 'sleep' held the event loop for 0.2 s" in blocking


@pytest.mark.asyncio(loop_factories=["real"])
async def test_in_a_web_app() -> None:
    app = FastAPI()

    @app.get("/await")
    async def wait() -> list[int]:
        return (await batch([1, 2])).outputs

    @app.get("/all")
    async def return_all() -> Any:
        return await batch([1, 2])

    @app.get("/thread")
    def run_in_thread() -> list[int]:
        return asyncio.run(batch([1, 2])).outputs

    @app.get("/run")
    async def run_inside() -> list[int]:
        return asyncio.run(batch([1, 2])).outputs

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.get("/await")).json() == [1, 2]
        assert [one["output"] for one in (await client.get("/all")).json()] == [1, 2]
        assert (await client.get("/thread")).json() == [1, 2]
        with pytest.warns(RuntimeWarning, match=r"BatchProcessor\.batch"):
            response = await drop_after(client.get("/run"))
        assert response.status_code == 500
