"""WebSocket `/v1/live`: a phone sends what it sees, and is told what it is. See `pipeline.live_wire` for the codes."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from pipeline.encoder import default_encoder
from pipeline.errors import InputError, StoreError, VnomeError
from pipeline.gateway.access import PROTOCOL, Caller, live_caller
from pipeline.gateway.deciding import Seat
from pipeline.gateway.parts import Gateway
from pipeline.gateway.phone import Event, Phone, PicturePhone
from pipeline.gateway.problems import Problem, problem_of

router = APIRouter()
START_SECONDS = 15.0  # for the first message
SILENT_SECONDS = 60.0  # without any message
KEY_CHECK_SECONDS = 30.0  # between looks whether the key still holds
MOST_EVENTS = 200  # that wait for a slow reader; then it is given up
MOST_TEXT = 4096  # bytes
CLOSE_CODES = {400: 4400, 401: 4401, 403: 4403, 409: 4409, 422: 4400, 429: 4429, 503: 1013}
SENDS = ("codes", "jpeg")


@dataclass
class _Outbox:
    """Events on their way to one phone. Filled from any thread, read by the connection."""

    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)

    def tell(self, event: Event) -> None:
        """Puts an event in. The connection may have ended meanwhile."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """One session, from its first message to its end."""
    gateway: Gateway = socket.app.state.gateway
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", []) else None)
    try:
        caller = await live_caller(socket, gateway)
        own = caller.key.sessions if caller.key else 0
        key = caller.key.id if caller.key else None
        with gateway.sessions.session(key, caller.address, own):
            await _Session(socket, gateway, caller).run()
    except Problem as problem:
        await _refuse(socket, problem)
    except VnomeError as error:
        await _refuse(socket, problem_of(error))
    except WebSocketDisconnect:
        return


class _Session:
    def __init__(self, socket: WebSocket, gateway: Gateway, caller: Caller) -> None:
        self._socket, self._gateway, self._caller = socket, gateway, caller
        self._outbox = _Outbox(asyncio.get_running_loop())
        self._seat: Seat | None = None
        self._failure: asyncio.Future[None] = self._outbox.loop.create_future()

    async def run(self) -> None:
        """Until either side ends it. Raises Problem, VnomeError or WebSocketDisconnect."""
        start = await self._next(START_SECONDS)
        self._start(start)
        tasks = [asyncio.create_task(work()) for work in (self._receive, self._send, self._watch_key)]
        try:
            done, _ = await asyncio.wait({*tasks, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            self._leave()
            self._failure.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _next(self, seconds: float) -> dict[str, Any]:
        try:
            message = await asyncio.wait_for(self._socket.receive(), seconds)
        except TimeoutError:
            raise Problem(400, f"nothing came for {seconds:.0f} s; the session is closed") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        return dict(message)

    async def _receive(self) -> None:
        while True:
            message = await self._next(SILENT_SECONDS)
            data = message.get("bytes")
            if data is None:
                self._start(message)
            elif self._seat is not None and self._seat.phone.add(data):
                self._deciders.due(self._seat)

    def _start(self, message: dict[str, Any]) -> None:
        """The text message that begins a session, or begins it anew. Raises Problem for anything else."""
        wish = _wish(message.get("text"))
        known = self._gateway.bundles["encoder"].sha256
        if wish["sends"] == "codes" and wish.get("encoder") != known:
            raise Problem(409, "these codes are of another encoder than this catalogue's; /v1/info names it")
        self._leave()
        tell: Callable[[Event], None] = self._tell
        matcher, named = self._gateway.matcher, (self._gateway.records, self._gateway.labels)
        phone = (
            Phone(matcher, *named, tell)
            if wish["sends"] == "codes"
            else PicturePhone(matcher, *named, tell, default_encoder())
        )
        self._seat = Seat(phone, self._refused)
        self._sends = str(wish["sends"])
        self._deciders = self._gateway.deciders if self._sends == "codes" else self._gateway.picture_deciders
        self._gateway.metrics.live_sessions.labels(self._sends).inc()
        self._tell({"event": "searching", "t": 0})

    def _leave(self) -> None:
        if self._seat is not None:
            self._seat.left = True
            self._seat = None
            self._gateway.metrics.live_sessions.labels(self._sends).dec()

    def _tell(self, event: Event) -> None:
        self._gateway.metrics.live_events_total.labels(event["event"]).inc()
        self._outbox.tell(event)

    def _refused(self, error: InputError) -> None:
        """A decider could not use what came; called from its thread."""

        def fail() -> None:
            if not self._failure.done():
                self._failure.set_exception(error)

        with suppress(RuntimeError):
            self._outbox.loop.call_soon_threadsafe(fail)

    async def _send(self) -> None:
        while (event := await self._outbox.events.get()) is not None:
            if self._outbox.events.qsize() > MOST_EVENTS:
                raise Problem(429, "this phone does not read what it is told; the session is closed")
            await self._socket.send_text(json.dumps(event, ensure_ascii=False, separators=(",", ":")))

    async def _watch_key(self) -> None:
        """A key that is revoked ends its sessions."""
        while True:
            await asyncio.sleep(KEY_CHECK_SECONDS)
            if self._caller.key is None:
                continue
            with suppress(StoreError):
                known = await asyncio.to_thread(self._gateway.api_keys.holds, self._caller.key.id)
                if not known:
                    raise Problem(401, "this API key was revoked")


def _wish(text: str | None) -> dict[str, Any]:
    if text is None or len(text) > MOST_TEXT:
        raise Problem(400, 'the first message is text: {"type": "start", "sends": "codes" or "jpeg", "encoder": ...}')
    try:
        wish = json.loads(text)
    except ValueError:
        raise Problem(400, "a text message is JSON") from None
    if not isinstance(wish, dict) or wish.get("type") != "start" or wish.get("sends") not in SENDS:
        raise Problem(400, 'a text message is {"type": "start", "sends": "codes" or "jpeg", "encoder": SHA-256}')
    return wish


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    """Says why, and closes."""
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_text(json.dumps({"event": "error", "problem": problem.document()}))
        await socket.close(CLOSE_CODES.get(problem.status, 1011))
