"""Tickets open one film, for some hours."""

import pytest

from pipeline.gateway.tickets import HOURS, Tickets
from pipeline.store import Store

pytestmark = pytest.mark.redis


def test_a_ticket_opens_one_film_for_some_hours(store: Store) -> None:
    now = [1_000_000.0]
    tickets = Tickets(store, lambda: now[0])
    ticket = tickets.make("bikes")
    assert tickets.holds("bikes", ticket) and not tickets.holds("other", ticket)
    assert Tickets(store, lambda: now[0]).holds("bikes", ticket)  # another gateway on the same Redis
    now[0] += HOURS * 3600 + 1
    assert not tickets.holds("bikes", ticket)
    assert not any(
        tickets.holds("bikes", wrong) for wrong in ("", "-", "zz-00", ticket.replace("-", ""), "ffffffffff-0")
    )
