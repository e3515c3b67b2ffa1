"""The dashboard of runs, as an ASGI app."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._support.checks import check_bool, check_non_empty_str
from .access import find_refusal, is_local_address
from .boards import Board, Owner
from .extra import check_installed
from .snapshot import describe_ended, take_snapshot
from .updates import Updates

if TYPE_CHECKING:
    from .server import DashboardServer

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Dashboard:
    """A page that shows the runs of processors and stages while they work: an ASGI app.

    Mount it (``app.mount("/runs", Dashboard(processor))``), or serve it with :meth:`serve`. It
    shows the runs that begin after it was made, and those that have ended for ten minutes. Keep a
    reference to it: a run that begins when it is gone is not counted any more.

    A run that it shows counts its items, which costs less than 1 us for each. The counts are read
    four times a second while a page is open, and not at all while none is.

    Without a token it answers only requests that come from this machine, under the name localhost
    or an address that begins with 127. The stop of a server may take ten seconds while a page is
    open.

    Args:
        owners: Processors and stages.
        control: Whether runs can be ended from the page: drained, which finishes what they have
            started, or cancelled. Either way they give what was finished, as if their inputs had
            come to an end.
        token: What the URL must carry as ``?token=...``.
        name: The title of the page.

    Raises:
        TypeError: If an owner is neither a processor nor a stage.
        ImportError: If the extra ``web`` is not installed.

    Example:
        >>> processor = BatchProcessor(str.upper)
        >>> async def main():
        ...     async with await Dashboard(processor).serve() as server:
        ...         await processor.batch(["a", "b"])  # to be seen at server.url
        ...         return server.url
        >>> asyncio.run(main())
        'http://127.0.0.1:...'
    """

    def __init__(
        self,
        *owners: Owner,
        control: bool = False,
        token: str | None = None,
        name: str = "Runs",
    ) -> None:
        if not owners:
            raise ValueError("a Dashboard needs at least one processor or stage")
        self.control = check_bool(control, "control")
        self.token = None if token is None else check_non_empty_str(token, "token")
        self.name = check_non_empty_str(name, "name")
        self._boards = [Board(owner) for owner in owners]
        self._updates = Updates(
            lambda: take_snapshot(self._boards, self.name, control=self.control),
            lambda: describe_ended(self._boards),
        )
        check_installed("starlette")
        from .app import make_app, make_refusal

        self._make_refusal = make_refusal
        self._app: Any = make_app(self._boards, self._updates, control=self.control)

    def __repr__(self) -> str:
        nodes = ", ".join(repr(board.node.node_id) for board in self._boards)
        return f"<{type(self).__name__} {self.name!r} of {nodes}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI app."""
        app = self._app
        if scope["type"] == "http":
            refusal = find_refusal(scope, self.token)
            if refusal is not None:
                app = self._make_refusal(refusal)
        await app(scope, receive, send)

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> DashboardServer:
        """Serve the page in the background of the running event loop, by uvicorn.

        Args:
            host: The address to listen at. One that other machines can reach needs a token; if the
                dashboard has none, it gets one now.
            port: The port; by default one that is free.

        Returns:
            The server, whose ``url`` is the address of the page. Close it with ``aclose()``, or use
            it in ``async with``.

        Raises:
            OSError: If it cannot listen there.
        """
        if self.token is None and not is_local_address(host):
            self.token = secrets.token_urlsafe(32)
        check_installed("uvicorn")
        from .server import start_server

        return await start_server(self, host, port, self.token, self._updates.end_streams)

    @property
    def open_pages(self) -> int:
        """How many pages are open."""
        return self._updates.open_pages
