"""Films of strangers are decoded in processes of their own, with limits of time and memory.

A file that makes a decoder fill the memory, run for ever or crash ends that process, and the request gets an error of
one line. See `pipeline.gateway.sandbox_child` for the other side.
"""

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, ServiceError, StoreError

MEMORY_BYTES = 1 << 30  # beyond what the process has with its models loaded: sixty 1080p pictures take 180 MB
ANSWER_SECONDS = 60.0  # for a clip or a picture
READY_SECONDS = 60.0  # to load the models, on a machine that is busy
NICENESS = 10

Report = dict[str, Any]


class Cancelled(Exception):
    """The caller has no use for the answer any more."""


class _Child:
    """One process. It works on one request at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "pipeline.gateway.sandbox_child", str(MEMORY_BYTES)]
        self._process = subprocess.Popen(  # noqa: S603  our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, name="sandbox", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: Report, deadline: float, report: Callable[[Report], None]) -> Report:
        """Sends a request and returns the last answer; those before go to report, which may raise to give up."""
        assert self._process.stdin is not None  # noqa: S101  it was opened with a pipe
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise InputError(_ENDED) from None
        while True:
            try:
                line = self._lines.get(timeout=min(max(deadline - time.monotonic(), 0.0), 0.5))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise InputError("reading it took too long; give a shorter or simpler file") from None
                report({})
                continue
            if line is None:
                raise InputError(_ENDED)
            answer: Report = json.loads(line)
            if "progress" not in answer:
                return answer
            report(answer)

    def kill(self) -> None:
        """Ends it and waits for its end."""
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  it was opened with a pipe
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._lines.put(line.decode())
        self._lines.put(None)


class Sandbox:
    """Some processes that decode. most: at once; others wait for their turn."""

    def __init__(self, most: int = 2) -> None:
        self._free = threading.Semaphore(most)
        self._idle: list[_Child] = []
        self._lock = threading.Lock()

    def frame(self, path: Path, at_seconds: float, width: int) -> bytes:
        """The picture of a film at a moment, as JPEG. Raises InputError."""
        answer = self._ask({"do": "frame", "path": str(path), "at": at_seconds, "width": width}, ANSWER_SECONDS)
        return base64.b64decode(answer["jpeg"])

    def identify(self, path: Path) -> Report:
        """What `vnome match --json` says of a clip. Raises InputError, StoreError."""
        return self._ask({"do": "identify", "path": str(path)}, ANSWER_SECONDS)

    def code_film(
        self, path: Path, out: Path, most_seconds: float, limit_seconds: float, report: Callable[[Report], None]
    ) -> Report:
        """Codes a film into a file, see `pipeline.gateway.sandbox_child`. report: may raise `Cancelled`."""
        request = {"do": "film", "path": str(path), "out": str(out), "most_seconds": most_seconds}
        return self._ask(request, limit_seconds, report)

    def close(self) -> None:
        """Ends all processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def _ask(self, request: Report, limit_seconds: float, report: Callable[[Report], None] = lambda _: None) -> Report:
        with self._child() as child:
            answer = child.ask(request, time.monotonic() + limit_seconds, report)
        if "error" in answer:
            kinds: dict[str, type[Exception]] = {"store": StoreError, "service": ServiceError}
            raise kinds.get(answer["kind"], InputError)(answer["error"])
        return answer

    @contextmanager
    def _child(self) -> Iterator[_Child]:
        """A process for one request; one that failed at it is not used again."""
        with self._free:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None or not child.is_alive:
                child = _Child()
            try:
                yield child
            except BaseException:
                child.kill()
                raise
            with self._lock:
                self._idle.append(child)


_ENDED = "it cannot be decoded within the limits of time and memory; give a smaller or another file"
