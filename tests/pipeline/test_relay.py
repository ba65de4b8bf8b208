"""Relays: events handed on at least once, in order, whatever the other side does."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import keys, relay
from pipeline.metrics import Metrics
from pipeline.relay import DeliveryError, Relay
from pipeline.store import Store, open_store
from tests.streaming import wait_until

pytestmark = pytest.mark.redis


class Receiver:
    """Takes events; what `answers` holds is raised first, one at a time."""

    def __init__(self, *answers: Exception) -> None:
        self.answers, self.taken, self.tries = list(answers), [], 0  # type: ignore[var-annotated]
        self.free = threading.Event()
        self.free.set()

    def __call__(self, event: dict[str, Any]) -> None:
        self.tries += 1
        assert self.free.wait(20)
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(event["id"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(relay, "BLOCK_MS", 50)


@pytest.fixture
def opened(redis_url: str) -> Callable[[], Store]:
    return lambda: open_store(redis_url)


def add(store: Store, *ids: str) -> None:
    for id in ids:
        store.client.xadd(keys.MATCHES, {"event": json.dumps({"id": id})})


def pending(store: Store) -> int:
    return int(store.client.xpending(keys.MATCHES, "r")["pending"])


def test_events_from_now_on_are_handed_on_in_order(store: Store, opened: Callable[[], Store]) -> None:
    add(store, "before")
    receiver, metrics = Receiver(), Metrics()
    with Relay(opened, "r", receiver, metrics):
        add(store, "a", "b", "c")
        wait_until(lambda: receiver.taken == ["a", "b", "c"], "three events")
        wait_until(lambda: pending(store) == 0, "three acknowledgements")
    assert metrics.registry.get_sample_value("vnome_deliveries_total", {"relay": "r", "outcome": "delivered"}) == 3


def test_an_event_that_is_not_taken_is_tried_again_before_the_next(store: Store, opened: Callable[[], Store]) -> None:
    receiver = Receiver(DeliveryError("busy", retry=True), DeliveryError("busy", retry=True, after_seconds=0.05))
    with Relay(opened, "r", receiver, Metrics()):
        add(store, "a", "b")
        wait_until(lambda: receiver.taken == ["a", "b"], "both")
    assert receiver.tries == 4


def test_an_event_that_never_will_be_taken_is_given_up(store: Store, opened: Callable[[], Store]) -> None:
    receiver, metrics = Receiver(DeliveryError("no", retry=False)), Metrics()
    with Relay(opened, "r", receiver, metrics):
        add(store, "a", "b")
        wait_until(lambda: receiver.taken == ["b"], "the second")
        wait_until(lambda: pending(store) == 0, "that both are done")
    assert metrics.registry.get_sample_value("vnome_deliveries_total", {"relay": "r", "outcome": "given up"}) == 1


def test_what_was_not_acknowledged_comes_again_after_a_restart(store: Store, opened: Callable[[], Store]) -> None:
    stuck = Receiver(*[DeliveryError("busy", retry=True)] * 1000)
    with Relay(opened, "r", stuck, Metrics()):
        add(store, "a", "b")
        wait_until(lambda: stuck.tries > 2, "some tries")
    receiver = Receiver()
    with Relay(opened, "r", receiver, Metrics()):
        wait_until(lambda: receiver.taken == ["a", "b"], "both")
