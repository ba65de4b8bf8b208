"""The journal of unfinished changes to the catalogue, and who works on each.

A change belongs to a video number. Its entry says how far it came; a lease beside it, which runs out by itself, names
the process that works on it. A process that is gone from this machine is seen at once, one on another machine when
its lease has run out.
"""

import json
import os
import socket
from functools import cache
from pathlib import Path
from typing import Any, Literal

import redis

from pipeline import keys
from pipeline.errors import StoreError
from pipeline.store import CONFIRM_SECONDS, Store

LEASE_MS = (CONFIRM_SECONDS + 5) * 1000  # a writer that waits for its disk keeps its lease

State = Literal[
    "storing",  # track, motion and subtitles are being stored; there are no postings
    "stored",  # they are complete, and the entry holds the record; postings may be stored in part
    "retired",  # not in the catalogue (any more); what is stored under the number is to be deleted
]

_PROC = Path("/proc")


class Journal:
    """Unfinished changes by video number. Redis errors are the caller's to translate (`Store.errors`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = store.client

    def entries(self) -> list[int]:
        """The numbers with an unfinished change, lowest first."""
        return sorted(int(number) for number in self._client.hkeys(keys.PENDING))

    def entry(self, number: int) -> dict[str, Any] | None:
        """The entry of a number: its `state`, and the `record` of what is stored; None when it is finished."""
        text = self._client.hget(keys.PENDING, str(number))
        return dict(json.loads(text)) if text else None

    def note(self, number: int, state: State, record: dict[str, Any] | None = None) -> None:
        """Writes a number's entry."""
        self._client.hset(keys.PENDING, str(number), entry_text(state, record))

    def finish(self, number: int) -> None:
        """Drops a number's entry."""
        self._client.hdel(keys.PENDING, str(number))

    def claim(self, number: int) -> bool:
        """Takes the lease of a number, unless a living process holds it. Of several at once, one succeeds."""
        lease = keys.lease(number)

        def take(pipe: "redis.client.Pipeline") -> bool:
            holder = pipe.get(lease)
            free = holder is None or not _lives(_text(holder))
            pipe.multi()
            if free:
                pipe.set(lease, _this_process(), px=LEASE_MS)
            return free

        return self._store.transaction(take, lease)

    def renew(self, number: int) -> None:
        """Prolongs this process's lease. Raises StoreError when it has lost it to another."""
        holder = self._client.get(keys.lease(number))
        if holder is not None and _text(holder) != _this_process():
            raise lost(self._store)
        self._client.set(keys.lease(number), _this_process(), px=LEASE_MS)

    def holds(self, pipe: "redis.client.Pipeline", number: int) -> bool:
        """Whether this process holds the lease, read over a pipeline that watches it."""
        holder = pipe.get(keys.lease(number))
        return holder is not None and _text(holder) == _this_process()

    def release(self, number: int) -> None:
        """Gives up the lease."""
        self._client.delete(keys.lease(number))


def entry_text(state: State, record: dict[str, Any] | None = None) -> str:
    """An entry as it is stored."""
    return json.dumps({"state": state} if record is None else {"state": state, "record": record})


def lost(store: Store) -> StoreError:
    """The error of a writer that was silent for so long that another took over."""
    return StoreError(f"{store.address} was too slow and another command took over this change; run the command again")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _lives(holder: str) -> bool:
    """Whether a lease's holder may still work: False only when that is certain."""
    machine, process, started = holder.rsplit(" ", 2)
    if machine != _machine() or not _PROC.is_dir():
        return True
    return _started(int(process)) == started


def _this_process() -> str:
    return f"{_machine()} {os.getpid()} {_started(os.getpid())}"


@cache
def _machine() -> str:
    """The host and, since containers may share a name, the space in which its process ids are counted."""
    try:
        space = os.readlink(_PROC / "self" / "ns" / "pid")
    except OSError:
        space = "-"
    return f"{socket.gethostname()} {space}"


def _started(process: int) -> str:
    """When a process started, which tells it from a later one with the same id; `gone` when it has ended."""
    try:
        status = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "gone" if _PROC.is_dir() else "unknown"
    return "gone" if status[0] in "ZX" else status[19]
