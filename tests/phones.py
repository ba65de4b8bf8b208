"""Phones for tests and benchmarks: what one sends of a film, and a client that keeps what it is told."""

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websockets

from pipeline.encoder import default_encoder, whole_picture
from pipeline.gateway.access import KEY_PROTOCOL, PROTOCOL
from pipeline.live_wire import pack_frame
from pipeline.media import read_frames
from pipeline.views import WHOLE

Sent = list[tuple[int, bytes]]  # (time in ms, message)


def coded_film(film: Path, fps: float = 5.0, start: float = 0.0, seconds: float | None = None) -> Sent:
    """The messages of a phone that sees a film as it is."""
    encoder = default_encoder()
    stop = None if seconds is None else start + seconds
    frames = list(read_frames(film, max_fps=fps, start_seconds=start, end_seconds=stop, max_side=320))
    codes = encoder.encode_views(frames, [[whole_picture(frame.image) for frame in frames]])[0]
    return [
        (round((t - start) * 1000), pack_frame(round((t - start) * 1000), [(WHOLE, codes.since(t))]))
        for t in codes.pts_seconds.tolist()
    ]


@dataclass
class PhoneClient:
    """One session of a gateway."""

    url: str  # ws://HOST:PORT
    key: str | None = None
    tls: ssl.SSLContext | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    closed: int | None = None
    sent_at: dict[int, float] = field(default_factory=dict)  # clock time of each message, by its time
    delays: list[float] = field(default_factory=list)  # seconds from sending a frame to an event about it

    async def play(
        self,
        messages: Sequence[tuple[int, bytes]],
        start: dict[str, Any] | None = None,
        pace: bool = True,
        after: float = 1.0,
    ) -> None:
        """Connects, sends the messages when they are due, and waits a little for what is still told."""
        offered = [websockets.Subprotocol(PROTOCOL)]
        if self.key:
            offered.append(websockets.Subprotocol(KEY_PROTOCOL + self.key))
        async with websockets.connect(
            f"{self.url}/v1/live", subprotocols=offered, ssl=self.tls, max_queue=None
        ) as socket:
            reading = asyncio.create_task(self._read(socket))
            try:
                await socket.send(json.dumps(start or codes_start()))
                began = time.monotonic()
                for t, message in messages:
                    if pace:
                        await asyncio.sleep(max(began + t / 1000 - time.monotonic(), 0))
                    self.sent_at[t] = time.monotonic()
                    await socket.send(message)
                await asyncio.sleep(after)
            except websockets.ConnectionClosed:
                pass
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self.closed = socket.close_code

    async def _read(self, socket: Any) -> None:
        async for text in socket:
            event = json.loads(text)
            self.events.append(event)
            at = self.sent_at.get(event.get("t", -1))
            if at is not None and event["event"] in ("found", "moved", "still", "lost"):
                self.delays.append(time.monotonic() - at)

    def names(self) -> list[str]:
        """What was told, in order, without signs of life."""
        return [event["event"] for event in self.events if event["event"] not in ("still", "follow", "screen")]


def codes_start() -> dict[str, Any]:
    """The message that begins a session of codes."""
    return {"type": "start", "sends": "codes", "encoder": default_encoder().bundle.sha256}
