"""The look-up table made anew from the tracks, while queries and changes of the catalogue go on.

The postings of all videos are sorted by partition into files, then each partition is exchanged as a whole, together
with what came into it meanwhile: whoever would change it waits for that moment, and should the lock run out, the
exchange takes place only if the partition has not changed since it was read. So at every moment the table is right,
also when the rebuilding ends half-way.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.buckets import PARTITIONS, mix, partitions_of
from pipeline.channels import live_postings
from pipeline.errors import StoreError
from pipeline.library import Library
from pipeline.partitions import Contents
from pipeline.postings import Postings

LEASE_MS = 15_000
MOST_TRIES = 1000  # of an exchange while others change the partition
_ROW = np.dtype([("mixed", "<u4"), ("number", "<u4"), ("tick", "<u4")])


def rebuild(library: Library, report: Callable[[int, int], None]) -> int:
    """Makes the table anew and returns how many postings it has.

    report: called with what is done and what there is to do, in videos and partitions. Raises StoreError when the
    store fails, or when another process is rebuilding it; what was there is still found then.
    """
    with _lease(library), tempfile.TemporaryDirectory(prefix="vnome-rebuild-") as folder:
        library.recover()
        # 1. All postings, by partition, of the videos that are there now.
        live = {record.number for record in library.videos() if record.is_live}
        videos = library.numbers()
        spill = _Spill(Path(folder))
        for done, number in enumerate(sorted(videos)):
            for postings in _postings(library, number):
                spill.add(postings)
            _renew(library)
            report(done + 1, len(videos) + PARTITIONS)
        # 2. Partition after partition.
        for partition in range(PARTITIONS):
            _renew(library)
            _exchange(library, partition, spill.contents(partition), videos - live)
            report(len(videos) + partition + 1, len(videos) + PARTITIONS)
        for stray in list(library.lut.partitions.stray_buckets()):
            library.lut.partitions.delete_stray(*stray)
        library.store.confirm()
    return sum(state.postings for state in library.lut.partitions.states())


def _exchange(library: Library, partition: int, ours: Contents, videos: set[int]) -> None:
    """Exchanges a partition for what follows from the tracks.

    What it holds of other videos, which came meanwhile or are being added, stays; that of none goes.
    ours: the postings from the tracks, of `videos` and of channels; those of what has gone meanwhile are left out.
    """
    table = library.lut.partitions
    for _ in range(MOST_TRIES):
        with table.locked(partition):
            state, there = table.seen(partition)
            in_work = library.in_work()  # looked at first: a video leaves it for the catalogue
            now = library.numbers()
            kept = np.isin(there.numbers, _array((now | in_work) - videos))
            wanted = np.isin(ours.numbers, _array(now))
            both = Contents(
                np.concatenate([there.mixed[kept], ours.mixed[wanted]]),
                np.concatenate([there.numbers[kept], ours.numbers[wanted]]),
                np.concatenate([there.ticks[kept], ours.ticks[wanted]]),
            )
            done = table.replace(partition, both, state)
        if done:
            gone = now - library.numbers()
            if gone:  # removed between the look and the exchange
                library.lut.remove_from(sorted(gone), ours)
            return
    raise StoreError(f"{library.store.address}: the look-up table changes too fast; try again")


def _array(numbers: set[int]) -> npt.NDArray[np.uint32]:
    return np.array(sorted(numbers), np.uint32)


def _postings(library: Library, number: int) -> list[Postings]:
    """All postings of a video, or of a channel as far as it is kept."""
    record = library.resolve([number]).get(number)
    track, _ = library.whole_track(number)
    if record is not None and record.is_live:
        return live_postings(number, track)
    return [Postings.of_track(number, track)]


class _Spill:
    """Postings in a file for each partition."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / str(partition) for partition in range(PARTITIONS)]

    def add(self, postings: Postings) -> None:
        mixed = mix(postings.codes)
        rows = np.empty(len(mixed), _ROW)
        rows["mixed"], rows["number"], rows["tick"] = mixed, postings.video_number, postings.ticks
        partitions = partitions_of(mixed)
        for partition in np.unique(partitions).tolist():
            with self._files[partition].open("ab") as file:
                file.write(rows[partitions == partition].tobytes())

    def contents(self, partition: int) -> Contents:
        path = self._files[partition]
        rows = np.fromfile(path, _ROW) if path.exists() else np.empty(0, _ROW)
        return Contents(rows["mixed"].copy(), rows["number"].copy(), rows["tick"].copy())


@contextmanager
def _lease(library: Library) -> Iterator[None]:
    """This process alone rebuilds. Raises StoreError when another does."""
    mine = uuid.uuid4().hex
    with library.store.errors():
        taken = library.store.client.set(keys.REBUILD, mine, nx=True, px=LEASE_MS)
    if not taken:
        raise StoreError(f"{library.store.address}: another process is rebuilding the table; wait until it is done")
    try:
        yield
    finally:
        with library.store.errors():
            library.store.client.delete(keys.REBUILD)


def _renew(library: Library) -> None:
    with library.store.errors():
        library.store.client.pexpire(keys.REBUILD, LEASE_MS)
