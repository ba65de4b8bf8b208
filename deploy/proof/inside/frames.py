"""Sends frames of several cameras until SIGTERM, watches their codes arrive, and prints what became of them.

Arguments: film, frames a second and camera, cameras... Printed: one JSON document.
"""

import json
import sys
import threading
import time
from collections import Counter
from itertools import cycle

from edge.agent import jpeg_packer
from pipeline import keys
from pipeline.broker import FRAMES, Topics, bootstrap_servers, ensure_topics, open_producer
from pipeline.code_stream import CodeStream
from pipeline.daemon import stop_on_signals
from pipeline.errors import StoreError
from pipeline.media import read_frames
from pipeline.messages import JPEG, QUERY, frame_headers
from pipeline.store import open_store

SETTLE_SECONDS = 90.0  # for what was acknowledged to be coded
LOOK_SECONDS = 0.01


class Watcher:
    """Notes when each code comes: by (camera, seq), the clock's time, and how often it is there."""

    def __init__(self, cameras: list[str]) -> None:
        self.seen_at: dict[tuple[str, int], float] = {}
        self.ts: dict[tuple[str, int], float] = {}
        self._store = open_store()
        self._last = dict.fromkeys(cameras, "0-0")

    def look(self) -> None:
        """Once around all cameras."""
        codes = CodeStream(self._store)
        for camera, last in self._last.items():
            try:
                for frame in codes.read(keys.camera_codes(camera), f"({last}"):
                    self.seen_at.setdefault((camera, frame.seq), time.time())
                    self.ts[camera, frame.seq] = frame.ts_ns / 1e9
                    self._last[camera] = frame.id
            except StoreError:
                return

    def counted(self) -> Counter[tuple[str, int]]:
        """How often each frame is in Redis, by another reading of it all."""
        codes = CodeStream(self._store)
        return Counter((camera, frame.seq) for camera in self._last for frame in codes.read(keys.camera_codes(camera)))


def main(film: str, fps: float, cameras: list[str]) -> None:
    stop, done = stop_on_signals(), threading.Event()
    servers = bootstrap_servers()
    ensure_topics(servers, Topics())
    producer = open_producer(servers)
    pack = jpeg_packer()
    messages = [pack(frame, 0).value for frame in read_frames(film, max_fps=fps, max_side=640)]
    watcher = Watcher(cameras)
    acknowledged: set[tuple[str, int]] = set()
    failed: list[str] = []

    def send() -> None:
        began = time.monotonic()
        for number, value in enumerate(cycle(messages), start=1):
            if stop.wait(max(began + number / fps - time.monotonic(), 0)):
                break
            for place, camera in enumerate(cameras):
                if stop.wait(place and 1 / fps / len(cameras)):
                    break
                ts_ns = time.time_ns()
                headers = frame_headers(ts_ns, number, JPEG, QUERY, "")
                future = producer.send(
                    FRAMES, key=camera.encode(), value=value, headers=headers, timestamp_ms=ts_ns // 1_000_000
                )
                future.add_callback(lambda _, frame=(camera, number): acknowledged.add(frame))
                future.add_errback(lambda error: failed.append(type(error).__name__))
        producer.flush(60)
        done.set()

    threading.Thread(target=send, daemon=True).start()
    print("sending", file=sys.stderr, flush=True)
    deadline = None
    while deadline is None or (time.monotonic() < deadline and not acknowledged <= watcher.seen_at.keys()):
        watcher.look()
        if done.is_set() and deadline is None:
            deadline = time.monotonic() + SETTLE_SECONDS
        time.sleep(LOOK_SECONDS)
    counted = watcher.counted()
    document = {
        "acknowledged": len(acknowledged),
        "refused": len(failed),
        "lost": sorted(f"{camera}/{seq}" for camera, seq in acknowledged - counted.keys())[:20],
        "doubled": sorted(f"{camera}/{seq}" for (camera, seq), times in counted.items() if times > 1)[:20],
        "latencies": [
            [round(watcher.ts[frame], 3), round(at - watcher.ts[frame], 4)] for frame, at in watcher.seen_at.items()
        ],
    }
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
