"""How far the work on each partition has come: taken, written, confirmed, committed."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.attempts import Partition, Range


@dataclass
class _State:
    """Each: the offset of the next frame of which it is not true yet."""

    first: int
    taken: int
    written: int
    confirmed: int
    committed: int


class Offsets:
    """Frames of a partition are taken and written in order. Safe to use from several threads."""

    def __init__(self) -> None:
        self._states: dict[Partition, _State] = {}
        self._changed = threading.Condition()

    def take(self, partition: Partition, first: int, last: int) -> None:
        """Frames from first to last are in work."""
        with self._changed:
            state = self._states.setdefault(partition, _State(first, first, first, first, first))
            state.taken = last + 1

    def write(self, partition: Partition, last: int) -> None:
        """Frames up to last are in Redis, or among the dead letters."""
        with self._changed:
            state = self._states.get(partition)
            if state is not None:
                state.written = max(state.written, last + 1)
            self._changed.notify_all()

    def written(self) -> dict[Partition, int]:
        """The next offset to write, of the partitions where something is written that is not confirmed."""
        with self._changed:
            return {name: state.written for name, state in self._states.items() if state.written > state.confirmed}

    def confirm(self, written: dict[Partition, int]) -> None:
        """What `written` said is on Redis's disk."""
        with self._changed:
            for name, offset in written.items():
                if name in self._states:
                    self._states[name].confirmed = max(self._states[name].confirmed, offset)
            self._changed.notify_all()

    def to_commit(self) -> dict[Partition, int]:
        """The offsets that may be committed and are not."""
        with self._changed:
            return {name: state.confirmed for name, state in self._states.items() if state.confirmed > state.committed}

    def commit(self, offsets: dict[Partition, int]) -> None:
        """These are committed."""
        with self._changed:
            for name, offset in offsets.items():
                if name in self._states:
                    self._states[name].committed = max(self._states[name].committed, offset)

    def in_work(self) -> dict[Partition, Range]:
        """First and last offset that are taken and not written."""
        with self._changed:
            return {
                name: (state.written, state.taken - 1)
                for name, state in self._states.items()
                if state.taken > state.written
            }

    def wait_for(self, partitions: Iterable[Partition], seconds: float) -> bool:
        """Waits until all that was taken of these partitions is confirmed. Returns whether it is."""
        wanted = set(partitions)

        def done() -> bool:
            return all(state.confirmed >= state.taken for name, state in self._states.items() if name in wanted)

        with self._changed:
            return self._changed.wait_for(done, seconds)

    def leave(self) -> dict[Partition, int]:
        """Forgets what is taken and not written, which somebody else will take: how many offsets, by partition."""
        with self._changed:
            left = {name: state.taken - state.written for name, state in self._states.items()}
            for state in self._states.values():
                state.taken = state.written
            self._changed.notify_all()
        return {name: count for name, count in left.items() if count}

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forgets partitions that belong to another worker now."""
        with self._changed:
            for name in partitions:
                self._states.pop(name, None)
            self._changed.notify_all()
