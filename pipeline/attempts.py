"""What killed a worker: notes in Redis that outlive it.

Before a worker touches frames it notes their offsets, as one range a partition. Whoever takes the partition over and
finds such a note beyond the committed offset knows that a worker died there, and takes those frames one by one, each
noted before and crossed out after. A frame that was noted alone twice and never crossed out is what kills: it goes
to the dead letters. So an innocent frame is not blamed for its neighbour, nor for a worker that was killed once or
twice while others were in work.
"""

from collections.abc import Mapping, Sequence

from pipeline import keys
from pipeline.messages import Place
from pipeline.store import Store

MOST_ALONE = 2  # workers that a frame may take with it
KEEP_MS = 7 * 24 * 3_600_000

Partition = tuple[str, int]  # topic and number
Range = tuple[int, int]  # first and last offset


class Attempts:
    """The notes of one consumer group."""

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self._key = keys.attempts(group)

    def begin(self, ranges: Mapping[Partition, Range]) -> None:
        """Notes what is being worked on, in place of what was noted of these partitions before."""
        if not ranges:
            return
        fields = {_name(partition): f"{first}-{last}" for partition, (first, last) in ranges.items()}
        with self._store.errors():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.hset(self._key, mapping=fields)  # type: ignore[arg-type]
            pipe.pexpire(self._key, KEEP_MS)
            pipe.execute()

    def end(self, partitions: Sequence[Partition]) -> None:
        """Nothing is being worked on any more of these partitions: the worker left in order."""
        if partitions:
            with self._store.errors():
                self._store.client.hdel(self._key, *map(_name, partitions))

    def suspects(self, partition: Partition) -> Range | None:
        """The offsets on which a worker was when it died, if one did; those below the committed one are innocent."""
        with self._store.errors():
            text = self._store.client.hget(self._key, _name(partition))
        if text is None:
            return None
        first, _, last = bytes(text).decode().partition("-")  # type: ignore[arg-type]
        return int(first), int(last)

    def alone(self, place: Place) -> int:
        """Notes that this frame is in work alone. Returns how many workers it had taken with it before."""
        with self._store.errors():
            return int(self._store.client.hincrby(self._key, _field(place), 1)) - 1

    def survived(self, places: Sequence[Place]) -> None:
        """Crosses frames out."""
        if places:
            with self._store.errors():
                self._store.client.hdel(self._key, *map(_field, places))


def _name(partition: Partition) -> str:
    return f"{partition[0]}:{partition[1]}"


def _field(place: Place) -> str:
    return f"{place.topic}:{place.partition}:{place.offset}"
