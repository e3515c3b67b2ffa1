"""The forms in which a subclass may write the methods of a BatchProcessor, and what they give."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, NodeError, NodeResult, WorkflowContext

from ..contract.test_extension_points import INPUTS, collected, outputs
from ..stand_ins import Listener, double


class _Base(BatchProcessor):
    """Keeps which contexts its overrides were given."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.given: list[Any] = []


class _AsInTheSeed(_Base):
    async def process_single(self, input_data: Any, index: int) -> BatchResult:  # type: ignore[override]
        self.given.append(None)
        return await super().process_single(input_data, index)


class _WithContext(_Base):
    async def process_single(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        self.given.append(workflow_context)
        return await super().process_single(input_data, index, workflow_context)


class _WithAnotherName(_Base):
    async def process_single(  # type: ignore[override]
        self, data: Any, number: int, shared: WorkflowContext
    ) -> BatchResult:
        self.given.append(shared)
        return await super().process_single(data, number, shared)


class _KeywordOnly(_Base):
    async def process_single(  # type: ignore[override]
        self, input_data: Any, index: int, *, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        self.given.append(workflow_context)
        return await super().process_single(input_data, index, workflow_context)


class _MorePositional(_Base):
    async def process_single(
        self, *arguments: Any, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        self.given.append(workflow_context)
        return await super().process_single(*arguments, workflow_context=workflow_context)


class _AnyPositional(_Base):
    async def process_single(self, *arguments: Any) -> BatchResult:
        self.given.append(arguments[2])
        return await super().process_single(*arguments)


class _AnyKeywords(_Base):
    async def process_single(self, input_data: Any, index: int, **options: Any) -> BatchResult:  # type: ignore[override]
        self.given.append(options["workflow_context"])
        return await super().process_single(input_data, index, **options)


class _Anything(_Base):
    async def process_single(self, *arguments: Any, **options: Any) -> BatchResult:
        self.given.append(arguments[2])
        return await super().process_single(*arguments, **options)


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: _Base, *arguments: Any, **options: Any) -> Any:
        return method(self, *arguments, **options)

    return noting


class _Decorated(_Base):
    @_noting
    async def process_single(self, input_data: Any, index: int) -> BatchResult:
        self.given.append(None)
        return await BatchProcessor.process_single(self, input_data, index)


FORMS = [
    _AsInTheSeed,
    _WithContext,
    _WithAnotherName,
    _KeywordOnly,
    _MorePositional,
    _AnyPositional,
    _AnyKeywords,
    _Anything,
    _Decorated,
]
WITHOUT_CONTEXT = (_AsInTheSeed, _Decorated)


@pytest.mark.parametrize("form", FORMS)
class TestTheFormsOfProcessSingle:
    """With or without the workflow context, by its position or its name."""

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_rule_r15_every_input_goes_through_it_and_shares_the_context(
        self, form: type[_Base], isolate: Any
    ) -> None:
        listener = Listener()
        listener.isolate = isolate
        context = WorkflowContext()
        processor = form(listener, trace=True)
        results = await processor.batch(INPUTS, context)
        assert [result.output for result in results] == [{"item": value} for value in INPUTS]
        assert all(shared is context for shared in listener.shared)
        assert len(processor.given) == 3
        if form not in WITHOUT_CONTEXT:
            assert all(shared is context for shared in processor.given)

    async def test_rule_r15_a_run_without_a_context_has_one_of_its_own(
        self, form: type[_Base]
    ) -> None:
        listener = Listener()
        processor = form(listener)
        await processor.batch(INPUTS)
        await collected(processor.batch_as_completed(INPUTS))
        first, second = listener.shared[0], listener.shared[3]
        assert [shared is first for shared in listener.shared[:3]] == [True] * 3
        assert [shared is second for shared in listener.shared[3:]] == [True] * 3
        assert first is not second

    async def test_rule_r15_a_failure_of_its_own_is_that_of_the_item(
        self, form: type[_Base]
    ) -> None:
        class Raising(form):  # type: ignore[misc, valid-type]
            @_noting
            async def process_single(self, input_data: Any, index: int) -> BatchResult:
                if index == 1:
                    await asyncio.sleep(1)
                    raise ValueError("no luck")
                return await BatchProcessor.process_single(self, input_data, index)

        results = await Raising(double).batch(INPUTS)
        assert outputs(results) == [(0, 2, None), (1, None, "ValueError: no luck"), (2, 6, None)]
        assert isinstance(results[1].exception, ValueError)
        assert (results[1].execution_time, results[1].input_data) == (1, 2)
        with pytest.raises(NodeError) as caught:
            await Raising(double, continue_on_error=False).batch(INPUTS)
        assert (caught.value.index, caught.value.error) == (1, "ValueError: no luck")


@pytest.mark.parametrize("given", [None, {"output": 1}, NodeResult(True)])
async def test_rule_r15_process_single_must_give_a_batch_result(given: Any) -> None:
    class Wrong(BatchProcessor):
        async def process_single(self, input_data: Any, index: int) -> Any:  # type: ignore[override]
            return given

    (result,) = await Wrong(double).batch([1])
    assert result.error is not None
    assert result.error.startswith("TypeError: process_single must give a BatchResult, got ")


@pytest.mark.parametrize("checkpoint", [False, True])
async def test_rule_r15_process_single_must_give_the_result_of_its_own_input(
    checkpoint: bool, tmp_path: Path
) -> None:
    class Wrong(BatchProcessor):
        async def process_single(self, input_data: Any, index: int) -> BatchResult:  # type: ignore[override]
            return await super().process_single(input_data, 0)

    processor = Wrong(double, checkpoint=tmp_path / "results" if checkpoint else None)
    error = (
        "ValueError: process_single must give the result of its own input, whose index is 1, "
        "got one of index 0 (int)"
    )
    assert outputs(await processor.batch([1, 2])) == [(0, 2, None), (1, None, error)]
    chunks = [outputs(chunk) async for chunk in processor.batch_in_chunks([1, 2], 1)]
    assert chunks == [[(0, 2, None)], [(1, None, error)]]


async def test_rule_r15_another_processor_inside_an_override_shares_nothing() -> None:
    listener = Listener()

    class Outer(BatchProcessor):
        async def process_single(self, input_data: Any, index: int) -> BatchResult:  # type: ignore[override]
            await BatchProcessor(listener).process_single(input_data, index)
            return await super().process_single(input_data, index)

    context = WorkflowContext()
    await Outer(double).batch([1], context)
    assert listener.shared[0] is not context


class _Iterator:
    """An async iterator without ``aclose``."""

    def __init__(self, results: list[Any]) -> None:
        self._results = iter(results)

    def __aiter__(self) -> _Iterator:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(1)
        for result in self._results:
            return result
        raise StopAsyncIteration


class _Iterable:
    """An async iterable that is no iterator."""

    def __init__(self, results: list[Any]) -> None:
        self._results = results

    def __aiter__(self) -> _Iterator:
        return _Iterator(self._results)


class _Returning(BatchProcessor):
    """Whose own ``batch_as_completed`` returns what it is told to."""

    returned: Callable[[list[Any]], Any] = _Iterator

    def batch_as_completed(self, inputs: Any) -> Any:  # type: ignore[override]
        numbered = reversed(list(enumerate(inputs)))
        results = [BatchResult(index, value, True, value * 2) for index, value in numbered]
        return type(self).returned(results)


class TestTheFormsOfBatchAsCompleted:
    """Any async iterable of results will do."""

    @pytest.mark.parametrize("returned", [_Iterator, _Iterable])
    async def test_rule_r15_what_cannot_be_closed_is_collected_as_well(self, returned: Any) -> None:
        class Returning(_Returning):
            pass

        Returning.returned = returned
        doubled = [(0, 2, None), (1, 4, None), (2, 6, None)]
        assert outputs(await Returning(double).batch(INPUTS)) == doubled
        assert outputs(await Returning(double, trace=True).batch(INPUTS)) == doubled
        chunks = await collected(Returning(double).batch_in_chunks(INPUTS, 2))
        assert [outputs(chunk) for chunk in chunks] == [doubled[:2], doubled[2:]]

    async def test_rule_r15_a_context_may_be_given_by_its_name(self) -> None:
        class Named(BatchProcessor):
            async def batch_as_completed(  # type: ignore[override]
                self, inputs: Any, *, workflow_context: WorkflowContext | None = None
            ) -> AsyncIterator[BatchResult]:
                for index, value in enumerate(inputs):
                    yield await self.process_single(value, index, workflow_context)

        listener = Listener()
        context = WorkflowContext()
        await Named(listener).batch(INPUTS, context)
        assert all(shared is context for shared in listener.shared)

    async def test_a_context_that_it_does_not_take_is_refused(self) -> None:
        with pytest.raises(TypeError) as caught:
            await _Returning(double).batch(INPUTS, WorkflowContext())
        assert str(caught.value) == (
            "_Returning.batch_as_completed must have a parameter workflow_context to be given one"
        )

    @pytest.mark.parametrize(
        ("returned", "shown"),
        [
            (list, "[BatchResult("),
            (lambda _: None, "None (NoneType)"),
            (lambda _: asyncio.sleep(1), "<coroutine object sleep at "),
        ],
        ids=["list", "None", "coroutine"],
    )
    async def test_what_is_no_async_iterable_is_refused(self, returned: Any, shown: str) -> None:
        class Returning(_Returning):
            pass

        Returning.returned = staticmethod(returned)
        message = f"batch_as_completed must return an async iterator, got {shown}"
        with pytest.raises(TypeError) as caught:
            await Returning(double).batch(INPUTS)
        assert str(caught.value).startswith(message)
        with pytest.raises(TypeError) as caught:
            Returning(double).batch_in_chunks(INPUTS, 2)
        assert str(caught.value).startswith(message)

    async def test_what_yields_no_results_is_refused_at_the_first_one(self) -> None:
        class Wrong(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> Any:  # type: ignore[override]
                yield {"output": 1}

        with pytest.raises(TypeError) as caught:
            await Wrong(double).batch(INPUTS)
        assert str(caught.value) == (
            "batch_as_completed must give a BatchResult, got {'output': 1} (dict)"
        )

    async def test_rule_r15_the_seeds_batch_can_be_tried_again_with_a_context(self) -> None:
        class Batch(BatchProcessor):
            async def batch(self, inputs: Any, *, workflow_context: Any = None) -> Any:  # type: ignore[override]
                assert workflow_context is context
                return await super().batch(inputs, workflow_context)

        class Bare(BatchProcessor):
            async def batch(self, inputs: Any) -> Any:  # type: ignore[override]
                return await super().batch(inputs)

        context = WorkflowContext()
        failed = [BatchResult(0, 1, False)]
        again = await Batch(double).retry_failed(failed, wait=0, workflow_context=context)
        assert outputs(again) == [(0, 2, None)]
        assert outputs(await Bare(double).retry_failed(failed, wait=0)) == [(0, 2, None)]
