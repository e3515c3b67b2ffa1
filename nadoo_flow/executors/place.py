"""Places: the processes in which generators are, and how a call reaches one of them.

An executor does not say which worker takes a call. A process of a pool therefore has a door, at
which others pass on the calls that are for it. Dask brings a call to the right worker itself.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from functools import cache
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from typing import Any, NamedTuple

from .answers import answer
from .host import hosting


class Place(NamedTuple):
    """A process in which there are generators.

    Attributes:
        token: Identifies it.
        door: Where it can be reached, on the same machine; None if it need not be.
        key: What its door asks for.
        worker: Its address as a worker of Dask's; None if it is none.
    """

    token: bytes
    door: Any = None
    key: bytes = b""
    worker: str | None = None


def find_place(caller: bytes) -> Place:
    """Return the place of this process.

    Args:
        caller: Identifies the process that will ask for it. If it is this one, there is no door.
    """
    if caller == hosting.token:
        return Place(hosting.token)
    worker = _find_dask_worker()
    if worker is not None:
        return Place(hosting.token, worker=worker)
    door, key = _open_door(hosting.token)
    return Place(hosting.token, door, key)


def ask(place: Place, question: Any) -> bytes:
    """Ask a process for what :func:`answer` answers; without an answer if it is not reached."""
    if place.token == hosting.token:
        return answer(question)
    if place.door is None:
        return b""
    try:
        connection = _doors.connect(place)
        connection.send(question)
        return connection.recv_bytes()
    except (OSError, EOFError, AuthenticationError):  # another program may listen there by now
        _doors.forget(place)
        return b""
    except BaseException:  # a KeyboardInterrupt; the answer could be taken for the next one's
        _doors.forget(place)
        raise


class _Doors(threading.local):
    """The connections of a thread to the doors of other processes."""

    def __init__(self) -> None:
        self._connections: dict[bytes, Connection] = {}

    def connect(self, place: Place) -> Connection:
        """Return the connection to the door of a place."""
        connection = self._connections.get(place.token)
        if connection is None:
            connection = Client(place.door, authkey=place.key)
            self._connections[place.token] = connection
        return connection

    def forget(self, place: Place) -> None:
        """Close the connection to a place that has ended."""
        connection = self._connections.pop(place.token, None)
        if connection is not None:
            connection.close()


_doors = _Doors()


def _find_dask_worker() -> str | None:
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        address: str = distributed.get_worker().address
    except ValueError:
        return None
    return address


@cache
def _open_door(token: bytes) -> tuple[Any, bytes]:
    key = os.urandom(32)
    # No socket in the file system, which a process that is killed would leave there.
    if os.name == "nt":
        listener = Listener(family="AF_PIPE")
    else:  # one that comes to a full backlog may believe that it is connected, and wait for ever
        listener = Listener(("127.0.0.1", 0), backlog=socket.SOMAXCONN)
    threading.Thread(
        target=_receive, args=(listener, key), name="nadoo_flow door", daemon=True
    ).start()
    return listener.address, key


def _receive(listener: Listener, key: bytes) -> None:
    while True:
        try:
            connection = listener.accept()
        except OSError:  # one that has gone before it was accepted
            continue
        threading.Thread(target=_serve, args=(connection, key), daemon=True).start()


def _serve(connection: Connection, key: bytes) -> None:
    with connection:
        _send_at_once(connection)
        try:
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            while True:
                connection.send_bytes(answer(connection.recv()))
        except (OSError, EOFError, AuthenticationError):
            return


def _send_at_once(connection: Connection) -> None:
    """Have no part of a message wait for the receipt of the one before it."""
    if os.name != "nt":
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
