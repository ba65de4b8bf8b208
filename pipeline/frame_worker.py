"""The work of a stream processor on the frames that it took: stages, Redis, dead letters.

Two threads, so that pictures of the next batch are decoded while the models run on this one: the reader splits off
what is under suspicion, decodes, and hands on; the coder runs the other stages and writes. Both keep the order.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.attempts import MOST_ALONE, Attempts, Partition
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.dead_letters import DeadLetter, DeadLetters, letter_of
from pipeline.errors import InputError, StoreError
from pipeline.logs import get_logger
from pipeline.messages import END, REFERENCE, BadMessage, Place, parse_message
from pipeline.metrics import Metrics
from pipeline.offsets import Offsets
from pipeline.references import References
from pipeline.stages.decode import Decode
from pipeline.stages.work import CameraFrame, Memories, Stage
from pipeline.store import Store

T = TypeVar("T")

DECODERS = 4  # threads; libjpeg does not hold the interpreter's lock
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0  # between attempts to reach a service that is away
CONFIRM_EVERY_SECONDS = 0.5

log = get_logger(__name__)


class Stopped(Exception):
    """The worker was told to stop while it waited for a service."""


@dataclass
class Batch:
    """Records of Kafka in work. alone: one of them may have killed a worker, so they are taken one by one."""

    records: list[Any] = field(repr=False)
    alone: bool = False
    frames: list[CameraFrame] = field(default_factory=list, repr=False)
    letters: list[DeadLetter] = field(default_factory=list, repr=False)


class FrameWorker:
    """Takes batches of records, in order, and leaves each frame in Redis once or among the dead letters.

    stages: after decoding. offsets: where the progress is noted.
    """

    def __init__(
        self,
        store: Store,
        decode: Decode,
        stages: Sequence[Stage],
        attempts: Attempts,
        dead_letters: DeadLetters,
        offsets: Offsets,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._decode, self._stages = decode, stages
        self._attempts, self._dead_letters, self._offsets = attempts, dead_letters, offsets
        self._metrics = metrics
        self._stream = CodeStream(store)
        self._references = References(store)
        self._memories = Memories()
        self._suspects: dict[Partition, int] = {}
        self._pool = ThreadPoolExecutor(DECODERS, "decode")
        self._taken: queue.Queue[Batch | None] = queue.Queue()
        self._decoded: queue.Queue[Batch | None] = queue.Queue(1)
        self._abort = threading.Event()
        self._waiting = 0  # batches taken and not written
        self._lock = threading.Lock()
        self.trouble: str | None = None  # what it waits for, in words
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in (self._read, self._code, self._confirm)
        ]

    def warm_up(self) -> None:
        """Does what is slow the first time."""
        for stage in self._stages:
            stage.warm_up()

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Batches that were taken and are not written yet."""
        return self._waiting

    def check(self) -> None:
        """Raises what ended a thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def take(self, records: list[Any]) -> None:
        """Takes records in the order in which Kafka gave them; does not wait."""
        for partition, first, last in _spans(records):
            self._offsets.take(partition, first, last)
        with self._lock:
            self._waiting += 1
        self._metrics.queue_depth.labels("batches").set(self._waiting)
        self._taken.put(Batch(records))

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Partitions that others may have worked on meanwhile."""
        for partition in partitions:
            self._suspects.pop(partition, None)

    def stop(self, seconds: float) -> bool:
        """Finishes what was taken, for at most so long. Returns whether all is done."""
        deadline = time.monotonic() + seconds
        self._taken.put(None)
        for thread in self._threads[:2]:
            thread.join(max(deadline - time.monotonic(), 0))
        done = not any(thread.is_alive() for thread in self._threads[:2])
        if done:
            done = self._offsets.wait_for([*self._offsets.written()], max(deadline - time.monotonic(), 0))
        self._abort.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        return done

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001  it is raised again in the main thread
            self._failure = error

    # The reader's thread

    def _read(self) -> None:
        while (batch := self._taken.get()) is not None:
            alone, rest = self._split(batch.records)
            self._insist(lambda: self._attempts.begin(self._offsets.in_work()))
            if alone:
                with self._lock:
                    self._waiting += 1
                self._hand_on(Batch(alone, alone=True))
            ready = Batch(rest)
            self._prepare(ready)
            self._hand_on(ready)
        self._hand_on(None)

    def _hand_on(self, batch: Batch | None) -> None:
        while not self._abort.is_set():
            with suppress(queue.Full):
                self._decoded.put(batch, timeout=0.5)
                return
        raise Stopped

    def _split(self, records: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Those on which a worker may have died, and the others."""
        for partition, _, _ in _spans(records):
            if partition not in self._suspects:
                found = self._insist(lambda partition=partition: self._attempts.suspects(partition))  # type: ignore[misc]
                self._suspects[partition] = found[1] if found else -1
        alone: list[Any] = []
        rest: list[Any] = []
        for record in records:
            suspected = record.offset <= self._suspects[record.topic, record.partition]
            (alone if suspected else rest).append(record)
        return alone, rest

    def _prepare(self, batch: Batch) -> None:
        """Checks and decodes a batch's records; what is wrong with one becomes a letter."""
        started = time.monotonic()
        for record, result in zip(batch.records, self._pool.map(self._decoded_frame, batch.records), strict=True):
            if isinstance(result, BadMessage):
                batch.letters.append(letter_of(record, result))
            else:
                batch.frames.append(result)
        self._metrics.stage_seconds.labels("decode").observe(time.monotonic() - started)

    def _decoded_frame(self, record: Any) -> CameraFrame | BadMessage:
        place = Place(record.topic, record.partition, record.offset)
        try:
            message = parse_message(record.key, record.value, record.headers, record.timestamp, place)
            with self._lock:
                memory = self._memories.of(message)
            frame = CameraFrame(message, memory)
            self._decode.work([frame])
        except BadMessage as bad:
            return bad
        except Exception as error:  # noqa: BLE001  whatever bytes do to a codec, the other frames must go on
            return BadMessage("corrupt", f"decoding failed ({type(error).__name__}: {error})")
        return frame

    # The coder's thread

    def _code(self) -> None:
        while (batch := self._decoded.get()) is not None:
            parts = [Batch([record], alone=True) for record in batch.records] if batch.alone else [batch]
            for part in parts:
                self._process(part)
            with self._lock:
                self._waiting -= 1
            self._metrics.queue_depth.labels("batches").set(self._waiting)

    def _process(self, batch: Batch) -> None:
        """Order of effects: 1. stages, 2. Redis, 3. dead letters, 4. the offsets are noted as written."""
        place = (
            Place(batch.records[0].topic, batch.records[0].partition, batch.records[0].offset) if batch.alone else None
        )
        if place is not None:
            killed = self._insist(lambda: self._attempts.alone(place))
            if killed >= MOST_ALONE:
                bad = BadMessage("killed", f"{killed} workers died on this frame")
                batch.letters.append(letter_of(batch.records[0], bad))
            else:
                self._prepare(batch)
        # 1. The stages.
        for stage in self._stages:
            self._run(stage, batch)
        # 2. Redis.
        self._push(batch)
        for one in batch.frames:
            if one.message.type == END:
                self._finish_reference(one, batch)
        # 3. Dead letters.
        if batch.letters:
            self._bury(batch.letters)
        if place is not None:
            self._insist(lambda: self._attempts.survived([place]))
        # 4. All frames of the batch are where they belong.
        for partition, _, last in _spans(batch.records):
            self._offsets.write(partition, last)

    def _run(self, stage: Stage, batch: Batch) -> None:
        """Runs a stage on a batch; when it fails, on each frame alone, so that one cannot spoil the others."""
        started = time.monotonic()
        try:
            stage.work(batch.frames)
        except Exception:  # noqa: BLE001  whatever a picture does to a model, the other frames must go on
            batch.frames = [one for one in batch.frames if self._survives(stage, one, batch)]
        self._metrics.stage_seconds.labels(stage.name).observe(time.monotonic() - started)

    def _survives(self, stage: Stage, one: CameraFrame, batch: Batch) -> bool:
        try:
            stage.work([one])
        except Exception as error:  # noqa: BLE001  see `_run`
            text = f"stage {stage.name} failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            bad = error if isinstance(error, BadMessage) else BadMessage("corrupt", text)
            record = next(record for record in batch.records if _is_of(record, one.message.place))
            batch.letters.append(letter_of(record, bad))
            return False
        return True

    def _push(self, batch: Batch) -> None:
        started = time.monotonic()
        coded = [one for one in batch.frames if one.coded is not None]
        if not coded:
            return
        entries = [CodeEntry(one.message, one.coded, one.labels) for one in coded if one.coded is not None]
        new, follow = self._insist(lambda: self._stream.push(entries))
        now = time.time()
        for one, is_new in zip(coded, new, strict=True):
            message = one.message
            if message.role != REFERENCE:
                one.memory.follow = follow.get(message.camera)
                self._metrics.capture_to_code_seconds.observe(max(now - message.ts_ns / 1e9, 0))
            self._metrics.count_frame(message.camera, "coded" if is_new else "duplicate")
        self._metrics.batch_frames.observe(len(coded))
        self._metrics.stage_seconds.labels("push").observe(time.monotonic() - started)

    def _finish_reference(self, one: CameraFrame, batch: Batch) -> None:
        message = one.message
        try:
            outcome = self._insist(lambda: self._references.finish(message, self._decode.encoder))
        except (BadMessage, InputError) as error:
            bad = error if isinstance(error, BadMessage) else BadMessage("code", str(error))
            record = next(record for record in batch.records if _is_of(record, message.place))
            batch.letters.append(letter_of(record, bad))
            return
        log.info("reference", video=message.video, outcome=outcome)
        self._metrics.count_frame(message.camera, "end")

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._dead_letters.park(letters):
            self.trouble = "Kafka does not take dead letters"
            log.warning("Kafka does not take dead letters, waiting", letters=len(letters))
            wait = self._pause(wait)
        self.trouble = None
        for letter in letters:
            self._metrics.dead_letters_total.labels(letter.reason).inc()
            place = letter.place
            log.warning(
                "dead letter", reason=letter.reason, error=letter.text, partition=place.partition, offset=place.offset
            )

    # The confirmer's thread

    def _confirm(self) -> None:
        """What is written becomes what is on Redis's disk, and may be committed."""
        while not self._abort.wait(CONFIRM_EVERY_SECONDS):
            written = self._offsets.written()
            if written:
                self._insist(self._store.confirm)
                self._offsets.confirm(written)

    # A service that is away

    def _insist(self, action: Callable[[], T]) -> T:
        """The result of an action on Redis, however long Redis is away. Raises Stopped when told to stop meanwhile."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                result = action()
            except StoreError as error:
                self.trouble = str(error)
                log.warning("Redis is away, waiting", error=str(error))
                wait = self._pause(wait)
            else:
                self.trouble = None
                return result

    def _pause(self, wait: float) -> float:
        if self._abort.wait(wait):
            raise Stopped
        return min(wait * 2, LONGEST_WAIT_SECONDS)


def _spans(records: Sequence[Any]) -> list[tuple[Partition, int, int]]:
    """First and last offset of each partition in a batch."""
    spans: dict[Partition, tuple[int, int]] = {}
    for record in records:
        first, _ = spans.get((record.topic, record.partition), (record.offset, 0))
        spans[record.topic, record.partition] = (first, record.offset)
    return [(partition, first, last) for partition, (first, last) in spans.items()]


def _is_of(record: Any, place: Place) -> bool:
    return (record.topic, record.partition, record.offset) == (place.topic, place.partition, place.offset)
