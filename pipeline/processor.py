"""The stream processor: frames from Kafka to codes in Redis, by a member of a consumer group.

Order of effects, so that no frame is lost and none is there twice:

    1. take      frames from Kafka, a few batches ahead; while as many more are held here, partitions are paused
    2. write     codes to Redis, once each by (camera, seq); what can never be processed to the dead letters
    3. confirm   that Redis has it on its disk
    4. commit    the offsets to Kafka

It polls all the time, also while it may take nothing, so that Kafka knows it to be alive.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any

from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import FencedInstanceIdError, KafkaError, RetriableError
from kafka.structs import OffsetAndMetadata

from pipeline.attempts import Partition
from pipeline.broker import lag_of
from pipeline.frame_worker import FrameWorker
from pipeline.logs import get_logger
from pipeline.metrics import Metrics
from pipeline.offsets import Offsets

AHEAD = 5  # batches in work: one in each step of the worker
POLL_MS = 50
COMMIT_SECONDS = 0.5
LAG_SECONDS = 5.0
REVOKE_SECONDS = 10.0  # to finish what is in work when partitions go to another processor
STOP_SECONDS = 20.0
COMMIT_AT_LAST_SECONDS = 12.0  # a rebalance that hangs ends with the session
STUCK_SECONDS = 60.0  # without a poll; then something is wrong with this process

log = get_logger(__name__)


class Processor:
    """One member of the group. consumer: see `pipeline.broker.open_consumer`. batch: frames that are coded together.

    wait_seconds: how long a batch may wait for more frames while another is coded.
    """

    def __init__(
        self,
        consumer: Any,
        topic: str,
        worker: FrameWorker,
        offsets: Offsets,
        metrics: Metrics,
        batch: int = 32,
        wait_seconds: float = 0.04,
    ) -> None:
        self._consumer, self._topic = consumer, topic
        self._worker, self._offsets, self._metrics = worker, offsets, metrics
        self._batch, self._wait_seconds = batch, wait_seconds
        self._held: list[Any] = []
        self._held_since = 0.0
        self._warm = False
        self._assigned = False
        self._committed_at = self._measured_at = 0.0
        self._polled_at = time.monotonic()

    def not_ready(self) -> str | None:
        """Why it cannot take frames; None when it can."""
        if not self._warm:
            return "models are warming up"
        if not self._assigned:
            return "no partition is assigned"
        return self._worker.trouble

    def stuck(self) -> str | None:
        """Why this process should be replaced; None when it works."""
        silent = time.monotonic() - self._polled_at
        return f"no poll for {silent:.0f} s" if self._warm and silent > STUCK_SECONDS else None

    def run(self, stop: threading.Event) -> bool:
        """Works until told to stop. Returns whether nothing is half done.

        Raises KafkaError when Kafka refuses, as when another processor has its instance; while it is only away, this
        waits.
        """
        self._worker.warm_up()
        self._warm = True
        self._worker.start()
        self._consumer.subscribe([self._topic], listener=_Rebalance(self))
        # Without the topic's partitions at hand kafka-python may assign none, and not notice when it learns of them.
        # Asked for before subscribing, they come and go again with those of all topics, and one group in six that
        # joins meanwhile cannot commit until its session ends.
        self._consumer.partitions_for_topic(self._topic)
        log.info("ready", topic=self._topic)
        try:
            while not stop.is_set():
                self._worker.check()
                self._round()
        except BaseException:
            self._worker.abandon()
            raise
        return self._finish()

    def _round(self) -> None:
        """Poll, hand over, commit."""
        room = len(self._held) < self._batch
        assigned = self._consumer.assignment()
        # A processor that is full still polls: paused partitions give nothing, and the group knows it lives.
        (self._consumer.resume if room else self._consumer.pause)(*assigned)
        try:
            polled = self._consumer.poll(timeout_ms=POLL_MS)
        except RetriableError:
            polled = {}
        self._polled_at = time.monotonic()
        self._assigned = bool(self._consumer.assignment())
        for records in polled.values():
            self._hold(records)
        self._hand_over()
        self._commit_due()
        self._measure()

    def _hold(self, records: list[Any]) -> None:
        if not self._held:
            self._held_since = time.monotonic()
        self._held += records

    def _hand_over(self) -> None:
        """Gives the worker full batches; one that is not full when it has nothing to do, or has waited enough."""
        while len(self._held) >= self._batch and self._worker.waiting < AHEAD:
            self._worker.take(self._held[: self._batch])
            self._held = self._held[self._batch :]
            self._held_since = time.monotonic()
        waited = time.monotonic() - self._held_since
        due = self._worker.waiting == 0 or (waited >= self._wait_seconds and self._worker.waiting < AHEAD)
        if 0 < len(self._held) < self._batch and due:
            self._worker.take(self._held)
            self._held = []

    def _commit_due(self) -> None:
        if time.monotonic() - self._committed_at < COMMIT_SECONDS:
            return
        self._committed_at = time.monotonic()
        self._commit()

    def _commit(self) -> bool:
        """Commits what is confirmed. Returns whether nothing is left; what fails now is committed later."""
        offsets = self._offsets.to_commit()
        if not offsets:
            return True
        try:
            self._consumer.commit(_to_kafka(offsets), timeout_ms=5_000)
        except FencedInstanceIdError:  # polling does not tell: this process would go on as if it had its partitions
            raise
        except KafkaError as error:
            log.warning("offsets are not committed yet", error=f"{type(error).__name__}: {error}")
            return False
        self._offsets.commit(offsets)
        return True

    def _commit_at_last(self) -> bool:
        """Commits, also when the group is just about to share its partitions anew."""
        deadline = time.monotonic() + COMMIT_AT_LAST_SECONDS
        while not self._commit():
            if time.monotonic() > deadline:
                return False
            self._consumer.pause(*self._consumer.assignment())
            try:
                self._consumer.poll(timeout_ms=200)  # which lets the group go on; what it gives is not taken
            except KafkaError:
                continue
        return True

    def _measure(self) -> None:
        if time.monotonic() - self._measured_at < LAG_SECONDS:
            return
        self._measured_at = time.monotonic()
        try:
            for partition, lag in lag_of(self._consumer).items():
                self._metrics.consumer_lag.labels(partition.topic, str(partition.partition)).set(lag)
        except KafkaError:  # a position that is not known while partitions move
            return

    def _finish(self) -> bool:
        if self._held:
            self._held.clear()  # not taken: whoever has the partition next reads them again
        done = self._worker.stop(STOP_SECONDS)
        if not self._commit_at_last():
            log.warning("the last offsets are not committed; their frames will be read again, and known")
        self._consumer.close(autocommit=False)
        return done

    # Partitions come and go

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """Partitions that this processor has from now on."""
        names = list(partitions)
        self._worker.assigned(names)
        log.info("assigned", partitions=[number for _, number in names])

    def revoked(self, partitions: Iterable[Partition], lost: bool = False) -> None:
        """Partitions that go to another processor: what is in work of them is finished first, in time."""
        names = set(partitions)
        self._held = [record for record in self._held if (record.topic, record.partition) not in names]
        done = False if lost else self._offsets.wait_for(names, REVOKE_SECONDS)
        offsets = {name: offset for name, offset in self._offsets.to_commit().items() if name in names}
        if offsets and not lost:
            # Not the blocking commit: this runs in the thread that would carry it out.
            self._consumer.commit_async(_to_kafka(offsets))
        self._offsets.drop(names)
        for topic, number in names:
            self._metrics.consumer_lag.remove(topic, str(number))  # it is told by whoever has the partition now
        log.info("revoked", partitions=[number for _, number in names], finished=done, lost=lost)


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the processor of partitions that come and go."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._processor.assigned([(one.topic, one.partition) for one in assigned])

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._processor.revoked([(one.topic, one.partition) for one in revoked])

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._processor.revoked([(one.topic, one.partition) for one in lost], lost=True)


def _to_kafka(offsets: dict[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*name): OffsetAndMetadata(offset, "", -1) for name, offset in offsets.items()}
