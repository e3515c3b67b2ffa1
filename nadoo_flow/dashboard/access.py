"""Who may use a dashboard: those who have its token, or without one only this machine."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from secrets import compare_digest
from typing import Any
from urllib.parse import parse_qs, urlsplit

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which a proxy says that a request comes from elsewhere."""


def find_refusal(scope: Mapping[str, Any], token: str | None) -> str | None:
    """Return why a request is refused, or None.

    A page of another site may have its visitors' browsers send requests to this machine, also under
    a name of its own that it lets point here (DNS rebinding). So without a token the Host header
    must name this machine, and whatever the token is, the Origin header must name the same host.

    Args:
        scope: The ASGI scope of the request.
        token: What the URL has to carry.
    """
    headers = _decode_headers(scope)
    host = headers.get("host", "")
    if token is None:
        if not (_is_local_name(host) and _is_local_peer(scope, headers)):
            return (
                "without a token this page is for the machine itself, under its name localhost; "
                "pass token= to Dashboard and add ?token=... to the URL"
            )
    elif not _has_token(scope, token):
        return "the URL must carry the token of this page, as ?token=..."
    origin = headers.get("origin")
    if origin is None:
        is_safe = scope["method"] in ("GET", "HEAD")
        return None if is_safe else "a request without an Origin header changes nothing"
    if _find_netloc(origin) != host.lower():
        return "requests of other origins are refused"
    return None


def is_local_address(host: str) -> bool:
    """Return whether a name or address to listen at can be reached from this machine only."""
    return _is_local_name(f"[{host}]" if ":" in host else host)


def _decode_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    # Of a header that comes twice the servers in front may take either, so it counts as none.
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = "" if key in found else value.decode("latin-1")
    return found


def _has_token(scope: Mapping[str, Any], token: str) -> bool:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    given = query.get("token", [""])
    return len(given) == 1 and compare_digest(given[0].encode(), token.encode())


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_local_peer(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    client = scope.get("client")
    if client is None or any(name in headers for name in _FORWARDED):
        return False
    return _is_loopback(client[0])


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _find_netloc(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None
