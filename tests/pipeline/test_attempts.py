"""Notes of what killed a worker."""

import pytest

from pipeline.attempts import Attempts
from pipeline.messages import Place
from pipeline.store import Store

pytestmark = pytest.mark.redis


def test_ranges_are_noted_by_partition_and_group(store: Store) -> None:
    attempts = Attempts(store, "g")
    assert attempts.suspects(("t", 0)) is None
    attempts.begin({("t", 0): (5, 9), ("t", 1): (0, 0)})
    attempts.begin({("t", 0): (7, 12)})
    assert attempts.suspects(("t", 0)) == (7, 12)
    assert attempts.suspects(("t", 1)) == (0, 0)
    assert Attempts(store, "other").suspects(("t", 0)) is None


def test_who_leaves_in_order_leaves_no_note(store: Store) -> None:
    attempts = Attempts(store, "g")
    attempts.begin({("t", 0): (5, 9), ("t", 1): (0, 0)})
    attempts.end([("t", 0)])
    assert (attempts.suspects(("t", 0)), attempts.suspects(("t", 1))) == (None, (0, 0))
    attempts.end([])


def test_nothing_in_work_is_no_note(store: Store) -> None:
    Attempts(store, "g").begin({})
    assert store.client.dbsize() == 0


def test_deaths_of_a_frame_are_counted_until_it_survives(store: Store) -> None:
    attempts, place = Attempts(store, "g"), Place("t", 0, 7)
    assert [attempts.alone(place) for _ in range(3)] == [0, 1, 2]
    assert attempts.alone(Place("t", 0, 8)) == 0
    attempts.survived([place])
    assert attempts.alone(place) == 0
    attempts.survived([])
