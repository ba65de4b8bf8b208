"""The connection to Redis, and its failures in words."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    WatchError,
)
from redis.retry import Retry

from pipeline import keys
from pipeline.embedded import EmbeddedServer
from pipeline.errors import InputError, StoreError
from pipeline.settings import EMBEDDED, settings

T = TypeVar("T")
Command = tuple[Any, ...]  # name, keys and arguments

SCHEMES = ("redis", "rediss", "unix")
ACCEPTED = "embedded, redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH?db=DB"
LEAST_VERSION = (6, 2)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
FETCHED_TOGETHER = 500  # values a command: one answer to many is read three times as fast as many answers
CONFIRM_SECONDS = 10  # for a write to reach the disk; less than the lease of a writer
EMBEDDED_NAME = "the private server"
NO_ROOM = "no room on the disk; free some space and try again"
NOT_YET = "Redis Cluster is not in this version yet; set VNOME_REDIS to one server"


class Store:
    """An open connection.

    client: the redis client; its exceptions become StoreError inside `errors()`. It repeats nothing by itself: after
    a lost answer, a repeated APPEND would store the same postings twice.
    address: without a password.
    """

    def __init__(
        self, client: "redis.Redis", address: str, server: EmbeddedServer | None = None, keeps_file: bool = False
    ) -> None:
        self.client = client
        self.address = address
        self._server = server
        self._keeps_file = keeps_file or server is not None

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

    def many(self, commands: Sequence[Command], raise_on_error: bool = True) -> list[Any]:
        """Sends commands in one round trip and returns their answers; each may name keys of one slot."""
        pipe = self.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(pipe.execute(raise_on_error))

    def fetch(self, names: Sequence[str], last: Sequence[str]) -> tuple[list[bytes | None], list[bytes | None]]:
        """Values of strings, in one round trip. last: names that are read after the others."""
        wanted = [*names, *last]
        chunks = [wanted[start : start + FETCHED_TOGETHER] for start in range(0, len(wanted), FETCHED_TOGETHER)]
        values = [value for part in self.many([("MGET", *chunk) for chunk in chunks]) for value in part]
        return values[: len(names)], values[len(names) :]

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what redis raises in the block into a StoreError of one line."""
        with store_errors(self.address):
            yield

    def transaction(self, change: "Callable[[redis.client.Pipeline], T]", *watched: str) -> T:
        """Runs `change` until no other connection wrote the watched keys meanwhile. Returns what it returned.

        change: reads over the pipeline, calls its `multi()`, then writes.
        """
        with self.client.pipeline(transaction=True) as pipe:
            while True:
                try:
                    pipe.watch(*watched)  # type: ignore[no-untyped-call]
                    result = change(pipe)
                    pipe.execute()
                except WatchError:
                    continue
                return result

    def confirm(self) -> None:
        """Waits until everything written so far is on the server's disk, where it keeps an append-only file.

        A server of the user's own that keeps none, or is older than 7.2, keeps its data as its configuration says;
        there this does nothing. Raises StoreError when the disk takes no more.
        """
        if not self._keeps_file:
            return
        for _ in range(CONFIRM_SECONDS):
            with self.errors():
                # The server's file is one sequence: when this write is on disk, all earlier ones are, also those
                # that came over another connection, of which WAITAOF alone would not know.
                pipe = self.client.pipeline(transaction=False)
                pipe.incr(keys.CONFIRMED)
                pipe.execute_command("WAITAOF", 1, 0, 1000)  # type: ignore[no-untyped-call]
                _, (local, _) = pipe.execute()
                if local:
                    return
                if self.client.info("persistence")["aof_last_write_status"] != "ok":
                    break
        raise StoreError(f"{self.address}: {NO_ROOM}")


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Turns what redis raises in the block into a StoreError of one line that names the address."""
    try:
        yield
    except RedisError as error:
        raise StoreError(f"{address} {_in_words(error, address)}") from None


def _in_words(error: RedisError, address: str) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in text:
        return "wants another user or password; check VNOME_REDIS"
    if "MISCONF" in text or "No space left" in text:
        return f"cannot write to its disk: {NO_ROOM}"
    if isinstance(error, OutOfMemoryError):
        return "has no memory left (maxmemory); give it more or remove films"
    if isinstance(error, ReadOnlyError):
        return "is a read-only replica; set VNOME_REDIS to its primary"
    if isinstance(error, MovedError):
        return f"is part of a Redis Cluster: {NOT_YET}"
    if isinstance(error, BusyLoadingError):
        return "is still loading its data; try again in a moment"
    if isinstance(error, InvalidResponse):
        return "does not speak Redis; check VNOME_REDIS"
    if isinstance(error, ConnectionError | TimeoutError) and address == EMBEDDED_NAME:
        return "has stopped; run the command again"
    if isinstance(error, TimeoutError):
        return "does not answer in time; check that it runs, and VNOME_REDIS"
    if isinstance(error, ConnectionError):
        return f"cannot be reached: {text.rstrip('.')}; check that it runs, and VNOME_REDIS"
    if isinstance(error, ResponseError):
        return f"refuses: {text.rstrip('.')}; check its configuration, and VNOME_REDIS"
    return f"failed: {text}"


def open_store(url: str | None = None, home: Path | None = None) -> Store:
    """Opens the store of the settings, or another.

    url: see `ACCEPTED`. home: data folder of the private server.
    Raises InputError for a url of another form, StoreError when the server cannot be used.
    """
    chosen = settings().redis if url is None else url
    if chosen == EMBEDDED:
        server = EmbeddedServer(home or settings().home)
        path = server.connect()
        return Store(redis.Redis(unix_socket_path=str(path), **_options()), EMBEDDED_NAME, server)
    _check_form(chosen)
    shown = without_password(chosen)
    address = f"Redis at {shown}"
    try:
        client = redis.Redis.from_url(chosen, **_options())
        probe = redis.Redis.from_url(chosen, **_options(answer_seconds=CONNECT_SECONDS))
    except ValueError:  # its text may hold a part of the password
        raise InputError(f"VNOME_REDIS={shown} cannot be read; accepted: {ACCEPTED}") from None
    with store_errors(address), closing(probe):
        _check_server(probe, address)
        keeps_file = _keeps_file(probe)
    return Store(client, address, keeps_file=keeps_file)


def without_password(url: str) -> str:
    """The url with its user and password left out, also of a url that is not well formed."""
    scheme, separator, rest = url.partition("://")
    rest, question, query = rest.partition("?") if "?" in rest.rpartition("@")[2] else (rest, "", "")
    authority, slash, path = rest.partition("/")
    if scheme == "unix":
        rest = authority.rpartition("@")[2] + slash + path
    else:
        rest = rest.rpartition("@")[2]  # a password with a slash in it ends up in the path
    public = [(name, value) for name, value in parse_qsl(query) if name not in ("password", "username")]
    return scheme + separator + rest + (question + urlencode(public) if public else "")


def _check_form(url: str) -> None:
    """Raises InputError for a url that `redis` would not read, or would read as something else."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InputError(f"VNOME_REDIS={shown} cannot be read; accepted: {ACCEPTED}") from None
    if parts.scheme == "redis+cluster":
        raise InputError(f"VNOME_REDIS={shown}: {NOT_YET}")
    if parts.scheme not in SCHEMES:
        raise InputError(f"VNOME_REDIS={shown} is not one of: {ACCEPTED}")
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise InputError(f"VNOME_REDIS={shown}: the database is not a number; accepted: {ACCEPTED}")


def _options(answer_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
    }


def _check_server(client: "redis.Redis", address: str) -> None:
    about = client.info("server")
    version = str(about.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        raise StoreError(f"{address} is version {version}; VNOME needs 6.2 or later")
    if "cluster" in (about.get("redis_mode"), about.get("server_mode")):  # of Redis, of Valkey
        raise StoreError(f"{address} is part of a Redis Cluster: {NOT_YET}")


def _keeps_file(client: "redis.Redis") -> bool:
    """Whether the server keeps an append-only file and can say when something is in it (WAITAOF, since 7.2)."""
    version = str(client.info("server").get("redis_version", "0"))
    return tuple(int(part) for part in version.split(".")[:2]) >= (7, 2) and bool(
        client.info("persistence").get("aof_enabled")
    )
