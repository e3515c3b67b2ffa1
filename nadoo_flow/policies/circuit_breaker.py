"""The policy ``circuit_breaker``: a service that is down is not called until it has had time."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from .._support.checks import check_bool, describe_value
from ..nodes.context import NodeResult
from ..nodes.execution import Bound, answer_safely
from ..nodes.many import ManyInput
from ..nodes.node import NodeLike
from .circuit import CircuitBreaker
from .wrapper import Bind, FunctionPolicy, NodePolicy, PolicyNode


def circuit_breaker(breaker: CircuitBreaker, wait: bool = False) -> NodePolicy:
    """Fail an item at once while the service of a node is down, instead of calling it.

    A node inside another one that asks the same breaker is part of the probe of that one. A
    generator in a ``FlatMapNode`` is one call, from its start to its end.

    Args:
        breaker: The state of the service, shared by all nodes that call it.
        wait: Whether an item waits for the service to come back, instead of failing with a
            :class:`CircuitOpen`. One that holds a permit which the probe may need does not wait and
            calls too.

    Raises:
        TypeError: At the call, if it is no breaker.
        CircuitOpen: From the item, if the service is down and it does not wait.

    Example:
        >>> service = CircuitBreaker(failures=5, recovery=30)
        >>> node = FunctionNode(str.upper).pipe(circuit_breaker(service))
        >>> asyncio.run(node.run("hello")), service.state
        ('HELLO', 'closed')
    """
    if not isinstance(breaker, CircuitBreaker):
        raise TypeError(f"breaker must be a CircuitBreaker, got {describe_value(breaker)}")
    wait = check_bool(wait, "wait")
    text = f"circuit_breaker({breaker!r})"
    return FunctionPolicy(lambda node: CircuitBreakerNode(node, breaker, wait), text)


class CircuitBreakerNode(PolicyNode):
    """A node that is executed only while its service is not known to be down."""

    def __init__(self, node: NodeLike, breaker: CircuitBreaker, wait: bool) -> None:
        super().__init__(node)
        self.breaker = breaker
        self.wait = wait

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        breaker = self.breaker

        async def attempt_if_closed(value: Any) -> Any:
            around = _probing.get()
            is_part = breaker in around and breaker.state == "half-open"
            while not (is_part or breaker.admit()):
                if not self.wait:
                    raise breaker.make_error()
                if breaker.may_be_waited_for():
                    await breaker.wait()
                else:
                    is_part = True
            is_probe = breaker.state == "half-open" and not is_part
            token = _probing.set((*around, breaker)) if is_probe else None
            is_noted = False
            probe = _ProbeOfMany(breaker, value) if is_probe and type(value) is ManyInput else None
            try:
                try:
                    answer = await answer_safely(attempt, value)
                finally:
                    if probe is not None:
                        is_probe = probe.end()
                if isinstance(answer, NodeResult) and not answer.success:
                    breaker.note_failure(answer, self.node_id, is_probe)
                else:
                    breaker.note_success(is_probe)
                is_noted = True
                return answer
            finally:
                if token is not None:
                    _probing.reset(token)
                if not is_noted:  # it was cancelled, or what counts could not be found out
                    breaker.leave(is_probe)

        return Bound(attempt_if_closed, gives_output=True)


def find_probed_breakers() -> frozenset[object]:
    """Return the breakers whose probe the caller is part of."""
    return frozenset(_probing.get())


class _ProbeOfMany:
    """A probe that gives many outputs, and is none any more when they have to wait for demand.

    They may wait for another call, which would wait for the end of the probe.
    """

    def __init__(self, breaker: CircuitBreaker, many_input: ManyInput) -> None:
        self._breaker = breaker
        self._outlet = many_input.outlet
        self._outlet.holds.append(self)
        self._is_over = False

    def end(self) -> bool:
        """Return whether it is still a probe, when its outputs have ended."""
        self._outlet.holds.remove(self)
        return not self._is_over

    def give_back(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._breaker.leave(is_probe=True)

    async def take_again(self) -> None:
        """Do nothing, because a call is a probe only once."""


_probing: ContextVar[tuple[CircuitBreaker, ...]] = ContextVar("nadoo_flow_probing", default=())
"""The breakers whose probe the caller is part of."""
