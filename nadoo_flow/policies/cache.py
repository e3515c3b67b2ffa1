"""The policy ``cache``: what was computed is not computed again."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from types import CoroutineType
from typing import Any

from typing_extensions import override

from .._support.checks import (
    check_key,
    check_positive_int,
    check_positive_number,
    describe_value,
    hint_at_call,
    name_function,
)
from .._support.per_loop import PerLoop
from .._support.tasks import leave_out_caller
from ..errors import describe_error
from ..nodes.context import NodeResult, WorkflowContext, unwrap_item
from ..nodes.execution import Bound, answer_safely, as_result, make_failure
from ..nodes.node import BaseNode, NodeLike
from ..nodes.usage import mark_as_saved
from ..storage import FAILURES, encode_canonically
from .single_flight import Flight, SingleFlight
from .stores import CacheStore, EntryStore, ForeignStore, MemoryStore, copy_containers
from .wrapper import NodePolicy, PolicyNode

FORMAT = 1
"""Incremented when the keys are made in another way."""

NAMELESS = frozenset({"<lambda>", "partial"})
"""The ids of nodes that have none of their own, which all nodes of that kind share."""


def cache(
    store: str | os.PathLike[str] | CacheStore | None = None,
    key: Callable[[Any], Any] | None = None,
    version: str = "",
    ttl: float | None = None,
    max_entries: int = 10_000,
) -> Cache:
    """Answer an input that was answered before without executing the node.

    Inputs are recognised by their content, in any order and any run. The id and the type of the
    node and the ``version`` count too, so that nodes may share a store. Equal inputs at a time are
    one execution, on each event loop: the others wait for its answer. When that one is cancelled,
    one of those who wait goes on. Failures are not kept; those who wait share one.

    An answer that was not computed for its item has ``metadata["cached"]``. Its dicts, lists,
    tuples and sets are copies. A success is kept before it is handed out. One that cannot be kept
    is a failed result, which still has the output.

    Where an item inside an execution would wait for itself, or for one that needs a permit which
    the item holds, it does not wait and the node is executed for it.

    Args:
        store: A path is one SQLite file, for any number of runs, threads and processes at once,
            whose outputs must be JSON values. None keeps them in memory, as objects, for all nodes
            that are given the same policy object. Or it is a :class:`CacheStore` of your own.
        key: Returns what identifies an input, of which it gets what a function as a node would get.
            By default all of it does.
        version: Names what the input does not say, such as the prompt and the model.
        ttl: Seconds after which an answer is not used any more; by the wall clock, or for those in
            memory by the clock of the event loop.
        max_entries: Most answers in memory; those that were used last stay. Other stores have no
            limit.

    Raises:
        ValueError: When it is applied to a lambda, if others may use its store.
        TypeError: At the call, if the store is none, or an argument is of a wrong type.
        CacheError: From the item, if the store cannot be used or the answer cannot be kept in it.

    Example:
        >>> node = FunctionNode(str.upper).pipe(cache("answers.sqlite", version="v1", ttl=3600))
        >>> processor = BatchProcessor(node, max_concurrency=1)
        >>> results = asyncio.run(processor.batch(["a", "b", "a"]))
        >>> [result.metadata.get("cached", False) for result in results]
        [False, False, True]
    """
    key = check_key(key, "key")
    if not isinstance(version, str):
        raise TypeError(f"version must be a str, got {describe_value(version)}")
    if ttl is not None:
        ttl = check_positive_number(ttl, "ttl")
    max_entries = check_positive_int(max_entries, "max_entries")
    shown = [] if store is None else [_describe_store(store)]
    shown += [] if key is None else [f"key={name_function(key)}"]
    shown += [f"version={version!r}"] if version else []
    shown += [] if ttl is None else [f"ttl={ttl:g}"]
    return Cache(_make_store(store, ttl, max_entries), key, version, f"cache({', '.join(shown)})")


class Cache(NodePolicy):
    """The policy that :func:`cache` returns; all nodes that it wraps share its store."""

    def __init__(
        self, store: EntryStore, key: Callable[[Any], Any] | None, version: str, text: str
    ) -> None:
        self.store = store
        self.key = key
        self.version = version
        self.flights: PerLoop[SingleFlight] = PerLoop()
        self._text = text
        self._nameless: set[str] = set()

    @override
    def wrap(self, node: NodeLike) -> BaseNode:
        return CacheNode(node, self)

    def check_name(self, node_id: str) -> None:
        """Check that the answers of a node cannot be taken for those of another one.

        Raises:
            ValueError: If it has no name of its own, and others may use the same store.
        """
        if not NAMELESS.intersection(node_id.split(" | ")):
            return
        if node_id in self._nameless or not isinstance(self.store, MemoryStore):
            raise ValueError(
                f"a cache recognises the answers of a node by its id, and {node_id!r} is one "
                "that others have too; write FunctionNode(function, 'name')"
            )
        self._nameless.add(node_id)

    def __repr__(self) -> str:
        return self._text


class CacheNode(PolicyNode):
    """A node whose answers are kept."""

    def __init__(self, node: NodeLike, policy: Cache) -> None:
        super().__init__(node)
        policy.check_name(self.node_id)
        self.policy = policy

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        attempt = self._bind_attempt(workflow_context)
        store, find_key = self.policy.store, self._make_key_function()
        flights = self.policy.flights.get(partial(SingleFlight, _share))

        def find_or_compute(value: Any) -> NodeResult | Awaitable[NodeResult]:
            key = find_key(value)
            entry = store.recall(key)
            if entry is not None:
                return _share(NodeResult(True, entry.output, None, entry.metadata))
            alone = partial(answer_safely, attempt, value)
            return flights.answer(key, partial(self._lead, key, alone), alone)

        return Bound(find_or_compute, gives_output=True)

    async def _lead(
        self, key: str, compute: Callable[[], Awaitable[Any]], flight: Flight
    ) -> NodeResult:
        store, result = self.policy.store, flight.computed
        if result is None:
            try:
                read: Any = store.read(key)
                entry = await read if type(read) is CoroutineType else read
            except FAILURES as error:
                return make_failure(leave_out_caller(error))
            if entry is not None:
                return _share(NodeResult(True, entry.output, None, entry.metadata))
            result = as_result(await compute())
            if not result.success:
                return result
            flight.computed = result
        try:
            written = store.write(key, result.output, result.metadata)
            if written is not None:
                await written
        except FAILURES as error:
            lost = make_failure(leave_out_caller(error))
            return NodeResult(False, result.output, lost.error, result.metadata, lost.exception)
        return result

    def _make_key_function(self) -> Callable[[Any], str]:
        """Return a function that finds the key of an input."""
        find = self.policy.key
        kind = "input" if find is None else "key"
        names = (self.node_id, str(self.node_type), self.policy.version)
        # With its kind, because the key of one input may look like another input.
        prefix = sha256(encode_canonically([FORMAT, kind, *names]))

        def find_key(value: Any) -> str:
            value = unwrap_item(value)
            hashed = prefix.copy()
            hashed.update(_encode_input(value) if find is None else _encode_key(find, value))
            return hashed.hexdigest()

        return find_key


def _encode_input(value: Any) -> bytes:
    try:
        return encode_canonically(value)
    except FAILURES as error:
        raise TypeError(
            f"a cache cannot compare the input {describe_value(value)} with others "
            f"({describe_error(error)}); make inputs of JSON values, or pass a key="
        ) from error


def _encode_key(find: Callable[[Any], Any], value: Any) -> bytes:
    try:
        key = find(value)
    except FAILURES as error:
        raise RuntimeError(
            f"key raised {describe_error(error)} for {describe_value(value)}"
        ) from error
    try:
        if key is None:  # of a function that forgets to return something, say
            raise TypeError("all inputs would be equal")
        return encode_canonically(key)
    except FAILURES as error:
        raise TypeError(
            "key must return a text, or another value that identifies the input, got "
            f"{describe_value(key)} for {describe_value(value)}{hint_at_call(key)}"
        ) from error


def _share(result: NodeResult) -> NodeResult:
    """Return the answer of an item for which nothing was computed."""
    metadata = mark_as_saved(result.metadata)
    if not result.success:
        return NodeResult(False, result.output, result.error, metadata, result.exception)
    metadata = {**copy_containers(metadata), "cached": True}
    return NodeResult(True, copy_containers(result.output), None, metadata)


def _make_store(store: object, ttl: float | None, max_entries: int) -> EntryStore:
    if store is None:
        return MemoryStore(max_entries, ttl)
    if isinstance(store, (str, os.PathLike)):
        from .stores.sqlite import SqliteStore

        return SqliteStore(store, ttl)
    if isinstance(store, CacheStore) and not isinstance(store, type):
        return ForeignStore(store, ttl)
    raise TypeError(
        f"store must be a path or an object with get and set, got {describe_value(store)}"
    )


def _describe_store(store: Any) -> str:
    is_path = isinstance(store, (str, os.PathLike))
    return repr(os.fspath(store)) if is_path else describe_value(store)
