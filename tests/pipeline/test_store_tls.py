"""Redis over TLS with a user's password: what works, and failures in one line without the password."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pipeline.errors import EXIT_INPUT, EXIT_SERVICE, InputError, StoreError
from pipeline.settings import settings
from pipeline.store import open_store
from tests.certificates import Authority
from tests.commands import Vnome
from tests.ports import free_port
from tests.redis_cluster import running_cluster
from tests.redis_locks import RedisLocks
from tests.streaming import RedisWithFile

SECRET = "s3cret"  # noqa: S105
pytestmark = pytest.mark.redis_tls


@pytest.fixture(scope="module")
def server(redis_locks: RedisLocks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisWithFile]:
    """A real server with TLS."""
    running = RedisWithFile(tmp_path_factory.mktemp("redis"), redis_locks)
    running.start()
    yield running
    running.kill()


def told(url: str, *secrets: str) -> str:
    """What a user is told who opens this url."""
    with pytest.raises((StoreError, InputError)) as caught:
        open_store(url).close()
    text = str(caught.value)
    code = EXIT_INPUT if isinstance(caught.value, InputError) else EXIT_SERVICE
    assert caught.value.exit_code == code
    assert "\n" not in text
    assert not [secret for secret in (SECRET, *secrets) if secret in text]
    return f"{code}: {text}"


def test_a_store_over_tls(server: RedisWithFile, redis_locks: RedisLocks, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), open_store(server.url) as store:
        store.client.set("k", "x" * 100_000)
        assert store.fetch(["k"])[0] == [b"x" * 100_000]
        store.confirm()
        shown = f"Redis at rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={redis_locks.authority.file}"
        assert store.address == shown
        assert redis_locks.password not in f"{store!r} {vars(store)} {caplog.text}"


def test_the_url_in_a_file(server: RedisWithFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{server.url}\n")
    monkeypatch.setenv("VNOME_REDIS_FILE", str(tmp_path / "url"))
    settings.cache_clear()
    with open_store() as store:
        assert store.client.ping()


def test_a_cluster_over_tls(redis_locks: RedisLocks) -> None:
    with running_cluster(redis_locks) as cluster, open_store(cluster.url) as store:
        assert store.is_cluster
        names = [f"{{{k}}}" for k in range(30)]
        store.many([("SET", name, name) for name in names])
        assert store.fetch(names)[0] == [name.encode() for name in names]
        store.confirm()
        assert len({store.client.get_node_from_key(name) for name in names}) == 3  # type: ignore[attr-defined]
        several = cluster.url.replace("@127", f"@127.0.0.1:{free_port()},127")
        with open_store(several) as other:  # the first host is away
            assert other.fetch(["{1}"])[0] == [b"{1}"]
        wrong = cluster.url.replace(redis_locks.password, SECRET)
        assert "wants another user or password" in told(wrong)
        single = cluster.url.replace("+cluster", "")
        assert "is part of a Redis Cluster; write its URL as rediss+cluster://" in told(single, redis_locks.password)


def test_a_wrong_password(server: RedisWithFile, redis_locks: RedisLocks) -> None:
    for url in (
        server.url.replace(redis_locks.password, SECRET),
        server.url.replace(redis_locks.user, "nobody"),
        server.url.replace(f"{redis_locks.user}:{redis_locks.password}@", ""),
    ):
        assert told(url, redis_locks.password).endswith("wants another user or password; check VNOME_REDIS")


def test_an_unknown_authority(server: RedisWithFile, redis_locks: RedisLocks, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").file
    for url in (server.url.partition("?")[0], f"{server.url.partition('?')[0]}?ssl_ca_certs={other}"):
        text = told(url, redis_locks.password)
        assert text.startswith("3: ")
        assert "is not trusted: self-signed certificate in certificate chain; check ssl_ca_certs" in text


def test_a_certificate_of_another_host(redis_locks: RedisLocks, tmp_path: Path) -> None:
    authority = redis_locks.authority
    running = RedisWithFile(
        tmp_path, RedisLocks(authority, authority.sign("elsewhere", ("elsewhere.org", "127.0.0.1")))
    )
    running.start()
    try:
        text = told(running.url.replace("127.0.0.1", "localhost"), redis_locks.password)
        assert "is not trusted: Hostname mismatch, certificate is not valid for 'localhost'" in text
    finally:
        running.kill()


def test_plaintext_to_a_tls_port(server: RedisWithFile) -> None:
    text = told(f"redis://user:{SECRET}@127.0.0.1:{server.port}")
    assert text.startswith("3: ")
    assert "closes the connection: it may speak TLS (rediss://)" in text


@pytest.mark.redis
def test_tls_to_a_plaintext_port(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.CONNECT_SECONDS", 0.5)
    text = told(redis_url.replace("redis://", f"rediss://user:{SECRET}@"))
    assert text.startswith("3: ")
    assert "does not speak TLS" in text


def test_files_that_are_no_use(server: RedisWithFile, redis_locks: RedisLocks) -> None:
    plain = server.url.partition("?")[0]
    own, other = redis_locks.authority.sign("own"), redis_locks.authority.sign("other")
    for query, words in (
        ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs=/nowhere/ca.pem cannot be read: No such file"),
        (f"ssl_ca_certs={__file__}", "holds no certificates in PEM form"),
        (f"ssl_certfile={own.certificate}&ssl_keyfile={other.key}", "holds not the key of"),
        (f"ssl_cert_reqs=perhaps&ssl_password={SECRET}", "cannot be read; accepted"),
    ):
        text = told(f"{plain}?{query}", redis_locks.password)
        assert text.startswith("2: VNOME_REDIS")
        assert words in text


def test_parameters_of_tls_without_tls(redis_locks: RedisLocks) -> None:
    text = told(f"redis://user:{SECRET}@host?ssl_ca_certs={redis_locks.authority.file}")
    assert text.startswith("2: VNOME_REDIS=redis://host?ssl_ca_certs=")


def test_a_command_says_so(
    server: RedisWithFile, redis_locks: RedisLocks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vnome = Vnome(capsys)
    for url, code, words in (
        (server.url.replace(redis_locks.password, SECRET), 3, "wants another user or password"),
        (server.url + "x", 2, "cannot be read"),
    ):
        monkeypatch.setenv("VNOME_REDIS", url)
        settings.cache_clear()
        ran = vnome("list")
        assert ran.failed_with(code, words)
        assert SECRET not in ran.err


def test_a_server_that_goes_away(redis_locks: RedisLocks, tmp_path: Path) -> None:
    running = RedisWithFile(tmp_path, redis_locks)
    running.start()
    with open_store(running.url) as store:
        running.kill()
        with pytest.raises(StoreError, match="cannot be reached") as caught, store.errors():
            store.client.get("k")
    assert isinstance(caught.value.__cause__, redis.RedisError)
    assert redis_locks.password not in f"{caught.value} {caught.value.__cause__}"
