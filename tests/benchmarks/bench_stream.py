"""`make bench-stream`: frames a second from Kafka to codes in Redis, beside what each stage allows, in one run.

For each size of picture: the frames are on Kafka before a processor starts to take them; timed is from the first code
in Redis to the last. The ceiling is that of the slowest stage, from the processor's own stage times; decoding alone is
timed beside it on the same pictures. Then two processors against one, and the latency from capture to code of cameras
that send at their pace.
"""

import argparse
import json
import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import redis

from edge.demo import sample_films
from pipeline import keys
from pipeline.broker import PARTITIONS, Topics, ensure_topics
from pipeline.code_stream import stored_frames
from pipeline.frames import Frame
from pipeline.jpeg import decode_jpeg
from tests.kafka_broker import KafkaBroker, running_broker
from tests.streaming import Running, Stack, film_frames, jpeg, running_stack, wait_until

SIZES = ((640, 360), (1280, 720), (1920, 1080))
CAMERAS = 8
STAGES = ("decode", "detect", "encode", "push")
WARM_FRAMES = 64  # not timed
BUNNY, BIKES, _ = sample_films()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=480, help="of each size")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the latency run")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with running_broker() as broker:
        print(f"{'picture':<12}{'frames/s':>9}{'slowest stage allows':>24}{'share':>7}  ms a frame by stage")
        for size in SIZES:
            row = measure(broker, size, options.frames, processors=1)
            figures["{}x{}".format(*size)] = row
            slowest, ceiling = row["slowest_stage"], row["ceiling"]
            stages = "  ".join(f"{name} {row['ms'][name]:.2f}" for name in STAGES)
            print(
                f"{size[0]}x{size[1]:<7}{row['frames_a_second']:>9.1f}{ceiling:>12.1f} ({slowest:<8})"
                f"{row['share']:>8.2f}  {stages}; {row['frames_a_batch']:.0f} frames a batch; "
                f"decoding alone {row['decode_alone']:.0f} frames/s"
            )
        two = measure(broker, SIZES[0], options.frames, processors=2)
        figures["two processors"] = two
        gain = two["frames_a_second"] / figures["640x360"]["frames_a_second"]
        print(f"two processors, 640x360: {two['frames_a_second']:.1f} frames/s, {gain:.2f} of one's")
        figures["latency"] = latency(broker, options.seconds)
        print(
            "capture to code, 4 cameras at 10 frames/s: "
            + ", ".join(f"{k} {v:.0f} ms" for k, v in figures["latency"].items())
        )
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(json.dumps({**figures, "machine": machine, "frames": options.frames}))


def measure(broker: KafkaBroker, size: tuple[int, int], count: int, processors: int) -> dict[str, Any]:
    """Frames a second of processors that begin with all frames there."""
    pictures = [_picture(frame, size) for frame in film_frames(BIKES)]
    topics = new_topics(broker)
    with running_stack(broker, topics) as stack:
        base = time.time_ns()
        for k in range(count + WARM_FRAMES):
            at = base + k * 100_000_000 // CAMERAS
            stack.send(f"c{k % CAMERAS}", pictures[k // CAMERAS % len(pictures)], at, k)
        stack.producer.flush(timeout=60)
        running = [stack.processor(wait=False) for _ in range(processors)]
        wait_until(lambda: written(stack) >= WARM_FRAMES, "the first codes")
        started, first, before = time.monotonic(), written(stack), stage_seconds(running)
        wait_until(lambda: written(stack) >= count + WARM_FRAMES, "all codes", 300)
        spent, done = time.monotonic() - started, written(stack) - first
        batch = sum(one.metric("vnome_batch_frames_sum") for one in running) / sum(
            one.metric("vnome_batch_frames_count") for one in running
        )
        after = stage_seconds(running)
    per_frame = {name: (after[name] - before[name]) / done for name in STAGES}
    slowest = max(per_frame, key=lambda name: per_frame[name])
    ceiling = processors / per_frame[slowest]
    return {
        "frames_a_second": round(done / spent, 1),
        "ms": {name: round(seconds * 1000, 3) for name, seconds in per_frame.items()},
        "frames_a_batch": round(batch, 1),
        "slowest_stage": slowest,
        "ceiling": round(ceiling, 1),
        "share": round(done / spent / ceiling, 3),
        "decode_alone": round(decode_alone(pictures), 1),
    }


def latency(broker: KafkaBroker, seconds: float) -> dict[str, float]:
    """Milliseconds from capture to a code that can be read in Redis; four cameras at their pace."""
    cameras = [f"l{k}" for k in range(4)]
    pictures = [jpeg(frame) for frame in film_frames(BIKES)]
    topics = new_topics(broker)
    with running_stack(broker, topics) as stack:
        stack.processor()
        stop = threading.Event()
        late: list[float] = []
        reader = threading.Thread(target=_read, args=(stack, cameras, stop, late))
        reader.start()
        started = time.monotonic()
        for k in range(round(seconds * 10)):
            time.sleep(max(started + k / 10 - time.monotonic(), 0))
            for camera in cameras:
                stack.send(camera, pictures[k % len(pictures)], time.time_ns(), k)
        time.sleep(2)
        stop.set()
        reader.join()
    values = np.array(late[len(cameras) * 10 :]) * 1000  # without the first second
    return {name: float(np.quantile(values, share)) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def _read(stack: Stack, cameras: list[str], stop: threading.Event, late: list[float]) -> None:
    places: dict[Any, Any] = {keys.camera_codes(camera): "0" for camera in cameras}
    with redis.Redis.from_url(stack.redis.url) as client:
        while not stop.is_set():
            found: Any = client.xread(places, block=100)
            now = time.time()
            for name, entries in found.items() if isinstance(found, dict) else found:
                flat = entries[0] if entries and isinstance(entries[0], list) else entries
                late += [now - frame.ts_ns / 1e9 for frame in stored_frames(flat)]
                places[name.decode()] = flat[-1][0]


def written(stack: Stack) -> int:
    """Codes of all cameras."""
    with redis.Redis.from_url(stack.redis.url) as client:
        pipe = client.pipeline(transaction=False)
        for k in range(CAMERAS):
            pipe.xlen(keys.camera_codes(f"c{k}"))
        return sum(pipe.execute())


def stage_seconds(running: list[Running]) -> dict[str, float]:
    """Seconds that all processors spent in each stage."""
    spent = dict.fromkeys(STAGES, 0.0)
    for one in running:
        for line in one.page("metrics")[1].splitlines():
            for name in STAGES:
                if line.startswith(f'vnome_stage_seconds_sum{{stage="{name}"}}'):
                    spent[name] += float(line.rpartition(" ")[2])
    return spent


def decode_alone(pictures: list[bytes]) -> float:
    """Frames a second when nothing but decoding is done, on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.monotonic()
        list(pool.map(decode_jpeg, pictures * 2))
        return 2 * len(pictures) / (time.monotonic() - started)


def new_topics(broker: KafkaBroker) -> Topics:
    """Topics that hold nothing."""
    name = f"b{time.time_ns()}"
    topics = Topics(f"{name}.frames", f"{name}.matches", f"{name}.dead")
    ensure_topics([broker.bootstrap], topics, PARTITIONS)
    return topics


def _picture(frame: Frame, size: tuple[int, int]) -> bytes:
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_CUBIC)
    return jpeg(Frame(np.asarray(image, np.uint8), 0.0))


if __name__ == "__main__":
    main()
