"""`make bench-gateway`: many phones at one gateway: errors, time from a code to an event, memory.

The phones send codes of films at their pace, four of five of a film that is indexed, the fifth of one that is not; they
run in a process of their own beside the gateway, on the same cores. Each begins at another moment. An event's time is
from the sending of the frame that it is about to its arrival.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge.demo import FILM_SUFFIXES, sample_films
from pipeline.live_wire import RECORD_BYTES, TIME_BITS
from tests.gateways import RunningGateway, running_gateway
from tests.phones import PhoneClient, Sent, coded_film

RAMP_SECONDS = 5.0  # over which the phones come
STRANGERS = 5  # every so many phones show a film that is not indexed
LAST_WAIT_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=300)
    parser.add_argument("--fps", type=float, default=5.0, help="codes a second of each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--films", type=Path, help="folder; the last of its films is not indexed  [default: samples]")
    options = parser.parse_args()
    films = sorted(path for path in options.films.iterdir() if path.suffix in FILM_SUFFIXES) if options.films else []
    *known, stranger = films or sample_films()
    each = str(options.phones + 10)
    with running_gateway("--public", "--sessions", each, "--sessions-each", each, "--rate", "1000") as gateway:
        gateway.vnome("index", *known)
        shown = [coded_film(film, options.fps, seconds=120) for film in [*known, stranger]]
        figures = load(gateway, shown, options.phones, options.seconds)
    print_table(figures)
    figures["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(json.dumps(figures))


def load(gateway: RunningGateway, shown: list[Sent], phones: int, seconds: float) -> dict[str, Any]:
    """Runs the phones and returns the figures. shown: messages by film, the last of one that is not indexed."""
    queue: multiprocessing.Queue[dict[str, Any]] = multiprocessing.get_context("spawn").Queue()
    arguments = (gateway.socket_url, shown, phones, seconds, queue)
    clients = multiprocessing.get_context("spawn").Process(target=_run_phones, args=arguments)
    before = gateway.rss_mb()
    assert gateway.process is not None
    spent = _cpu_seconds(gateway.process.pid)
    clients.start()
    memory = []
    while clients.is_alive() and queue.empty():
        time.sleep(1.0)
        memory.append(gateway.rss_mb())
    result = queue.get()
    clients.join()
    steady = memory[len(memory) // 3 :]
    cores = (_cpu_seconds(gateway.process.pid) - spent) / len(memory)
    quarter = max(len(steady) // 4, 1)
    return result | {
        "phones": phones,
        "seconds": seconds,
        "memory_mb": {
            "idle": round(before),
            "first_quarter": round(float(np.mean(steady[:quarter])), 1),
            "last_quarter": round(float(np.mean(steady[-quarter:])), 1),
        },
        "gateway_cores": round(cores, 2),
    }


def print_table(figures: dict[str, Any]) -> None:
    """For people."""
    delay = figures["delay_ms"]
    print(
        f"{figures['phones']} phones, {figures['seconds']:.0f} s: {figures['frames']} codes, {figures['events']} events"
    )
    print("from code to event: " + ", ".join(f"{name} {value} ms" for name, value in delay.items()))
    print(f"errors {figures['errors']}; phones told a wrong film {figures['wrong']}, told nothing {figures['silent']}")
    print("memory: " + ", ".join(f"{name} {value} MB" for name, value in figures["memory_mb"].items()))
    print(f"processor: {figures['gateway_cores']} cores for the gateway, {figures['client_cores']} for the phones")


def _run_phones(url: str, shown: list[Sent], phones: int, seconds: float, queue: Any) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    queue.put(asyncio.run(_phones(url, shown, phones, seconds)))


async def _phones(url: str, shown: list[Sent], phones: int, seconds: float) -> dict[str, Any]:
    rng = random.Random(1)
    clients, films, work = [], [], []
    for k in range(phones):
        film = len(shown) - 1 if k % STRANGERS == STRANGERS - 1 else rng.randrange(len(shown) - 1)
        client = PhoneClient(url)
        clients.append(client)
        films.append(film)
        work.append(_one(client, _played(shown[film], rng.random(), seconds), rng.random() * RAMP_SECONDS))
    began, spent = time.monotonic(), time.process_time()
    ended = await asyncio.gather(*work, return_exceptions=True)
    delays = np.array([delay for client in clients for delay in client.delays]) * 1000
    errors = [str(end) for end in ended if isinstance(end, BaseException)]
    errors += [str(e["problem"]) for client in clients for e in client.events if e["event"] == "error"]
    found = [{e["video"] for e in client.events if e["event"] == "found"} for client in clients]
    strange = len(shown) - 1
    return {
        "frames": sum(len(client.sent_at) for client in clients),
        "events": len(delays),
        "errors": len(errors),
        "first_errors": errors[:3],
        "wrong": sum(len(names) > (film != strange) for names, film in zip(found, films, strict=True)),
        "silent": sum(not names and film != strange for names, film in zip(found, films, strict=True)),
        "delay_ms": {
            name: round(float(np.percentile(delays, share)), 1)
            for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
        },
        "client_cores": round((time.process_time() - spent) / (time.monotonic() - began), 2),
    }


async def _one(client: PhoneClient, messages: Sent, wait: float) -> None:
    await asyncio.sleep(wait)
    await client.play(messages, after=LAST_WAIT_SECONDS)


def _played(film: Sent, begin: float, seconds: float) -> Sent:
    """A film from somewhere in it on, over and over, as messages on the phone's own clock."""
    step = (film[-1][0] - film[0][0]) / (len(film) - 1)
    first = int(begin * len(film))
    messages = []
    for k in range(int(seconds * 1000 / step)):
        _, message = film[(first + k) % len(film)]
        record = np.frombuffer(message, np.uint8).copy().reshape(-1, RECORD_BYTES)
        words = record[:, :4].copy().view("<u4")
        words[:] = (words >> TIME_BITS) << TIME_BITS | round(k * step)
        record[:, :4] = words.view(np.uint8)
        messages.append((round(k * step), record.tobytes()))
    return messages


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
