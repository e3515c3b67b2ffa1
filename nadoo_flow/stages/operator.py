"""Stock Rx operators as a list stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any

from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.scheduler import CatchScheduler

from .._support.checks import check_function, describe_value
from .._support.typevars import Input, Output
from ..errors import NodeError, describe_error
from ..events import FINISHED
from ..streams import Indexed, Subscription, call_on_loop, observe_on_loop
from .fusion import Items, Operator, StageRun
from .stage import ListStage


class OperatorNode(ListStage[Input, Output, list[Output]]):
    """Put the items of a list through any chain of Rx operators.

    The operators see the items in input order, and what they emit is numbered anew in the order in
    which they emit it. An item is settled when the operators have taken it, so one that holds many
    back (``ops.delay``, ``ops.to_list``) is not limited by the window of the run. Operators that
    keep time do so on the event loop; what one emits from another thread is brought back to it, in
    the order of the calls.

    The items pass once. Where operators subscribe to them more than once, the node fails:
    ``ops.share()`` before the others is for those that do so at the same time (``rx.zip(xs,
    xs.pipe(ops.skip(1)))``), and ``ops.replay(mapper=lambda xs: xs.pipe(...))`` around them for
    those that start again (``ops.repeat``, ``ops.retry``); it keeps all items.

    Args:
        operators: At least one, such as ``ops.buffer_with_count(10)``.
        input_key: Where the list is in the input.
        output_key: Where the list of what the operators emitted is in the output.
        node_id: The name in errors; defaults to the class name.

    An operator that completes early (``ops.take(3)``) ends the stages before it; what has passed
    is finished. An error of an operator fails the node.

    Raises:
        TypeError: At the call, if an operator is no function.
        ValueError: At the call, if there is none.

    Example:
        >>> from reactivex import operators as ops
        >>> asyncio.run(OperatorNode(ops.buffer_with_count(2)).run({"items": [1, 2, 3]}))
        {'results': [[1, 2], [3]]}
    """

    needs_order = True
    renumbers = True

    def __init__(
        self,
        *operators: Callable[[Observable[Any]], Observable[Any]],
        input_key: str = "items",
        output_key: str = "results",
        node_id: str | None = None,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency=1)
        if not operators:
            raise ValueError("operators must hold at least one Rx operator")
        self.operators = tuple(
            check_function(operator, "each of operators") for operator in operators
        )

    def _describe_detail(self) -> str:
        return "in order"

    def operator(self, stage_run: StageRun) -> Operator:
        """Pipe the operators, with the envelopes taken off before and put on behind them.

        Args:
            stage_run: What the stage knows of the run.
        """
        run, report, numbers = stage_run.run, stage_run.report, count()
        # A stage behind this one that makes many items of one must always get its place.
        margin = run.reserve_place() if run.limit < run.window else 0

        def number(value: Any) -> Indexed[Any]:
            number = next(numbers)
            if report is not None:
                report.report_item(number, None, FINISHED)
            return number, value

        def pipe(items: Items) -> Items:
            source_errors: list[Exception] = []
            values: Observable[Any] = items.pipe(
                ops.do_action(on_error=source_errors.append),
                ops.map(itemgetter(1)),
                _settle_when_taken(run),
            )
            for operator in self.operators:
                values = operator(values)
                if not isinstance(values, Observable):
                    raise NodeError(
                        self.node_id,
                        f"the operator {describe_value(operator)} must return an Observable, "
                        f"got {describe_value(values)}",
                    )
            return values.pipe(
                observe_on_loop(run, margin),
                self._blame_operators(run, source_errors),
                ops.map(number),
            )

        return pipe

    def _blame_operators(
        self, run: Subscription, source_errors: list[Exception]
    ) -> Callable[[Observable[Any]], Observable[Any]]:
        """End the run at an error of the operators; let one that came from before them pass.

        What they raise in a timer of theirs would reach no observer, and the run would not end.
        """

        def fail(error: Exception) -> None:
            blamed = NodeError(self.node_id, describe_error(error))
            blamed.__cause__ = error
            run.fail(blamed)

        def on_raised(error: Exception) -> bool:
            call_on_loop(run, partial(fail, error))
            return True

        def operator(source: Observable[Any]) -> Observable[Any]:
            def subscribe(
                observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                def on_error(error: Exception) -> None:
                    known = any(error is source_error for source_error in source_errors)
                    (observer.on_error if known else fail)(error)

                if isinstance(scheduler, abc.PeriodicSchedulerBase):
                    scheduler = CatchScheduler(scheduler, on_raised)
                return source.subscribe(
                    observer.on_next, on_error, observer.on_completed, scheduler=scheduler
                )

            return Observable(subscribe)

        return operator


def _settle_when_taken(run: Subscription) -> Callable[[Observable[Any]], Observable[Any]]:
    """Settle each item when all that is behind has taken it."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(value: Any) -> None:
                observer.on_next(value)
                run.release()

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator
