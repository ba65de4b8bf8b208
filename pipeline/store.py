"""The connection to Redis, and its failures in words."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from pydantic import SecretStr
from redis.backoff import ConstantBackoff, NoBackoff
from redis.cluster import RedisCluster
from redis.connection import Connection, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError,
    InvalidResponse,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TimeoutError,
    WatchError,
)
from redis.retry import Retry

from pipeline import keys
from pipeline.buckets import tags
from pipeline.embedded import EmbeddedServer
from pipeline.errors import InputError, StoreError
from pipeline.settings import EMBEDDED, settings
from pipeline.tls_files import NamedFile, client_context, tls_in_words

T = TypeVar("T")
Command = tuple[Any, ...]  # name, keys and arguments

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
CLUSTER = "+cluster"
ACCEPTED = (
    "embedded, redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///PATH?db=DB, "
    "redis+cluster://HOST:PORT,HOST:PORT... or rediss+cluster://..., TLS ones also with ?ssl_ca_certs=FILE"
)
TLS = "rediss"
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
SECRETS = ("username", "password", "ssl_password")  # among the parameters of a URL
LEAST_VERSION = (6, 2)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
FETCHED_TOGETHER = 500  # values a command: one answer to many is read three times as fast as many answers
CONFIRM_SECONDS = 10  # for a write to reach the disk; less than the lease of a writer
CLUSTER_RETRIES, CLUSTER_PAUSE_SECONDS = 20, 0.1  # while slots move or a master is replaced
EMBEDDED_NAME = "the private server"
NO_ROOM = "no room on the disk; free some space and try again"
HUNG_UP = ("closed by server", "reset by peer", "EOF occurred", "Broken pipe")
AS_ONE = "write its URL as redis://HOST:PORT"
AS_CLUSTER = "write its URL as redis+cluster://HOST:PORT"


class Store:
    """An open connection.

    client: the redis client; its exceptions become StoreError inside `errors()`. It repeats nothing by itself but on a
    Cluster, where a command is sent again while its slot moves.
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
        if not commands:
            return []
        pipe = self.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(pipe.execute(raise_on_error))

    def fetch(self, names: Sequence[str], *commands: Command) -> tuple[list[bytes | None], list[Any]]:
        """Values of strings, and the answers to other commands, in one round trip.

        Of a Cluster, the values of one hash tag are read at one moment; of one server, a few hundred at a time, in
        their order.
        """
        groups = self._groups(names)
        answers = self.many([*(("MGET", *(names[i] for i in group)) for group in groups), *commands])
        values: list[bytes | None] = [None] * len(names)
        for group, found in zip(groups, answers, strict=False):
            for i, value in zip(group, found, strict=True):
                values[i] = value
        return values, answers[len(groups) :]

    def _groups(self, names: Sequence[str]) -> list[list[int]]:
        """Places of names that one command may fetch."""
        if not self.is_cluster:
            return [
                list(range(start, min(start + FETCHED_TOGETHER, len(names))))
                for start in range(0, len(names), FETCHED_TOGETHER)
            ]
        by_tag: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            by_tag.setdefault(name[name.index("{") : name.index("}")], []).append(i)
        return list(by_tag.values())

    @property
    def is_cluster(self) -> bool:
        """Whether this is a Redis Cluster."""
        return isinstance(self.client, RedisCluster)

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
        for tag, server in self._servers():
            self._confirm(keys.confirmed(tag), server)

    def _servers(self) -> list[tuple[str, "redis.Redis"]]:
        """Every server that is written to, and a hash tag that it holds."""
        if not isinstance(self.client, RedisCluster):
            return [(tags()[0], self.client)]
        with self.errors():
            of_node = {self.client.get_node_from_key(keys.confirmed(tag)): tag for tag in tags()}
            return [(tag, self.client.get_redis_connection(node)) for node, tag in of_node.items()]

    def _confirm(self, name: str, server: "redis.Redis") -> None:
        for _ in range(CONFIRM_SECONDS):
            with self.errors():
                # The server's file is one sequence: when this write is on disk, all earlier ones are, also those
                # that came over another connection, of which WAITAOF alone would not know.
                pipe = server.pipeline(transaction=False)
                pipe.incr(name)
                pipe.execute_command("WAITAOF", 1, 0, 1000)  # type: ignore[no-untyped-call]
                _, (local, _) = pipe.execute()
                if local:
                    return
                if server.info("persistence")["aof_last_write_status"] != "ok":
                    break
        raise StoreError(f"{self.address}: {NO_ROOM}")


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Turns what redis raises in the block into a StoreError of one line that names the address."""
    try:
        yield
    except RedisError as error:
        raise StoreError(f"{address} {_in_words(error, address)}") from error


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
        return f"is part of a Redis Cluster: {AS_CLUSTER}"
    if isinstance(error, ClusterDownError | ClusterError | SlotNotCoveredError):
        return "is a Cluster of which some slots are not served; check that all its masters run"
    if isinstance(error, BusyLoadingError):
        return "is still loading its data; try again in a moment"
    if isinstance(error, InvalidResponse):
        return "does not speak Redis; check VNOME_REDIS"
    if isinstance(error, ConnectionError | TimeoutError) and address == EMBEDDED_NAME:
        return "has stopped; run the command again"
    if isinstance(error.__context__, ssl.SSLError) and not isinstance(error.__context__, ssl.SSLEOFError):
        authority, certificate = (f"{name} in VNOME_REDIS" for name in TLS_FILES[:2])
        return tls_in_words(error.__context__, authority, certificate, "write redis:// in VNOME_REDIS")
    if isinstance(error, TimeoutError):
        return "does not answer in time; check that it runs, and VNOME_REDIS"
    if isinstance(error, ConnectionError):
        return f"cannot be reached: {text.rstrip('.')}; check that it runs, and VNOME_REDIS"
    if isinstance(error, ResponseError):
        return f"refuses: {text.rstrip('.')}; check its configuration, and VNOME_REDIS"
    return f"failed: {text}"


def open_store(url: str | None = None, home: Path | None = None, answer_seconds: float = ANSWER_SECONDS) -> Store:
    """Opens the store of the settings, or another.

    url: see `ACCEPTED`. home: data folder of the private server. answer_seconds: after which a server that hangs
    counts as away.
    Raises InputError for a url of another form, StoreError when the server cannot be used.
    """
    chosen = settings().redis_url() if url is None else url
    if chosen == EMBEDDED:
        server = EmbeddedServer(home or settings().home)
        path = server.connect()
        return Store(redis.Redis(unix_socket_path=str(path), **_options(answer_seconds)), EMBEDDED_NAME, server)
    shown = without_password(chosen)
    address = f"Redis at {shown}"
    seeds = _seeds(chosen)
    for seed in seeds:
        _check_form(seed)
        _check_parameters(seed)
    for seed in seeds[:-1]:
        try:
            return _open(seed, address, answer_seconds)
        except StoreError as error:
            if not isinstance(error.__cause__, ConnectionError | TimeoutError):
                raise
    return _open(seeds[-1], address, answer_seconds)


def _open(url: str, address: str, answer_seconds: float) -> Store:
    try:
        probe = redis.Redis.from_url(url.replace(CLUSTER, "", 1), **_options(answer_seconds=CONNECT_SECONDS))
    except ValueError:  # its text may hold a part of the password
        raise InputError(f"VNOME_REDIS={without_password(url)} cannot be read; accepted: {ACCEPTED}") from None
    try:
        with store_errors(address), closing(probe):
            _check_server(probe, address, url)
            keeps_file = _keeps_file(probe)
            return Store(_connect(url, answer_seconds), address, keeps_file=keeps_file)
    except StoreError as error:
        hint = _tls_hint(error.__cause__, url.startswith(TLS))
        if not hint:
            raise
        raise StoreError(f"{address} {hint}; check that it runs, and VNOME_REDIS") from error.__cause__


def _tls_hint(error: BaseException | None, is_tls: bool) -> str:
    """What a server that hangs up or is silent from the start may be: one that speaks TLS, or does not."""
    if isinstance(error, TimeoutError) and is_tls:
        return "does not answer in time, or does not speak TLS"
    if not isinstance(error, ConnectionError) or not any(words in str(error) for words in HUNG_UP):
        return ""
    if is_tls:
        return "closes the connection: it does not speak TLS, or wants a certificate (ssl_certfile)"
    return "closes the connection: it may speak TLS (rediss://)"


def _connect(url: str, answer_seconds: float) -> "redis.Redis":
    """A client of a server, or of a Cluster, which mostly offers the same methods."""
    if CLUSTER not in url.partition("://")[0]:
        return redis.Redis.from_url(url, **_options(answer_seconds))
    options = _options(answer_seconds, CLUSTER_RETRIES)
    cluster: Any = RedisCluster.from_url(url.replace(CLUSTER, "", 1), **options)
    return cluster  # type: ignore[no-any-return]


def _seeds(url: str) -> list[str]:
    """The same URL for each of the hosts that a Cluster's URL may name, separated by commas."""
    scheme, separator, rest = url.partition("://")
    if CLUSTER not in scheme:
        return [url]
    end = next((place for place, sign in enumerate(rest) if sign in "/?"), len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}{separator}{user}{at}{host}{rest[end:]}" for host in hosts.split(",")]


def without_password(url: str) -> str:
    """The url with its user and password left out, also of a url that is not well formed."""
    scheme, separator, rest = url.partition("://")
    rest, question, query = rest.partition("?") if "?" in rest.rpartition("@")[2] else (rest, "", "")
    authority, slash, path = rest.partition("/")
    if scheme == "unix":
        rest = authority.rpartition("@")[2] + slash + path
    else:
        rest = rest.rpartition("@")[2]  # a password with a slash in it ends up in the path
    public = [(name, value) for name, value in parse_qsl(query) if name not in SECRETS]
    return scheme + separator + rest + (question + urlencode(public, safe="/") if public else "")


def _check_form(url: str) -> None:
    """Raises InputError for a url that `redis` would not read, or would read as something else."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InputError(f"VNOME_REDIS={shown} cannot be read; accepted: {ACCEPTED}") from None
    if parts.scheme not in SCHEMES:
        raise InputError(f"VNOME_REDIS={shown} is not one of: {ACCEPTED}")
    database = parts.path.strip("/")
    if CLUSTER in parts.scheme and database not in ("", "0"):
        raise InputError(f"VNOME_REDIS={shown}: a Cluster has database 0 alone; accepted: {ACCEPTED}")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise InputError(f"VNOME_REDIS={shown}: the database is not a number; accepted: {ACCEPTED}")


def _check_parameters(url: str) -> None:
    """Raises InputError for parameters after the ? which redis-py would not take, but say so as late as it connects."""
    shown = without_password(url)
    try:
        options = parse_url(url.replace(CLUSTER, "", 1))  # type: ignore[no-untyped-call]
        options.pop("connection_class", Connection)(**options)
    except (TypeError, ValueError, RedisError):  # their text may hold a part of the password
        raise InputError(f"VNOME_REDIS={shown} cannot be read; accepted: {ACCEPTED}") from None
    given = {name: value for name, value in parse_qsl(urlsplit(url).query) if name.startswith("ssl_")}
    authority, certificate, key = (
        NamedFile(f"VNOME_REDIS: {name}", Path(given[name])) if name in given else None for name in TLS_FILES
    )
    client_context(authority, certificate, key, SecretStr(given.get("ssl_password", "")))


def _options(answer_seconds: float, retries: int = 0) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        "retry": Retry(ConstantBackoff(CLUSTER_PAUSE_SECONDS) if retries else NoBackoff(), retries),
    }


def _check_server(client: "redis.Redis", address: str, url: str) -> None:
    about = client.info("server")
    version = str(about.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        raise StoreError(f"{address} is version {version}; VNOME needs 6.2 or later")
    if (CLUSTER in url) != ("cluster" in (about.get("redis_mode"), about.get("server_mode"))):  # of Redis, of Valkey
        is_what = f"is no Redis Cluster; {AS_ONE}" if CLUSTER in url else f"is part of a Redis Cluster; {AS_CLUSTER}"
        raise StoreError(f"{address} {is_what.replace('redis', TLS) if url.startswith(TLS) else is_what}")


def _keeps_file(client: "redis.Redis") -> bool:
    """Whether the server keeps an append-only file and can say when something is in it (WAITAOF, since 7.2)."""
    version = str(client.info("server").get("redis_version", "0"))
    return tuple(int(part) for part in version.split(".")[:2]) >= (7, 2) and bool(
        client.info("persistence").get("aof_enabled")
    )
