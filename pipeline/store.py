"""The connection to Redis, and its failures in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from pipeline.embedded import EmbeddedServer
from pipeline.errors import InputError, StoreError
from pipeline.settings import EMBEDDED, settings

SCHEMES = ("redis", "rediss", "unix")
ACCEPTED = "embedded, redis://HOST:PORT/DB, rediss://... or unix:///PATH"
LEAST_VERSION = (6, 2)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
CONFIRM_MS = 10_000  # for a write to reach the disk
EMBEDDED_NAME = "the private server"


class Store:
    """An open connection.

    client: the redis client; its exceptions become StoreError inside `errors()`. address: without a password.
    """

    def __init__(self, client: "redis.Redis", address: str, server: EmbeddedServer | None = None) -> None:
        self.client = client
        self.address = address
        self._server = server

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the private server may stop."""
        self.client.close()
        if self._server is not None:
            self._server.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what redis raises in the block into a StoreError of one line."""
        try:
            yield
        except RedisError as error:
            raise StoreError(self._in_words(error)) from None

    def confirm(self) -> None:
        """Waits until all that this connection wrote is on the private server's disk.

        A server of the user's own is configured by the user; there this does nothing.
        Raises StoreError when the disk takes no more.
        """
        if self._server is None:
            return
        with self.errors():
            local, _ = self.client.execute_command("WAITAOF", 1, 0, CONFIRM_MS)  # type: ignore[no-untyped-call]
        if not local:
            raise StoreError(f"{self.address}: the disk does not take the data; free some space and try again")

    def _in_words(self, error: RedisError) -> str:
        text = " ".join(str(error).split())
        if isinstance(error, AuthenticationError | AuthorizationError) or "WRONGPASS" in text or "NOAUTH" in text:
            return f"{self.address} wants another user or password; check VNOME_REDIS"
        if "MISCONF" in text or "No space left" in text:
            return f"{self.address} cannot write to its disk (full?); free some space and try again"
        if isinstance(error, OutOfMemoryError):
            return f"{self.address} has no memory left (maxmemory); give it more or remove films"
        if isinstance(error, ReadOnlyError):
            return f"{self.address} is a read-only replica; set VNOME_REDIS to its primary"
        if isinstance(error, BusyLoadingError):
            return f"{self.address} is still loading its data; try again in a moment"
        if isinstance(error, InvalidResponse):
            return f"{self.address} does not speak Redis; check VNOME_REDIS"
        if isinstance(error, TimeoutError):
            return f"{self.address} does not answer in time; check that it runs and try again"
        if isinstance(error, ConnectionError):
            return f"{self.address} cannot be reached ({text}); check VNOME_REDIS and that the server runs"
        if isinstance(error, ResponseError):
            return f"{self.address} refuses: {text}"
        return f"{self.address}: {text}"


def open_store(url: str | None = None, home: Path | None = None) -> Store:
    """Opens the store of the settings, or another.

    url: see `ACCEPTED`. home: data folder of the private server.
    Raises InputError for a url of another form, StoreError when the server cannot be used.
    """
    chosen = settings().redis if url is None else url
    if chosen == EMBEDDED:
        server = EmbeddedServer(home or settings().home)
        path = server.connect()
        client = redis.Redis(unix_socket_path=str(path), **_options())
        return Store(client, EMBEDDED_NAME, server)
    parts = urlsplit(chosen)
    if parts.scheme == "redis+cluster":
        raise InputError(f"VNOME_REDIS={without_password(chosen)}: Redis Cluster is not in this version yet")
    if parts.scheme not in SCHEMES:
        raise InputError(f"VNOME_REDIS={without_password(chosen)!r} is not one of {ACCEPTED}")
    try:
        client = redis.Redis.from_url(chosen, **_options())
    except ValueError as error:
        raise InputError(f"VNOME_REDIS={without_password(chosen)!r}: {error}; accepted: {ACCEPTED}") from None
    store = Store(client, f"Redis at {without_password(chosen)}")
    try:
        with store.errors():
            _check_version(client, store.address)
    except StoreError:
        client.close()
        raise
    return store


def without_password(url: str) -> str:
    """The url with its user and password left out."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url


def _options() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
    }


def _check_version(client: "redis.Redis", address: str) -> None:
    version = str(client.info("server").get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        raise StoreError(f"{address} is version {version}; VNOME needs 6.2 or later")
