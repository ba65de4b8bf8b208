"""Threads that decide for the phones, fairly: each phone waits once in a queue, whatever it sends meanwhile.

Where there are more phones than decisions can be made, each is decided less often, with all that has come; nothing is
lost and nobody starves.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import InputError, StoreError
from pipeline.gateway.phone import Phone
from pipeline.logs import get_logger
from pipeline.metrics import Metrics
from pipeline.tracing import root_span

RETRY_SECONDS = 0.5  # while Redis is away

log = get_logger(__name__)


@dataclass
class Seat:
    """A phone among the deciders. refuse: called with what it sent wrong; it is not decided for any more."""

    phone: Phone
    refuse: Callable[[InputError], None]
    queued: bool = False
    left: bool = False
    since: float = 0.0


class Deciders:
    """A queue and the threads that serve it."""

    def __init__(self, metrics: Metrics, threads: int = 1) -> None:
        self._metrics = metrics
        self._due: queue.Queue[Seat | None] = queue.Queue()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, name=f"decide-{k}", daemon=True) for k in range(threads)]
        for thread in self._threads:
            thread.start()
        self.trouble: str | None = None

    def due(self, seat: Seat) -> None:
        """A decision is due; nothing when the phone waits for one already."""
        with self._lock:
            if seat.queued or seat.left:
                return
            seat.queued, seat.since = True, time.monotonic()
        self._due.put(seat)

    def close(self) -> None:
        """Ends the threads."""
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (seat := self._due.get()) is not None:
            with self._lock:
                seat.queued = False
            if not seat.left:
                self._decide(seat)

    def _decide(self, seat: Seat) -> None:
        try:
            with root_span("gateway.decide"):
                seat.phone.work()
        except InputError as error:
            seat.left = True
            seat.refuse(error)
        except StoreError as error:
            if self.trouble is None:
                log.warning("Redis is away, phones wait", error=str(error))
            self.trouble = str(error)
            time.sleep(RETRY_SECONDS)
        except Exception as error:
            log.exception("a decision failed", kind=type(error).__name__)
            seat.left = True
            seat.refuse(InputError("the gateway failed at this session; start it anew"))
        else:
            self.trouble = None
            self._metrics.code_to_event_seconds.observe(time.monotonic() - seat.since)
