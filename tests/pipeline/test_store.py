"""Opening a store, and its failures in one line without a password."""

import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from pipeline.embedded import Answer, ask, server_binary
from pipeline.errors import InputError, StoreError
from pipeline.settings import settings
from pipeline.store import Store, open_store, store_errors, without_password
from tests.ports import free_port

SECRET = "s3cret"  # noqa: S105


@contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """A real server with these options. Yields its port on 127.0.0.1."""
    port, path = free_port(), folder / "s.sock"
    command = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path)]
    command += ["--dir", str(folder), "--save", "", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while ask(path) is not Answer.READY:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield port
        finally:
            process.kill()


def message(url: str) -> str:
    """What a user is told who opens this url."""
    with pytest.raises((StoreError, InputError)) as caught:
        open_store(url).close()
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


@pytest.mark.redis
def test_settings_name_the_store(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    settings.cache_clear()
    with open_store() as store:
        assert store.client.ping() is True
        assert store.address == f"Redis at {redis_url}"
        store.confirm()  # a server of the user's own: nothing to wait for


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://:s3cret@a,b:port", "VNOME_REDIS=redis+cluster://b:port cannot be read"),
        ("redis+cluster://:s3cret@a,b:7000/1", "a Cluster has database 0 alone"),
        ("http://user:s3cret@host:80", "is not one of: embedded, redis://"),
        ("localhost:6379", "is not one of: embedded, redis://"),
        ("", "is not one of: embedded, redis://"),
        ("redis://:s3cret@host:port/0", "cannot be read"),
        ("redis://:s3cret/x@host:1/0", "cannot be read"),
        ("redis://[::1", "cannot be read"),
        ("redis://:s3cret@host/db1", "the database is not a number"),
        ("redis://host?password=s3cret&db=x", "cannot be read"),
    ],
)
def test_urls_of_another_form(url: str, words: str) -> None:
    assert words in message(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://u:p@host:1/0?db=2", "redis://host:1/0?db=2"),
        ("rediss://:p/q@r?s@host/0", "rediss://host/0"),
        ("redis://h?password=p&db=1&username=u", "redis://h?db=1"),
        ("unix://:p@/run/a@b.sock?db=1", "unix:///run/a@b.sock?db=1"),
        ("unix:///run/a@b.sock", "unix:///run/a@b.sock"),
    ],
)
def test_passwords_are_left_out(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_nobody_listens() -> None:
    port = free_port()
    text = message(f"redis://:{SECRET}@127.0.0.1:{port}/0")
    assert f"Redis at redis://127.0.0.1:{port}/0 cannot be reached" in text
    assert "refused" in text


def test_unknown_host_and_missing_socket() -> None:
    assert "cannot be reached" in message("redis://host.invalid:6379")
    assert "cannot be reached" in message("unix:///nowhere/valkey.sock")


def test_http_server_does_not_speak_redis() -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            assert "does not speak Redis" in message(f"redis://127.0.0.1:{web.server_address[1]}")
        finally:
            web.shutdown()
            thread.join()


def test_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "does not answer in time" in message(f"redis://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.redis
def test_password(tmp_path: Path) -> None:
    with server(tmp_path, "--requirepass", "right") as port:
        for url in (f"redis://:{SECRET}@127.0.0.1:{port}", f"redis://127.0.0.1:{port}"):
            assert "wants another user or password" in message(url)
        with open_store(f"redis://:right@127.0.0.1:{port}") as store:
            assert store.address == f"Redis at redis://127.0.0.1:{port}"


@pytest.mark.redis
def test_database_out_of_range(tmp_path: Path) -> None:
    with server(tmp_path) as port:
        assert "DB index is out of range" in message(f"redis://127.0.0.1:{port}/99")


@pytest.mark.redis
def test_plain_server_asked_for_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.CONNECT_SECONDS", 0.5)
    with server(tmp_path) as port:
        assert "does not answer in time" in message(f"rediss://127.0.0.1:{port}")


@pytest.mark.redis
def test_server_of_a_cluster(tmp_path: Path) -> None:
    with server(tmp_path, "--cluster-enabled", "yes") as port:
        assert "is part of a Redis Cluster" in message(f"redis://127.0.0.1:{port}")


@pytest.mark.redis
def test_no_memory_left(tmp_path: Path) -> None:
    with server(tmp_path, "--maxmemory", "3mb") as port, open_store(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(StoreError, match="no memory left"), store.errors():
            for i in range(100):
                store.client.set(f"k{i}", b"x" * 100_000)


@pytest.mark.redis
def test_read_only_replica(tmp_path: Path) -> None:
    options = ("--replicaof", "127.0.0.1", str(free_port()), "--replica-serve-stale-data", "yes")
    with server(tmp_path, *options) as port, open_store(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(StoreError, match="read-only replica"), store.errors():
            store.client.set("k", 1)


@pytest.mark.redis
def test_server_goes_away_and_nothing_is_repeated(tmp_path: Path) -> None:
    with server(tmp_path) as port:
        store = open_store(f"redis://127.0.0.1:{port}")
        store.client.set("k", 1)
    with store, pytest.raises(StoreError, match="cannot be reached"), store.errors():
        store.client.get("k")


class OldServer:
    """A client that says it talks to Redis 6.0."""

    def info(self, section: str) -> dict[str, str]:
        """The only question asked."""
        return {"redis_version": "6.0.16"}

    def close(self) -> None:
        """Nothing to close."""


def test_old_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Redis, "from_url", lambda *args, **options: OldServer())
    assert "is version 6.0.16; VNOME needs 6.2 or later" in message("redis://host")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.exceptions.BusyLoadingError("Redis is loading"), "still loading its data"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "no room on the disk"),
        (redis.exceptions.MovedError("1234 10.0.0.1:6379"), "part of a Redis Cluster"),
        (
            redis.exceptions.NoPermissionError("this user has no\npermissions."),
            "refuses: this user has no permissions;",
        ),
        (redis.DataError("odd"), "failed: odd"),
    ],
)
def test_what_redis_raises_in_words(error: redis.RedisError, words: str) -> None:
    with pytest.raises(StoreError, match=r"^Redis at here ") as caught, store_errors("Redis at here"):
        raise error
    assert words in str(caught.value)


@pytest.mark.redis
def test_transaction_sees_what_others_write(store: Store, redis_url: str) -> None:
    store.client.set("k", 1)
    seen: list[int] = []
    with open_store(redis_url) as other:

        def change(pipe: "redis.client.Pipeline") -> int:
            seen.append(int(pipe.get("k") or 0))
            if len(seen) == 1:
                other.client.set("k", 10)
            pipe.multi()
            pipe.set("k", seen[-1] + 1)
            return seen[-1]

        assert store.transaction(change, "k") == 10
    assert (seen, store.client.get("k")) == ([1, 10], b"11")
