"""What all tests share: a folder of their own, fixed seeds, one real Redis, and skips that can be forbidden."""

import logging
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import structlog
from kafka.admin import KafkaAdminClient

from pipeline.broker import Topics, ensure_topics
from pipeline.detector import default_detector
from pipeline.embedded import IDLE_VARIABLE, Answer, ask, server_binary
from pipeline.encoder import default_encoder
from pipeline.errors import StoreError
from pipeline.gateway.pages import built_pages
from pipeline.logs import LIBRARIES
from pipeline.recogniser import default_recogniser
from pipeline.settings import Settings, settings
from pipeline.store import Store, open_store
from tests.certificates import Authority
from tests.kafka_broker import BrokerError, GivenBroker, KafkaBroker, Locks, missing, running_broker
from tests.ports import free_port
from tests.redis_cluster import Cluster, running_cluster
from tests.redis_locks import RedisLocks, missing_server

SEED = 20140401
START_SECONDS = 10.0
REQUIRE_VARIABLE = "VNOME_REQUIRE"  # comma list of markers whose tests must not be skipped
KAFKA_VARIABLE = "VNOME_TEST_KAFKA"  # HOST:PORT of a broker to test with, instead of one of our own
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "headless_shell")
REDIS_VARIABLE = "VNOME_TEST_REDIS"  # URL of an empty database to test with, instead of a server of our own


def _no_program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"no {name} on this machine"


def _no_kafka() -> str | None:
    return None if os.environ.get(KAFKA_VARIABLE) else missing()


def _no_server() -> str | None:
    if os.environ.get(REDIS_VARIABLE):
        return None
    try:
        server_binary()
    except StoreError as error:
        return str(error)
    return None


def _no_browser() -> str | None:
    if not any(map(shutil.which, CHROMIUMS)):
        return "no Chromium on this machine"
    if find_spec("playwright") is None:
        return "no package playwright: pip install playwright"
    return None if built_pages() else "the pages are not built: make web"


# marker -> why its tests cannot run here, or None
MISSING: dict[str, Callable[[], str | None]] = {
    "kafka": _no_kafka,
    "redis": _no_server,
    "cluster": _no_server,
    "redis_tls": missing_server,
    "browser": _no_browser,
    "docker": _no_program("docker"),
    "gpu": _no_program("nvidia-smi"),
}


def skip_or_fail(marker: str, reason: str) -> NoReturn:
    """Ends a test whose part is missing: skipped, or failed where `VNOME_REQUIRE` lists its marker."""
    required = os.environ.get(REQUIRE_VARIABLE, "").replace(" ", "").split(",")
    if marker in required:
        pytest.fail(f"{REQUIRE_VARIABLE} names {marker}, but: {reason}", pytrace=False)
    pytest.skip(f"{marker}: {reason}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Looks for what the markers of a test say that it needs."""
    for marker, reason_of in MISSING.items():
        reason = reason_of() if item.get_closest_marker(marker) is not None else None
        if reason is not None:
            skip_or_fail(marker, reason)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own data folder, not made yet, and settings that know of no other."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VNOME_{name.upper()}", raising=False)
    parent = Path(tempfile.mkdtemp(prefix="vn-", dir="/tmp"))  # pytest's own is too long for a socket
    monkeypatch.setenv("VNOME_HOME", str(parent / "h"))
    monkeypatch.setenv(IDLE_VARIABLE, "2")
    caches = (settings, default_encoder, default_detector, default_recogniser)
    for cache in caches:
        cache.cache_clear()
    yield parent / "h"
    for cache in caches:
        cache.cache_clear()
    shutil.rmtree(parent, ignore_errors=True)  # a server in it that is still warm sees that and stops


@pytest.fixture(autouse=True)
def seeds() -> Iterator[None]:
    """Global random numbers start the same in each test, and leave no trace."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(SEED)
    np.random.seed(SEED)
    yield
    random.setstate(python_state)
    np.random.set_state(numpy_state)


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """What a long-running command sets up in its process ends with the test: signals and logs."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
    structlog.reset_defaults()
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
        library.setLevel(logging.NOTSET)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers with a fixed seed."""
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def small_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a detector's bundle that was never trained: it says something, and always the same, of a picture."""
    from tests.bundle_samples import detector_bundle  # here, for it brings torch

    return detector_bundle(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """A real broker, one for the whole session."""
    reason = _no_kafka()
    if reason is not None:
        skip_or_fail("kafka", reason)
    given = os.environ.get(KAFKA_VARIABLE)
    if given:
        yield GivenBroker(given)
        return
    try:
        with running_broker() as broker:
            yield broker
    except BrokerError as error:
        skip_or_fail("kafka", str(error))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates of the session's servers."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def locked_kafka(authority: Authority) -> Iterator[KafkaBroker]:
    """A real broker with TLS and users, one for the whole session."""
    reason = missing()
    if reason is not None:
        skip_or_fail("kafka", reason)
    try:
        with running_broker(locks=Locks(authority, authority.sign("kafka"))) as broker:
            yield broker
    except BrokerError as error:
        skip_or_fail("kafka", str(error))


@pytest.fixture(scope="session")
def redis_locks(authority: Authority) -> RedisLocks:
    """How a Redis with TLS and a user is run and used."""
    reason = missing_server()
    if reason is not None:
        skip_or_fail("redis_tls", reason)
    return RedisLocks(authority, authority.sign("redis"))


@pytest.fixture
def topics(kafka: KafkaBroker) -> Iterator[Topics]:
    """Topics of the test's own, with 4 partitions, that go when it ends."""
    with own_topics(kafka) as names:
        yield names


@contextmanager
def own_topics(kafka: KafkaBroker) -> Iterator[Topics]:
    """New topics with names that nobody else has, deleted after the block."""
    name = f"t{uuid.uuid4().hex[:12]}"
    names = Topics(f"{name}.frames", f"{name}.matches", f"{name}.dead")
    ensure_topics([kafka.bootstrap], names, 4)
    try:
        yield names
    finally:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap, bootstrap_timeout_ms=10_000)
        try:
            admin.delete_topics([names.frames, names.matches, names.dead])
        finally:
            admin.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a real server, one for the whole session."""
    given = os.environ.get(REDIS_VARIABLE)
    if given:
        yield given
        return
    reason = _no_server()
    if reason is not None:
        skip_or_fail("redis", reason)
    folder = Path(tempfile.mkdtemp(prefix="vn-redis-", dir="/tmp"))
    port, path = free_port(), folder / "s.sock"
    command = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path)]
    command += ["--dir", str(folder), "--save", ""]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + START_SECONDS
            while ask(path) is not Answer.READY:
                assert time.monotonic() < deadline, "the test server does not start"
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
    shutil.rmtree(folder)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a module that says `ON_CLUSTER = True` run on a server and on a cluster."""
    if getattr(metafunc.module, "ON_CLUSTER", False) and {"store", "redis_url"} & {*metafunc.fixturenames} == {"store"}:
        on_cluster = pytest.param("cluster", marks=pytest.mark.cluster)
        metafunc.parametrize("store", ["server", on_cluster], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An open and empty store on a real server; in some modules also on a real cluster."""
    if getattr(request, "param", "server") == "cluster":
        with open_store(request.getfixturevalue("cluster").url) as opened:
            yield opened
        return
    with open_store(request.getfixturevalue("redis_url")) as opened:
        if not os.environ.get(REDIS_VARIABLE):
            opened.client.flushdb()
        assert opened.client.dbsize() == 0, f"the database of {REDIS_VARIABLE} is not empty"
        yield opened
        opened.client.flushdb()


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    """A real Redis Cluster of three masters, one for the whole session."""
    reason = _no_server()
    if reason is not None:
        skip_or_fail("cluster", reason)
    with running_cluster() as running:
        yield running


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Cluster:
    """The same, empty and with all its masters."""
    for node in whole_cluster.nodes:
        if node.process is None:
            node.start()
    whole_cluster.await_whole()
    for node in whole_cluster.nodes:
        node.client.flushall()
    return whole_cluster
