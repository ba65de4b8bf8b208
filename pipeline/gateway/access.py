"""Who calls, and what they may do."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pipeline.api_keys import ADMIN, MANAGE, QUERY, SCOPES, ApiKey
from pipeline.gateway.limits import retry_after
from pipeline.gateway.parts import Gateway
from pipeline.gateway.problems import Problem

PROTOCOL = "vnome.v1"
KEY_PROTOCOL = "vnome.key."  # and the key: a browser cannot give a WebSocket any header
_BEARER = HTTPBearer(auto_error=False, description="An API key: `vnome keys add NAME --scope query`.")


@dataclass(frozen=True)
class Caller:
    """Who calls. key: None for one without a key."""

    key: ApiKey | None
    address: str


def gateway_of(request: Request) -> Gateway:
    """The gateway's parts, for routes."""
    gateway: Gateway = request.app.state.gateway
    return gateway


async def caller_of(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Caller:
    """Who calls; the address's share of requests is taken before the key is looked at, so that keys cannot be tried.

    Raises Problem for a key that is none, and for too many requests.
    """
    gateway, address = gateway_of(request), _address(request.client)
    _limit(gateway.address_rate.take(address))
    if given is None:
        return Caller(None, address)
    key = await run_in_threadpool(gateway.api_keys.find, given.credentials)
    if key is None:
        raise Problem(401, "this API key is not known; it may have been revoked", _CHALLENGE)
    _limit(gateway.key_rate.take(key.id, key.rate))
    return Caller(key, address)


def needs(scope: str) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency of a route: a caller that has a scope."""

    async def check(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if caller.key is not None:
            if not caller.key.may(scope):
                raise Problem(403, f"this API key has scope {caller.key.scope}, this needs {scope}")
        elif scope != QUERY or not gateway_of(request).public:
            raise Problem(401, f"an API key with scope {scope} is needed; vnome keys add makes one", _CHALLENGE)
        return caller

    return check


async def film_caller(
    request: Request,
    caller: Annotated[Caller, Depends(caller_of)],
    video: str,
    ticket: Annotated[
        str | None, Query(max_length=80, description="Of the address in `film`; no key is needed.")
    ] = None,
) -> Caller:
    """A caller that may query, or holds a ticket for this film."""
    if ticket is not None and gateway_of(request).tickets.holds(video, ticket):
        return caller
    return await needs(QUERY)(request, caller)


Parts = Annotated[Gateway, Depends(gateway_of)]
Querying = Annotated[Caller, Depends(needs(QUERY))]
Watching = Annotated[Caller, Depends(film_caller)]
Managing = Annotated[Caller, Depends(needs(MANAGE))]
Administering = Annotated[Caller, Depends(needs(ADMIN))]


def scopes_of(caller: Caller, public: bool) -> list[str]:
    """What a caller may do."""
    if caller.key is not None:
        return [scope for scope in SCOPES if caller.key.may(scope)]
    return [QUERY] if public else []


async def live_caller(socket: WebSocket, gateway: Gateway) -> Caller:
    """Who opens a WebSocket: its key is in a header, or among the protocols offered. Raises Problem as `caller_of`."""
    address = _address(socket.client)
    _limit(gateway.address_rate.take(address))
    text = _socket_key(socket)
    if text is None:
        if not gateway.public:
            raise Problem(401, f"an API key with scope {QUERY} is needed; vnome keys add makes one")
        return Caller(None, address)
    key = await run_in_threadpool(gateway.api_keys.find, text)
    if key is None:
        raise Problem(401, "this API key is not known; it may have been revoked")
    return Caller(key, address)


def _socket_key(socket: WebSocket) -> str | None:
    header = socket.headers.get("authorization", "")
    if header[:7].lower() == "bearer ":
        return header[7:].strip()
    offered: list[str] = socket.scope.get("subprotocols", [])
    return next((name[len(KEY_PROTOCOL) :] for name in offered if name.startswith(KEY_PROTOCOL)), None)


def _address(client: Any) -> str:
    return str(client.host) if client else "unknown"


def _limit(wait_seconds: float) -> None:
    if wait_seconds > 0:
        raise Problem(429, "too many requests; ask again a little later", retry_after(wait_seconds))


_CHALLENGE = {"WWW-Authenticate": "Bearer"}
