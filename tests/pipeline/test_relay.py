"""Relays: events handed on at least once, in order, whatever the other side does."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import keys, relay
from pipeline.errors import StoreError
from pipeline.metrics import Metrics
from pipeline.relay import DeliveryError, Relay
from pipeline.store import Store, open_store
from tests.streaming import wait_until

pytestmark = pytest.mark.redis
ON_CLUSTER = True


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


@pytest.mark.parametrize("consumer", ["other", relay.CONSUMER])
def test_a_running_relay_takes_over_what_a_dead_one_was_given(
    store: Store, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch, consumer: str
) -> None:
    monkeypatch.setattr(relay, "IDLE_MS", 300)
    receiver = Receiver()
    receiver.free.clear()
    with Relay(opened, "r", receiver, Metrics()):
        add(store, "a")
        wait_until(lambda: receiver.tries == 1, "that it is busy")
        add(store, "b")
        assert store.client.xreadgroup("r", consumer, {keys.MATCHES: ">"}, count=1)  # and never acknowledged
        receiver.free.set()
        wait_until(lambda: "b" in receiver.taken, "the event of the dead one")
        wait_until(lambda: pending(store) == 0, "that both are done")


@pytest.mark.parametrize("fields", [{"event": "{nope"}, {"event": "7"}, {"other": "x"}])
def test_an_entry_that_is_no_event_does_not_stop_the_others(
    store: Store, opened: Callable[[], Store], fields: dict[Any, Any]
) -> None:
    receiver = Receiver()
    with Relay(opened, "r", receiver, Metrics()):
        store.client.xadd(keys.MATCHES, fields)
        add(store, "b")
        wait_until(lambda: receiver.taken == ["b"], "the one after it", 10)
        wait_until(lambda: pending(store) == 0, "that both are done")


def test_waits_are_short_again_after_redis_was_there(
    store: Store, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Relay(opened, "r", Receiver(), Metrics())
    waits: list[float] = []
    steps = iter([False, False, True, False])

    def open_or_fail() -> Store:
        there = next(steps, None)
        if there:
            return opened()
        if there is None:
            made._stop.set()
        raise StoreError("away")

    def lose(*_: object) -> None:
        if len(waits) == 2 and made._wait == relay.FIRST_WAIT_SECONDS:
            raise StoreError("lost")  # the first new events after it was there

    monkeypatch.setattr(made, "_open_store", open_or_fail)
    monkeypatch.setattr(made, "_hand_on", lose)
    monkeypatch.setattr(made._stop, "wait", waits.append)
    made._run()
    assert waits == [0.01, 0.02, 0.01, 0.02, 0.04]


def test_a_stream_that_cannot_be_read_is_told(store: Store, opened: Callable[[], Store]) -> None:
    store.client.set(keys.MATCHES, "no stream")
    with pytest.raises(StoreError, match="WRONGTYPE"), Relay(opened, "r", Receiver(), Metrics()):
        pass


def test_of_two_relays_one_works_and_the_other_takes_over(
    store: Store, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "FOLLOW_SECONDS", 0.05)
    first, second = Receiver(), Receiver()
    with Relay(opened, "r", second, Metrics()):
        with Relay(opened, "r", first, Metrics()):
            add(store, *[f"e{k}" for k in range(20)])
            wait_until(lambda: len(first.taken) + len(second.taken) == 20, "all events")
            assert sorted([len(first.taken), len(second.taken)]) == [0, 20]
        add(store, "later")
        wait_until(lambda: "later" in second.taken, "the one that is left")
    assert not set(first.taken) & set(second.taken)
    assert store.client.get(keys.relay("r")) is None


def test_a_relay_that_died_with_the_lead_is_followed(store: Store, opened: Callable[[], Store]) -> None:
    store.client.set(keys.relay("r"), "dead", px=300)
    store.client.xgroup_create(keys.MATCHES, "r", "0", mkstream=True)
    add(store, "a", "b")
    store.client.xreadgroup("r", relay.CONSUMER, {keys.MATCHES: ">"}, count=1)  # it was given the first, and died
    receiver = Receiver()
    with Relay(opened, "r", receiver, Metrics()):
        wait_until(lambda: receiver.taken == ["a", "b"], "both, in order")
