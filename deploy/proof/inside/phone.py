"""A phone that films a film for ever and connects again when it is cut off, as the page does; until SIGTERM.

Arguments: the gateway's ws://HOST:PORT, a key, the film. Printed: one JSON document.
"""

import asyncio
import json
import signal
import sys
import time
from itertools import count
from typing import Any

import websockets

from pipeline.encoder import default_encoder, whole_picture
from pipeline.gateway.access import KEY_PROTOCOL, PROTOCOL
from pipeline.live_wire import pack_frame
from pipeline.media import read_frames
from pipeline.views import WHOLE

FPS = 5.0
AGAIN_SECONDS = 0.5


class Phone:
    """What happened to it, with the clock's times."""

    def __init__(self, url: str, key: str, film: str) -> None:
        self.url, self.key = url, key
        self.encoder = default_encoder()
        frames = list(read_frames(film, max_fps=FPS, max_side=320))
        self.codes = self.encoder.encode_views(frames, [[whole_picture(frame.image) for frame in frames]])[0]
        self.connected: list[float] = []
        self.cut: list[float] = []
        self.found: list[tuple[float, str]] = []

    async def run(self) -> None:
        """Until cancelled."""
        offered = [websockets.Subprotocol(PROTOCOL), websockets.Subprotocol(KEY_PROTOCOL + self.key)]
        while True:
            try:
                async with websockets.connect(f"{self.url}/v1/live", subprotocols=offered, open_timeout=2) as socket:
                    self.connected.append(time.time())
                    reading = asyncio.create_task(self._read(socket))
                    try:
                        await self._film(socket)
                    finally:
                        reading.cancel()
            except (OSError, TimeoutError, websockets.WebSocketException):
                if len(self.cut) < len(self.connected):
                    self.cut.append(time.time())
            await asyncio.sleep(AGAIN_SECONDS)

    async def _film(self, socket: Any) -> None:
        start = {"type": "start", "sends": "codes", "encoder": self.encoder.bundle.sha256}
        await socket.send(json.dumps(start))
        times = self.codes.pts_seconds.tolist()
        for number in count():
            ms = round(number * 1000 / FPS)
            await socket.send(pack_frame(ms, [(WHOLE, self.codes.since(times[number % len(times)]))]))
            await asyncio.sleep(1 / FPS)

    async def _read(self, socket: Any) -> None:
        async for text in socket:
            event = json.loads(text)
            if event["event"] == "found":
                self.found.append((time.time(), event["video"]))


async def main(url: str, key: str, film: str) -> None:
    phone = Phone(url, key, film)
    running = asyncio.create_task(phone.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.gather(running, return_exceptions=True)
    print(json.dumps({"connected": phone.connected, "cut": phone.cut, "found": phone.found}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
