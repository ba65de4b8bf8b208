"""The streaming side as its users run it: processes of `vnome`, a Redis that keeps its file, frames on Kafka."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import simplejpeg
from kafka import KafkaConsumer, TopicPartition

from pipeline import keys
from pipeline.broker import Topics, open_producer
from pipeline.code_stream import StoredFrame, stored_frames
from pipeline.embedded import server_binary
from pipeline.frames import Frame
from pipeline.media import read_frames
from pipeline.messages import frame_headers
from pipeline.query import QUERY_FPS
from tests.commands import COMMAND
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.redis_locks import RedisLocks

WAIT_SECONDS = 60.0


def wait_until(check: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Until check is true; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


class RedisWithFile:
    """A server that keeps an append-only file, so that it can be killed. locks: how it is secured, default not."""

    def __init__(self, folder: Path, locks: RedisLocks | None = None) -> None:
        self._folder, self._locks, self.port = folder, locks, free_port()
        self.url = locks.url(self.port) if locks else f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        listening = self._locks.options(self.port) if self._locks else ["--port", str(self.port)]
        binary = self._locks.binary if self._locks else server_binary()
        command = [binary, *listening, "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--appendonly", "yes"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(self._answers, "the test's Redis")

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False

    def kill(self) -> None:
        """Pulls the plug."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Running:
    """A command that was started. metrics: port of its health server."""

    process: subprocess.Popen[bytes]
    log: Path
    metrics: int

    def page(self, name: str) -> tuple[int, str]:
        """Status and text of a page; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/{name}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.log.read_text()[-2000:]}"
        return self.page("readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The sum over all series of a metric."""
        lines = [line for line in self.page("metrics")[1].splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 40.0) -> int:
        """Asks it to stop, and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@dataclass
class Stack:
    """A Redis, a broker, topics, and the commands that were started on them."""

    folder: Path
    redis: RedisWithFile
    kafka: KafkaBroker
    topics: Topics
    running: list[Running] = field(default_factory=list)
    producer: Any = None

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "VNOME_REDIS": self.redis.url,
            **self.kafka.variables(),
            "VNOME_HOME": str(self.folder / "home"),
            "VNOME_LOG": "json",
            "OMP_NUM_THREADS": "1",
        }

    def vnome(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command to its end."""
        command = [*COMMAND, *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=180, check=False)

    def start(self, *arguments: str, program: Sequence[str] | None = None) -> Running:
        """Starts a long-running command with a health server. program: that runs commands, instead of vnome."""
        port, log = free_port(), self.folder / f"{arguments[0]}-{len(self.running)}.log"
        command = [*(program or COMMAND), *arguments, "--metrics", str(port)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.running.append(Running(process, log, port))
        return self.running[-1]

    def processor(self, *more: str, wait: bool = True, program: Sequence[str] | None = None) -> Running:
        """A processor of the stack's topics that Kafka misses soon when it dies."""
        started = self.start(
            "process", "--topic", self.topics.frames, "--dead-topic", self.topics.dead,
            "--group", self.topics.frames, "--session-timeout", "4", *more, program=program,
        )  # fmt: skip
        if wait:
            wait_until(started.ready, "a processor")
        return started

    def matcher(self, *more: str) -> Running:
        started = self.start("matcher", "--topic", self.topics.matches, *more)
        wait_until(started.ready, "a matcher")
        return started

    def send(self, camera: str, value: bytes | None, ts_ns: int, seq: int, **more: str) -> Any:
        """Sends one message; `.get()` of what it returns waits for the broker."""
        if self.producer is None:
            self.producer = open_producer([self.kafka.bootstrap], 120_000)
        headers = frame_headers(ts_ns, seq, **more)
        return self.producer.send(self.topics.frames, key=camera.encode(), value=value, headers=headers)

    def codes(self, camera: str) -> list[StoredFrame]:
        """All that is in the stream of a camera."""
        with redis.Redis.from_url(self.redis.url) as client:
            entries: Any = client.xrange(keys.camera_codes(camera))
        return stored_frames(entries)

    def events(self) -> list[dict[str, Any]]:
        """All match events in Redis."""
        with redis.Redis.from_url(self.redis.url) as client:
            entries: Any = client.xrange(keys.MATCHES)
        return [json.loads(fields[b"event"]) for _, fields in entries]

    def messages(self, topic: str) -> list[Any]:
        """All that is on a topic now."""
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Any] = []
            while sum(ends.values()) > len(found):
                for records in consumer.poll(1000).values():
                    found += records
            return found
        finally:
            consumer.close()


@contextmanager
def running_stack(kafka: KafkaBroker, topics: Topics, locks: RedisLocks | None = None) -> Iterator[Stack]:
    """A stack for the block; everything that was started is stopped after it. locks: of its Redis.

    Its commands use the broker's most secure port, the tests themselves the plain one.
    """
    folder = Path(tempfile.mkdtemp(prefix="vn-stack-", dir="/tmp"))
    stack = Stack(folder, RedisWithFile(folder / "redis", locks), kafka, topics)
    stack.redis.start()
    try:
        yield stack
    except BaseException:
        for running in stack.running:  # what pytest shows of a test that failed
            print(f"--- {running.log.name}\n{running.log.read_text()[-3000:]}")
        raise
    finally:
        for running in stack.running:
            if running.process.poll() is None:
                running.kill()
        if stack.producer is not None:
            stack.producer.close(timeout=1)
        stack.redis.kill()
        shutil.rmtree(folder, ignore_errors=True)


def film_frames(film: Path, seconds: float | None = None, start: float = 0.0) -> list[Frame]:
    """Frames of a film as a camera sends them."""
    end = None if seconds is None else start + seconds
    return list(read_frames(film, max_fps=QUERY_FPS, start_seconds=start, end_seconds=end))


def jpeg(frame: Frame, quality: int = 80) -> bytes:
    """A frame's picture as a camera codes it."""
    return bytes(simplejpeg.encode_jpeg(frame.image, quality, "RGB", "420"))


def play(stack: Stack, camera: str, frames: Sequence[Frame], base_ns: int, first_seq: int = 0) -> None:
    """Sends frames with the times that they would have if the first second of the film was at base_ns."""
    for k, frame in enumerate(frames):
        stack.send(camera, jpeg(frame), base_ns + round(frame.pts_seconds * 1e9), first_seq + k)
