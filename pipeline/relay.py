"""Relays: match events from Redis to somewhere else, each at least once and in order, without holding anybody up."""

import json
import math
import random
import threading
import time
import uuid
from collections.abc import Callable
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
LEASE_MS = 120_000  # longer than any wait between two attempts, which renew it
FOLLOW_SECONDS = 1.0  # between looks of a relay that does not lead

log = get_logger(__name__)


class DeliveryError(Exception):
    """An event was not taken. retry: whether it may be later. after_seconds: what the other side asked for."""

    def __init__(self, text: str, retry: bool, after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.retry, self.after_seconds = retry, after_seconds


class Relay:
    """Hands events on while the block runs. deliver: returns when the other side has the event, else DeliveryError.

    open_store: a connection of its own. name: of the consumer group; one that is new gets the events from then on.
    Of several relays of one name, in as many processes, one works at a time, by a lease. Order of effects: 1. deliver,
    2. acknowledge.
    """

    def __init__(
        self, open_store: Callable[[], Store], name: str, deliver: Callable[[dict[str, Any]], None], metrics: Metrics
    ) -> None:
        self._open_store, self._name, self._deliver, self._metrics = open_store, name, deliver, metrics
        self._stop = threading.Event()
        self._wait = FIRST_WAIT_SECONDS  # before Redis is tried again
        self._token = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._run, name=f"relay {name}", daemon=True)
        for outcome in ("delivered", "retried", "given up"):
            metrics.deliveries_total.labels(name, outcome)  # from 0 on: Prometheus does not see a series' first step

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
        while not self._stop.is_set():
            try:
                with self._open_store() as store:
                    self._relay(store)
            except StoreError as error:
                log.warning("Redis is away, waiting", relay=self._name, error=str(error))
                self._stop.wait(self._wait)
                self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    def _make_group(self, store: Store) -> None:
        try:
            store.client.xgroup_create(keys.MATCHES, self._name, "$", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):  # it is there
                raise

    def _relay(self, store: Store) -> None:
        """Until told to stop. What was given and not acknowledged comes first, and is looked for now and then."""
        with store.errors():
            self._make_group(store)
            self._wait, looked_at = FIRST_WAIT_SECONDS, -math.inf
            while not self._stop.is_set():
                if not self._leads(store):
                    looked_at = -math.inf
                    self._stop.wait(FOLLOW_SECONDS)
                    continue
                if time.monotonic() - looked_at >= IDLE_MS / 1000:
                    self._hand_on(store, self._left_over(store))
                    looked_at = time.monotonic()
                found = store.client.xreadgroup(
                    self._name, CONSUMER, {keys.MATCHES: ">"}, count=READ_EVENTS, block=BLOCK_MS
                )
                self._hand_on(store, _entries(found))
            self._give_up_lead(store)

    def _leads(self, store: Store) -> bool:
        """Whether this relay is the one of its name that works; takes a lease that is free, renews its own."""
        name = keys.relay(self._name)
        if store.client.set(name, self._token, nx=True, px=LEASE_MS):
            return True
        holder: Any = store.client.get(name)
        return holder is not None and holder.decode() == self._token and bool(store.client.pexpire(name, LEASE_MS))

    def _give_up_lead(self, store: Store) -> None:
        if self._leads(store):
            store.client.delete(keys.relay(self._name))

    def _left_over(self, store: Store) -> list[Any]:
        own = _entries(store.client.xreadgroup(self._name, CONSUMER, {keys.MATCHES: "0"}, count=10_000))
        both = {entry[0]: entry for entry in [*own, *self._of_others(store)]}
        return sorted(both.values(), key=lambda entry: _order(entry[0]))

    def _of_others(self, store: Store) -> list[Any]:
        """What a process that is gone was given; this one takes it over."""
        _, others, *_ = store.client.xautoclaim(keys.MATCHES, self._name, CONSUMER, IDLE_MS, "0-0", count=10_000)
        return list(others)

    def _hand_on(self, store: Store, entries: list[Any]) -> None:
        for id, fields in entries:
            if self._stop.is_set() or not self._leads(store):
                return
            # 1. Deliver.
            event = self._event(id, fields) if fields else None
            if event is not None and not self._insist(store, event):
                return
            # 2. Acknowledge.
            store.client.xack(keys.MATCHES, self._name, id)

    def _event(self, id: bytes, fields: dict[bytes, bytes]) -> dict[str, Any] | None:
        """None for an entry that is no event: it would stop all that come after it."""
        try:
            return dict(json.loads(fields[b"event"]))
        except (KeyError, TypeError, ValueError):
            self._metrics.deliveries_total.labels(self._name, "given up").inc()
            log.warning("an entry is no event and is given up", relay=self._name, entry=id.decode())
            return None

    def _insist(self, store: Store, event: dict[str, Any]) -> bool:
        """Delivers an event, or gives it up; False when told to stop before, or when another relay leads."""
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
                if not self._leads(store):
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
