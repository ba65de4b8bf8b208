"""Changes a catalogue in processes of its own that kill themselves at a given moment.

    python -m tests.crash_child URL      reads lines of JSON {"action": NAME, "kill_at": moment or null}

Each line is done in a fresh process. Its moments are counted from 0: before, in the middle of and after everything
that it sends to Redis. Answers each line with the number of moments it saw, or "killed".
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import redis

from pipeline.library import Library
from pipeline.motion import BLOCKS, Motion
from pipeline.store import open_store
from tests.pipeline.test_library import fields, track

ACTIONS: dict[str, Callable[[Library], object]] = {
    "add": lambda library: library.add(fields("film", "f1"), track(1), 25.0, 300, {"en": "1"}, motion(1)),
    "replace": lambda library: library.add(fields("film", "f2"), track(2), 25.0, 300, {"en": "2"}, motion(2)),
    "remove": lambda library: library.remove("film"),
    "recover": lambda library: library.recover(),
}


def motion(seed: int) -> Motion:
    """Motion that tells the seed."""
    return Motion(np.full((3, BLOCKS), seed, np.int8))


class Bomb:
    """Counts what a process sends, and kills the process at one of these moments."""

    def __init__(self, kill_at: int | None) -> None:
        self.moments = 0
        self.armed = False
        self._kill_at = kill_at

    def tick(self) -> None:
        """One moment passes."""
        if self.moments == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.moments += 1

    def watch(self) -> None:
        """Puts itself between redis and its socket."""
        send = redis.connection.AbstractConnection.send_packed_command

        def send_with_moments(connection: Any, command: Any, check_health: bool = True) -> None:
            if not self.armed:
                return send(connection, command, check_health)  # type: ignore[no-untyped-call, no-any-return]
            data = command if isinstance(command, bytes) else b"".join(command)
            self.tick()
            send(connection, [data[: len(data) // 2]], check_health)  # type: ignore[no-untyped-call]
            self.tick()
            send(connection, [data[len(data) // 2 :]], False)  # type: ignore[no-untyped-call]
            return self.tick()

        redis.connection.AbstractConnection.send_packed_command = send_with_moments  # type: ignore[method-assign]


def run(url: str, action: str, kill_at: int | None) -> int:
    """Does an action, or dies in it. Returns how many moments it had."""
    bomb = Bomb(kill_at)
    bomb.watch()
    with open_store(url) as store:
        library = Library(store)
        bomb.armed = True
        ACTIONS[action](library)
        bomb.armed = False
    return bomb.moments


def in_own_process(url: str, action: str, kill_at: int | None) -> int | str:
    """The number of moments, or how the process ended."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.write(writing, str(run(url, action, kill_at)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        moments = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code == -signal.SIGKILL:
        return "killed"
    return int(moments) if code == 0 and moments else f"exit code {code}"


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(in_own_process(sys.argv[1], asked["action"], asked["kill_at"])), flush=True)
