"""API keys of the gateway: who may ask, who may change the catalogue, who may do all.

A key is `vn_ID_SECRET`. Its secret has 256 random bits, so that a plain SHA-256 of it, all that is stored, cannot be
guessed back; a slow password hash would only slow requests down.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import keys
from pipeline.errors import InputError, MissingError
from pipeline.store import Store

SCOPES = ("query", "manage", "admin")  # each may do what those before it may
QUERY, MANAGE, ADMIN = SCOPES
MOST_NAME = 60  # characters
_KEY = re.compile(r"vn_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class ApiKey:
    """What is stored of a key.

    id: shown, names the key. digest: SHA-256 of the secret, hexadecimal. created: epoch seconds.
    rate: requests a second over some time, and sessions: live ones at once; 0 for what the gateway gives.
    """

    id: str
    name: str
    scope: str
    digest: str
    created: float
    rate: float = 0.0
    sessions: int = 0

    def may(self, scope: str) -> bool:
        """Whether this key is enough for what needs a scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def document(self) -> dict[str, Any]:
        """As JSON, without anything that would help to guess the key."""
        return {name: value for name, value in asdict(self).items() if name != "digest"}


class ApiKeys:
    """The keys in a store. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, name: str, scope: str, rate: float = 0.0, sessions: int = 0) -> tuple[ApiKey, str]:
        """Makes a key. Returns it, and the text that is told this once. Raises InputError for an unusable wish."""
        if scope not in SCOPES:
            raise InputError(f"scope {scope!r} is not one of {', '.join(SCOPES)}")
        if not 0 < len(name) <= MOST_NAME or not name.isprintable():
            raise InputError(f"the name of a key has 1 to {MOST_NAME} printable characters")
        secret = secrets.token_urlsafe(32)
        key = ApiKey(secrets.token_hex(4), name, scope, _digest(secret), round(time.time(), 3), rate, sessions)
        with self._store.errors():
            self._store.client.hset(keys.API_KEYS, key.id, json.dumps(asdict(key), ensure_ascii=False))
        self._store.confirm()
        return key, f"vn_{key.id}_{secret}"

    def all(self) -> list[ApiKey]:
        """All keys, the oldest first."""
        with self._store.errors():
            texts: Any = self._store.client.hvals(keys.API_KEYS)
        return sorted((ApiKey(**json.loads(text)) for text in texts), key=lambda key: (key.created, key.id))

    def revoke(self, id: str) -> ApiKey:
        """Ends a key. Raises MissingError when there is none of this id."""
        with self._store.errors():
            text: Any = self._store.client.hget(keys.API_KEYS, id)
            if not text or not self._store.client.hdel(keys.API_KEYS, id):
                raise MissingError(f"no key {id!r}; vnome keys list shows what there is")
        self._store.confirm()
        return ApiKey(**json.loads(text))

    def holds(self, id: str) -> bool:
        """Whether there is still a key of this id."""
        with self._store.errors():
            return bool(self._store.client.hexists(keys.API_KEYS, id))

    def find(self, text: str) -> ApiKey | None:
        """The key that a caller gave; None when it is none, or was revoked."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        with self._store.errors():
            stored: Any = self._store.client.hget(keys.API_KEYS, match[1])
        if not stored:
            return None
        key = ApiKey(**json.loads(stored))
        return key if hmac.compare_digest(key.digest, _digest(match[2])) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
