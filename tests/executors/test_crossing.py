"""What crosses to a worker and back, on every kind of executor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pickle import PicklingError
from typing import Any

import pytest

from nadoo_flow import BaseNode, BatchProcessor, FunctionNode, NodeResult, WorkflowContext
from nadoo_flow.executors import RemoteError, on

from ..stand_ins import double
from .helpers import REFUSAL, Unpicklable, real

pytestmark = [real, pytest.mark.slow]

IN_MAIN = """
from nadoo_flow import BaseNode, NodeResult

def add(a, b):
    return a + b

class Adding(BaseNode):
    async def execute(self, node_context, workflow_context):
        return NodeResult(True, add(node_context.input_data["item"], 100))
"""


async def outputs(node: BaseNode | Callable[..., Any], executor: Any, inputs: Any) -> list[Any]:
    node = node if isinstance(node, BaseNode) else FunctionNode(node, "it")
    results = await BatchProcessor(node.pipe(on(executor))).batch(inputs)
    return [result.output if result.success else result.error for result in results]


async def test_a_function_of_a_module(executor: Any) -> None:
    assert await outputs(double, executor, range(5)) == [0, 2, 4, 6, 8]


async def test_a_lambda(executor: Any) -> None:
    far = 10
    assert await outputs(lambda n: n + far, executor, range(5)) == [10, 11, 12, 13, 14]


async def test_a_local_class(executor: Any) -> None:
    class Local(BaseNode):
        def __init__(self, factor: int) -> None:
            super().__init__("local")
            self.factor = factor

        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            return NodeResult(True, node_context.input_data["item"] * self.factor)

    assert await outputs(Local(3), executor, range(5)) == [0, 3, 6, 9, 12]


async def test_a_class_of_main(executor: Any) -> None:
    main: dict[str, Any] = {"__name__": "__main__"}
    exec(IN_MAIN, main)
    assert await outputs(main["Adding"](), executor, [1, 2]) == [101, 102]


async def test_an_input_that_cannot_be_pickled_fails_alone(executor: Any) -> None:
    processor = BatchProcessor(FunctionNode(double).pipe(on(executor)))
    first, second, third = await processor.batch([1, Unpicklable(), 3])
    assert (first.output, third.output) == (2, 6)
    assert second.error == f"PicklingError: the input cannot be pickled: {REFUSAL}"
    assert isinstance(second.exception, PicklingError)


async def test_an_output_that_cannot_be_pickled_fails_alone(executor: Any) -> None:
    def work(n: int) -> Any:
        return Unpicklable() if n == 1 else n

    error = f"PicklingError: the output cannot be pickled: {REFUSAL}"
    assert await outputs(work, executor, range(3)) == [0, error, 2]


async def test_an_exception_that_cannot_be_pickled_fails_alone_and_is_told(executor: Any) -> None:
    class Busy(ValueError):
        def __init__(self, text: str, *, status_code: int) -> None:
            super().__init__(f"{text} ({status_code})")
            self.status_code = status_code
            self.lock = threading.Lock()

    def work(n: int) -> int:
        if n == 1:
            raise Busy("too much", status_code=429)
        return n

    processor = BatchProcessor(FunctionNode(work).pipe(on(executor)))
    first, second, third = await processor.batch(range(3))
    assert (first.output, third.output) == (0, 2)
    assert second.error == "Busy: too much (429)"
    assert type(second.exception) is Busy
    assert vars(second.exception) == {"status_code": 429}
    traceback = str(second.exception.__cause__).rstrip()
    assert ", in work\n" in traceback
    assert traceback.endswith("Busy: too much (429)")


async def test_an_exception_whose_words_cannot_cross_is_told_by_a_stand_in(executor: Any) -> None:
    def work(n: int) -> int:
        class Odd(Exception):
            def __init__(self, *, where: Any) -> None:
                self.where = where
                self.retry_after = 3

            def __str__(self) -> str:
                return f"odd and {'locked' if self.where.locked() else 'open'}"

        raise Odd(where=threading.Lock())

    (result,) = await BatchProcessor(FunctionNode(work).pipe(on(executor))).batch([1])
    assert result.error == "Odd: odd and open"
    assert type(result.exception) is RemoteError
    assert str(result.exception) == "Odd: odd and open"
    assert vars(result.exception) == {"retry_after": 3}


async def test_an_output_of_50_megabytes(executor: Any) -> None:
    size = 50_000_000
    (output,) = await outputs(lambda n: bytes([n]) * size, executor, [7])
    assert output == b"\x07" * size


async def test_a_large_node(executor: Any) -> None:
    table = bytes(range(256)) * 1000
    assert await outputs(lambda n: table[n], executor, [3, 255]) == [3, 255]


async def test_an_interrupt_inside_a_node_fails_its_item_alone(executor: Any) -> None:
    def work(n: int) -> int:
        if n == 1:
            raise KeyboardInterrupt
        if n == 2:
            raise SystemExit("enough")
        return n

    errors = ["KeyboardInterrupt", "SystemExit: enough"]
    assert await outputs(work, executor, range(4)) == [0, *errors, 3]


async def test_rule_r26_whatever_a_node_raises_fails_its_item_alone(executor: Any) -> None:
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        if n == 1:
            raise GeneratorExit("odd")
        if n == 2:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        if n == 3:
            raise BaseExceptionGroup("both", [GeneratorExit(), KeyError("k")])
        return n

    errors = [
        "GeneratorExit: odd",
        "CancelledError",
        "BaseExceptionGroup: both (2 sub-exceptions)",
    ]
    async with asyncio.timeout(60):
        assert await outputs(work, executor, range(5)) == [0, *errors, 4]


async def test_the_context_of_the_run_goes_as_a_copy(executor: Any) -> None:
    class Writing(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            variables = workflow_context.variables
            variables["seen"] += 1
            return NodeResult(True, variables["seen"])

    shared = WorkflowContext(variables={"seen": 1})
    processor = BatchProcessor(Writing().pipe(on(executor, chunk=5)))
    results = await processor.batch(range(5), shared)
    assert [result.output for result in results] == [2] * 5
    assert shared.variables == {"seen": 1}
