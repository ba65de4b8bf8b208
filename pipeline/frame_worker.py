"""The work of a stream processor on the frames that it took: stages, Redis, dead letters.

A thread for each step - decoding, each stage, writing - and one batch between any two, so that the steps work at the
same time on batches that follow one another: the processor is as fast as its slowest step. The order is kept.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pipeline.attempts import MOST_ALONE, Attempts, Partition
from pipeline.camera_pictures import CameraPictures
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.dead_letters import DeadLetter, DeadLetters, letter_of
from pipeline.errors import InputError, StoreError
from pipeline.frames import RgbImage
from pipeline.logs import get_logger
from pipeline.messages import END, QUERY, BadMessage, Place, parse_message
from pipeline.metrics import Metrics
from pipeline.offsets import Offsets
from pipeline.references import References
from pipeline.stages.decode import Decode
from pipeline.stages.work import CameraFrame, Memories, Stage
from pipeline.store import Store
from pipeline.tracing import records_span

T = TypeVar("T")

DECODERS = 4  # threads; libjpeg does not hold the interpreter's lock
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0  # between attempts to reach a service that is away
CONFIRM_EVERY_SECONDS = 0.5

log = get_logger(__name__)


class Stopped(Exception):
    """The worker was told to stop while it waited for a service."""


@dataclass
class Batch:
    """Records of Kafka in work. last: with it, all of what was taken together is done. alone: of a frame alone."""

    records: list[Any] = field(repr=False)
    last: bool = False
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
        self._pictures = CameraPictures(store)
        self._memories = Memories()
        self._suspects: dict[Partition, int] = {}
        self._pool = ThreadPoolExecutor(DECODERS, "decode")
        self._taken: queue.Queue[Batch | None] = queue.Queue()
        self._between: list[queue.Queue[Batch | None]] = [queue.Queue(1) for _ in range(len(stages) + 1)]
        self._leaving = threading.Event()  # what is not begun is left to whoever has its partition next
        self._abort = threading.Event()
        self._waiting = 0  # batches taken and not written
        self._inside = 0  # batches that were handed on by the reader and are not written
        self._changed = threading.Condition()
        self.trouble: str | None = None  # what it waits for, in words
        self._failure: BaseException | None = None
        steps: list[tuple[str, Callable[[], None]]] = [("read", self._read)]
        steps += [(stage.name, partial(self._work, k)) for k, stage in enumerate(self._stages)]
        steps += [("write", self._write)]
        self._steps = [self._thread(name, step) for name, step in steps]
        self._threads = [*self._steps, self._thread("confirm", self._confirm)]

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
        with self._changed:
            self._waiting += 1
        self._metrics.queue_depth.labels("batches").set(self._waiting)
        self._taken.put(Batch(records))

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Partitions that others may have worked on meanwhile."""
        for partition in partitions:
            self._suspects.pop(partition, None)

    def stop(self, seconds: float) -> bool:
        """Finishes what is in the last stage, for at most so long, and leaves the rest of what was taken.

        A processor that lags behind has five batches in work, which would take it ten seconds; they are not committed,
        so whoever has their partitions next reads them again. Returns whether nothing is half done.
        """
        deadline = time.monotonic() + seconds
        self._leaving.set()
        self._taken.put(None)
        for thread in self._steps:
            thread.join(max(deadline - time.monotonic(), 0))
        done = not any(thread.is_alive() for thread in self._steps)
        if done:
            self._leave_rest()
            done = self._offsets.wait_for([*self._offsets.written()], max(deadline - time.monotonic(), 0))
        self._abort.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        return done

    def abandon(self) -> None:
        """Tells the threads to end where they are, for the process ends: what is in work is read again by another."""
        self._leaving.set()
        self._abort.set()

    def _leave_rest(self) -> None:
        """Forgets what was taken and not written, also in the notes of what may kill: it did not."""
        left = self._offsets.leave()
        if left:
            with suppress(StoreError):  # else the next one takes these frames alone, which is only slower
                self._attempts.end(list(left))
            log.info("left to the next", frames=sum(left.values()))

    def _thread(self, name: str, step: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(step,), name=name, daemon=True)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001  it is raised again in the main thread
            self._failure = error

    # The reader's thread: what is under suspicion, decoding

    def _read(self) -> None:
        while (batch := self._taken.get()) is not None:
            if self._leaving.is_set():
                continue
            alone, rest = self._split(batch.records)
            self._insist(self._note_work)
            for record in alone:
                if self._leaving.is_set():  # what follows is left, too
                    break
                self._read_alone(record)
            else:
                ready = Batch(rest, last=True)
                self._prepare(ready)
                self._hand_on(0, ready)
        self._hand_on(0, None)

    def _note_work(self) -> None:
        """Of partitions of which it is not known yet what others noted, that must be read first."""
        in_work = self._offsets.in_work()
        self._attempts.begin({name: span for name, span in in_work.items() if name in self._suspects})

    def _read_alone(self, record: Any) -> None:
        """Takes a frame through all steps while nothing else is in work."""
        place = _place(record)
        self._wait_for_the_others()
        killed = self._insist(lambda: self._attempts.alone(place))
        batch = Batch([record], alone=True)
        if killed >= MOST_ALONE:
            batch.letters.append(letter_of(record, BadMessage("killed", f"{killed} workers died on this frame")))
        else:
            self._prepare(batch)
        self._hand_on(0, batch)
        self._wait_for_the_others()
        self._insist(lambda: self._attempts.survived([place]))

    def _wait_for_the_others(self) -> None:
        with self._changed:
            while self._inside:
                self._changed.wait(0.2)
                if self._abort.is_set():
                    raise Stopped

    def _hand_on(self, step: int, batch: Batch | None) -> None:
        if step == 0 and batch is not None:
            with self._changed:
                self._inside += 1
        while not self._abort.is_set():
            with suppress(queue.Full):
                self._between[step].put(batch, timeout=0.5)
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
        with records_span("process.decode", batch.records):
            results = list(self._pool.map(self._decoded_frame, batch.records))
        for record, result in zip(batch.records, results, strict=True):
            if isinstance(result, BadMessage):
                batch.letters.append(letter_of(record, result))
            else:
                batch.frames.append(result)
        self._metrics.stage_seconds.labels("decode").observe(time.monotonic() - started)

    def _decoded_frame(self, record: Any) -> CameraFrame | BadMessage:
        place = _place(record)
        try:
            message = parse_message(record.key, record.value, record.headers, record.timestamp, place)
            with self._changed:
                memory = self._memories.of(message)
            frame = CameraFrame(message, memory)
            self._decode.work([frame])
        except BadMessage as bad:
            return bad
        except Exception as error:  # noqa: BLE001  whatever bytes do to a codec, the other frames must go on
            return BadMessage("corrupt", f"decoding failed ({type(error).__name__}: {error})")
        return frame

    # A stage's thread

    def _work(self, step: int) -> None:
        while (batch := self._between[step].get()) is not None:
            if self._leaving.is_set() and not batch.alone:
                self._leave(batch)
                continue
            self._run(self._stages[step], batch)
            self._hand_on(step + 1, batch)
        self._hand_on(step + 1, None)

    def _leave(self, batch: Batch) -> None:
        """Drops a batch that this stage has not begun; those that come after it are dropped here, too."""
        with self._changed:
            self._inside -= 1
            self._waiting -= batch.last
            self._changed.notify_all()

    def _run(self, stage: Stage, batch: Batch) -> None:
        """Runs a stage on a batch; when it fails, on each frame alone, so that one cannot spoil the others."""
        if not batch.frames:
            return
        started = time.monotonic()
        try:
            with records_span(f"process.{stage.name}", batch.records):
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

    # The writer's thread

    def _write(self) -> None:
        """Order of effects: 1. Redis, 2. dead letters, 3. the offsets are noted as written."""
        while (batch := self._between[-1].get()) is not None:
            # 1. Redis.
            self._push(batch)
            for one in batch.frames:
                if one.message.type == END:
                    self._finish_reference(one, batch)
            # 2. Dead letters.
            if batch.letters:
                self._bury(batch.letters)
            # 3. All frames of the batch are where they belong.
            for partition, _, last in _spans(batch.records):
                self._offsets.write(partition, last)
            with self._changed:
                self._inside -= 1
                self._waiting -= batch.last
                self._changed.notify_all()
            self._metrics.queue_depth.labels("batches").set(self._waiting)

    def _push(self, batch: Batch) -> None:
        started = time.monotonic()
        coded = [one for one in batch.frames if one.coded is not None]
        if not coded:
            return
        entries = [CodeEntry(one.message, one.coded, one.labels) for one in coded if one.coded is not None]
        with records_span("process.push", batch.records):
            new, follow = self._insist(lambda: self._stream.push(entries))
        self._insist(lambda: self._pictures.put(self._pictures_due(coded)))
        now = time.time()
        for one, is_new in zip(coded, new, strict=True):
            message = one.message
            if message.role == QUERY:
                one.memory.follow = follow.get(message.camera)
                self._metrics.capture_to_code_seconds.observe(max(now - message.ts_ns / 1e9, 0))
            self._metrics.count_frame(message.camera, "coded" if is_new else "duplicate")
        self._metrics.batch_frames.observe(len(coded))
        self._metrics.stage_seconds.labels("push").observe(time.monotonic() - started)

    def _pictures_due(self, coded: Sequence[CameraFrame]) -> list[tuple[str, int, RgbImage]]:
        """For people to look at: the newest picture of each camera, once a second."""
        newest = {one.message.camera: one for one in coded if one.message.role == QUERY and one.frame is not None}
        return [
            (camera, one.message.ts_ns, one.frame.image)
            for camera, one in newest.items()
            if one.frame is not None and self._pictures.due(camera)
        ]

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
                if self._abort.is_set():  # the connection was closed, for the process ends
                    raise Stopped from None
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


def _place(record: Any) -> Place:
    return Place(record.topic, record.partition, record.offset)


def _is_of(record: Any, place: Place) -> bool:
    return _place(record) == place
