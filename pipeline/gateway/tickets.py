"""Tickets: addresses that open one film for some hours, for players, which cannot send a key along."""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pipeline import keys
from pipeline.store import Store

HOURS = 12  # a film is watched in one go


class Tickets:
    """Made and checked with a secret that all gateways on one Redis share. clock: epoch seconds."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        with store.errors():
            store.client.set(keys.TICKETS, secrets.token_bytes(32), nx=True)
            stored: Any = store.client.get(keys.TICKETS)
        self._secret = bytes(stored)

    def make(self, video: str) -> str:
        """A ticket for a video's film, from now on."""
        until = int(self._clock()) + HOURS * 3600
        return f"{until:x}-{self._sign(video, until)}"

    def holds(self, video: str, ticket: str) -> bool:
        """Whether a ticket opens this video's film now."""
        until, _, signature = ticket.partition("-")
        try:
            moment = int(until, 16)
        except ValueError:
            return False
        return moment > self._clock() and hmac.compare_digest(signature, self._sign(video, moment))

    def _sign(self, video: str, until: int) -> str:
        return hmac.new(self._secret, f"{until}:{video}".encode(), sha256).hexdigest()[:32]
