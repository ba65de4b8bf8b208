"""Connections to Kafka, as VNOME needs them, and their failures in words.

Python code that computes Kafka's checksums manages 100 frames a second; the package `crc32c`, which kafka-python calls
optional, does tens of thousands, so it is required here.
"""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    AuthorizationError,
    FencedInstanceIdError,
    KafkaConfigurationError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
    UnsupportedSaslMechanismError,
)

from pipeline.broker_probe import WRONG_LOGIN, ask_broker
from pipeline.errors import InputError, KafkaRefusalError, KafkaServiceError
from pipeline.kafka_security import kafka_security
from pipeline.settings import settings

FRAMES, MATCHES, DEAD = "vnome.frames", "vnome.matches", "vnome.dead"
PARTITIONS = 12  # of the topics that VNOME makes: as many divisors as possible, for processors to share
KEEP_FRAMES_MS = 30 * 60_000  # live frames lose their value; long enough for a restart of all the rest
MOST_MESSAGE_BYTES = 9_000_000  # of the dead letters: the largest frame that is read, and its headers
FETCHED_BYTES = 16_000_000  # at once, of all partitions of a processor
ALL_RECORDS = 1_000_000  # more than fit in it
BOOTSTRAP_MS = 10_000
# Members learn from a heartbeat that others have come or gone; frames of partitions that move wait for it.
HEARTBEAT_SECONDS = 0.2
REQUEST_MS = 15_000
_AWAY = "cannot be reached; check that it runs, and VNOME_KAFKA"
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True)
class Topics:
    """The names of the three topics."""

    frames: str = FRAMES
    matches: str = MATCHES
    dead: str = DEAD


def bootstrap_servers(given: str | None = None) -> list[str]:
    """HOST:PORT of each server of `given` or the settings. Raises InputError when there is none, or not so written."""
    text = settings().kafka if given is None else given
    servers = [server.strip() for server in text.split(",") if server.strip()]
    if not servers:
        raise InputError("no Kafka named; set VNOME_KAFKA=HOST:PORT (make kafka runs one here)")
    for server in servers:
        match = _SERVER.fullmatch(server)
        if not match or not 0 < int(match.group(2)) < 65536:
            raise InputError(f"VNOME_KAFKA: {server[:80]!r} is not HOST:PORT")
    return servers


@contextmanager
def kafka_errors(servers: Sequence[str]) -> Iterator[None]:
    """Turns what kafka-python raises in the block into a KafkaServiceError of one line."""
    try:
        yield
    except KafkaError as error:
        final = isinstance(error, SaslAuthenticationFailedError | UnsupportedSaslMechanismError)
        kind = KafkaRefusalError if final else KafkaServiceError
        raise kind(f"Kafka at {','.join(servers)} {_in_words(error)}") from None


def _in_words(error: KafkaError) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, FencedInstanceIdError):
        return "has another processor of this --instance; give each its own"
    if isinstance(error, SaslAuthenticationFailedError):
        return WRONG_LOGIN
    if isinstance(error, AuthorizationError):
        return f"does not allow it ({type(error).__name__}); check the user's rights"
    if isinstance(error, KafkaConnectionError | KafkaTimeoutError | KafkaConfigurationError):
        return _AWAY
    return f"refuses: {type(error).__name__}: {text}"


def client_options(servers: Sequence[str]) -> dict[str, Any]:
    """What every Kafka client is opened with: where the servers are, and how the settings secure the connections.

    Raises InputError for settings that cannot be used.
    """
    security = kafka_security(settings())
    return {"bootstrap_servers": list(servers), "bootstrap_timeout_ms": BOOTSTRAP_MS, **security.options()}


def require_broker(servers: Sequence[str]) -> None:
    """Raises KafkaServiceError when no server can be used, KafkaRefusalError when one says why it never will be.

    kafka-python would wait, for ever at times. Also raises InputError for settings that cannot be used.
    """
    security = kafka_security(settings())
    trouble = KafkaServiceError(f"Kafka at {','.join(servers)} {_AWAY}")
    for server in servers:
        try:
            return ask_broker(server, security)
        except KafkaRefusalError:
            raise
        except KafkaServiceError as error:
            trouble = error
        except (OSError, UnicodeError):  # the latter of a host that is no name
            continue
    raise trouble


def require_checksums() -> None:
    """Raises InputError when kafka-python would compute checksums in Python."""
    if importlib.util.find_spec("crc32c") is None:
        raise InputError("the package crc32c is missing, without it Kafka is 400 times slower; pip install crc32c")


def open_consumer(servers: Sequence[str], group: str, instance: str | None, session_seconds: float) -> Any:
    """A member of the consumer group that reads from the oldest frame not committed, and commits only when told.

    A poll gives all that was fetched, at most about `FETCHED_BYTES`. kafka-python (3.0.12) forgets a partition that is
    paused while a poll has given a part only of what was fetched of it.
    """
    require_checksums()
    require_broker(servers)
    with kafka_errors(servers):
        return KafkaConsumer(
            **client_options(servers),
            group_id=group,
            group_instance_id=instance,
            client_id=f"vnome-process-{instance or 'x'}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[CooperativeStickyAssignor()],
            max_poll_records=ALL_RECORDS,
            fetch_max_bytes=FETCHED_BYTES,
            session_timeout_ms=round(session_seconds * 1000),
            heartbeat_interval_ms=round(min(HEARTBEAT_SECONDS, session_seconds / 4) * 1000),
            max_partition_fetch_bytes=MOST_MESSAGE_BYTES,
            fetch_max_wait_ms=100,
            request_timeout_ms=REQUEST_MS,
            reconnect_backoff_max_ms=2_000,
        )


def open_producer(servers: Sequence[str], delivery_ms: int = 60_000, once: bool = True) -> Any:
    """A producer whose messages are acknowledged by all replicas, in order and once.

    once: off where others see to it that a message counts once. kafka-python (3.0.12) may fall silent for good when a
    message that must come once is given up while a broker is replaced.
    """
    require_checksums()
    require_broker(servers)
    with kafka_errors(servers):
        return KafkaProducer(
            **client_options(servers),
            client_id="vnome",
            acks="all",
            enable_idempotence=once,
            max_in_flight_requests_per_connection=5 if once else 1,  # order
            compression_type=None,  # a JPEG does not shrink
            batch_size=1_000_000,
            linger_ms=5,
            max_request_size=MOST_MESSAGE_BYTES,
            delivery_timeout_ms=delivery_ms,
            request_timeout_ms=min(REQUEST_MS, delivery_ms // 2),
            max_block_ms=5_000,
            reconnect_backoff_max_ms=2_000,
        )


def ensure_topics(servers: Sequence[str], topics: Topics, partitions: int = PARTITIONS) -> None:
    """Makes those of the topics that are not there, with the cluster's own replication."""
    wanted = {
        topics.frames: (partitions, {"retention.ms": str(KEEP_FRAMES_MS)}),
        topics.matches: (partitions, {}),
        topics.dead: (1, {"max.message.bytes": str(MOST_MESSAGE_BYTES)}),
    }
    require_broker(servers)
    with kafka_errors(servers):
        admin = KafkaAdminClient(**client_options(servers), request_timeout_ms=REQUEST_MS)
        try:
            there = set(admin.list_topics())
            for name, (count, config) in wanted.items():
                if name not in there:
                    _create(admin, name, {"num_partitions": count, "configs": config})
        finally:
            admin.close()


def _create(admin: Any, name: str, options: dict[str, Any]) -> None:
    try:
        admin.create_topics({name: options}, wait_for_metadata=True)
    except TopicAlreadyExistsError:  # another process was quicker
        return


def lag_of(consumer: Any) -> dict[TopicPartition, int]:
    """How many frames each assigned partition is behind, as far as is known."""
    lags = {}
    for partition in consumer.assignment():
        end = consumer.highwater(partition)
        if end is not None:
            lags[partition] = max(end - consumer.position(partition), 0)
    return lags
