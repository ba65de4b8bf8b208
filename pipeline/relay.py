"""Relays: match events from Redis to somewhere else, each at least once and in order, without holding anybody up."""

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import redis

from pipeline import keys
from pipeline.errors import StoreError
from pipeline.logs import get_logger
from pipeline.metrics import Metrics
from pipeline.store import Store

BLOCK_MS = 1000
READ_EVENTS = 50
IDLE_MS = 60_000  # an event that another process was given so long ago is taken over
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 60.0
MOST_SECONDS = 3600.0  # of attempts at one event
STOP_SECONDS = 5.0
CONSUMER = "relay"

log = get_logger(__name__)


class DeliveryError(Exception):
    """An event was not taken. retry: whether it may be later. after_seconds: what the other side asked for."""

    def __init__(self, text: str, retry: bool, after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.retry, self.after_seconds = retry, after_seconds


class Relay:
    """Hands events on while the block runs. deliver: returns when the other side has the event, else DeliveryError.

    open_store: a connection of its own. name: of the consumer group; one that is new gets the events from then on.
    Order of effects: 1. deliver, 2. acknowledge.
    """

    def __init__(
        self, open_store: Callable[[], Store], name: str, deliver: Callable[[dict[str, Any]], None], metrics: Metrics
    ) -> None:
        self._open_store, self._name, self._deliver, self._metrics = open_store, name, deliver, metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"relay {name}", daemon=True)

    def __enter__(self) -> "Relay":
        with self._open_store() as store, store.errors():
            self._make_group(store)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._stop.is_set():
            try:
                with self._open_store() as store:
                    self._relay(store)
            except StoreError as error:
                log.warning("Redis is away, waiting", relay=self._name, error=str(error))
                self._stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            else:
                wait = FIRST_WAIT_SECONDS

    def _make_group(self, store: Store) -> None:
        with suppress(redis.ResponseError):  # it is there
            store.client.xgroup_create(keys.MATCHES, self._name, "$", mkstream=True)

    def _relay(self, store: Store) -> None:
        """Until told to stop. What was given and not acknowledged comes first."""
        with store.errors():
            self._make_group(store)
            self._hand_on(store, self._left_over(store))
            while not self._stop.is_set():
                found = store.client.xreadgroup(
                    self._name, CONSUMER, {keys.MATCHES: ">"}, count=READ_EVENTS, block=BLOCK_MS
                )
                self._hand_on(store, _entries(found))

    def _left_over(self, store: Store) -> list[Any]:
        own = _entries(store.client.xreadgroup(self._name, CONSUMER, {keys.MATCHES: "0"}, count=10_000))
        _, others, *_ = store.client.xautoclaim(keys.MATCHES, self._name, CONSUMER, IDLE_MS, "0-0", count=10_000)
        return sorted({entry[0]: entry for entry in [*own, *others]}.values(), key=lambda entry: _order(entry[0]))

    def _hand_on(self, store: Store, entries: list[Any]) -> None:
        for id, fields in entries:
            if self._stop.is_set():
                return
            # 1. Deliver.
            if fields and not self._insist(json.loads(fields[b"event"])):
                return
            # 2. Acknowledge.
            store.client.xack(keys.MATCHES, self._name, id)

    def _insist(self, event: dict[str, Any]) -> bool:
        """Delivers an event, or gives it up; False when told to stop before."""
        wait, started = FIRST_WAIT_SECONDS, time.monotonic()
        while True:
            try:
                self._deliver(event)
            except DeliveryError as error:
                if not error.retry or time.monotonic() - started > MOST_SECONDS:
                    self._metrics.deliveries_total.labels(self._name, "given up").inc()
                    log.warning("an event is given up", relay=self._name, event_id=event.get("id"), error=str(error))
                    return True
                self._metrics.deliveries_total.labels(self._name, "retried").inc()
                log.warning("an event is not taken, waiting", relay=self._name, error=str(error))
                if self._stop.wait(max(wait * random.uniform(0.5, 1), error.after_seconds)):  # noqa: S311  to spread load
                    return False
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            else:
                self._metrics.deliveries_total.labels(self._name, "delivered").inc()
                return True


def _entries(found: Any) -> list[Any]:
    """The entries of the one stream that was read, in either form that redis gives them."""
    if not found:
        return []
    entries = next(iter(found.values())) if isinstance(found, dict) else found[0][1]
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _order(id: bytes) -> tuple[int, int]:
    ms, _, number = id.decode().partition("-")
    return int(ms), int(number)
