"""`make bench-outage`: an agent whose broker goes away: its memory, what it drops, and that it comes back by itself."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import redis
import yaml

from edge.demo import sample_films
from edge.sender import BUDGET_BYTES
from pipeline import keys
from pipeline.broker import Topics
from tests.kafka_broker import running_broker
from tests.streaming import Running, running_stack, wait_until

CAMERAS = 4
EVERY_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="that the broker is away")
    minutes = parser.parse_args().minutes
    films = sample_films()
    with tempfile.TemporaryDirectory() as folder, running_broker() as broker, running_stack(broker, Topics()) as stack:
        config = Path(folder) / "cameras.yaml"
        entries = [{"camera": f"o{k}", "source": str(films[k % len(films)]), "loop": True} for k in range(CAMERAS)]
        config.write_text(yaml.safe_dump({"cameras": entries}))
        stack.processor("--topic", "vnome.frames")
        agent = stack.start("ingest", "--config", str(config))
        wait_until(lambda: agent.metric("vnome_frames_total") > 100, "frames that are sent")
        before = resident_mb(agent)
        broker.kill()
        largest, held, end = before, 0.0, time.monotonic() + minutes * 60
        while time.monotonic() < end:
            time.sleep(EVERY_SECONDS)
            largest, held = max(largest, resident_mb(agent)), max(held, agent.metric("vnome_inflight_bytes"))
        dropped = agent.metric("vnome_drops_total")
        broker.start()
        back, sent = time.monotonic(), agent.metric("vnome_frames_total")
        wait_until(lambda: agent.metric("vnome_frames_total") > sent, "the first frame after it", 120)
        wait = time.monotonic() - back
        with redis.Redis.from_url(stack.redis.url) as client:
            count = client.xlen(keys.camera_codes("o0"))
            wait_until(lambda: client.xlen(keys.camera_codes("o0")) > count, "the first code after it", 120)
    figures = {
        "cameras": CAMERAS,
        "minutes_away": minutes,
        "resident_mb_before": round(before, 1),
        "resident_mb_largest": round(largest, 1),
        "in_flight_bytes_largest": round(held),
        "in_flight_bytes_bound": CAMERAS * BUDGET_BYTES,
        "frames_dropped": round(dropped),
        "seconds_until_frames_flow": round(wait, 1),
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value:>12}")
    print(json.dumps(figures))


def resident_mb(agent: Running) -> float:
    """Memory of the agent's process."""
    return agent.metric("process_resident_memory_bytes") / 1e6


if __name__ == "__main__":
    main()
