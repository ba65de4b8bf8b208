"""What films show at a moment, by the labels that are stored of them, for those who ask of the same films again.

A film's labels are fetched when its first moment is asked for, and remembered for a minute; so what live events cost
grows with the films that are on, not with the frames, nor with the catalogue.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.labels import LabelStore, Stretch
from pipeline.recogniser import Labels
from pipeline.store import Store

MOST_SHOWN = 5  # labels of a moment
KEPT_SECONDS = 60.0  # a film that is labelled anew is told so after this
KEPT_STRETCHES = 500_000  # of all films together: 10 MB
KEPT_FILMS = 10_000


@dataclass(frozen=True)
class _Film:
    """The stretches of one film, in order of their start: arrays of one length, (stretches,).

    names: the labels that there are, `label` an index of them. start, end: seconds. fetched_at: on the process's clock.
    """

    names: tuple[str, ...]
    label: npt.NDArray[np.int32]
    start: npt.NDArray[np.float32]
    end: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    fetched_at: float

    @staticmethod
    def of(stretches: Sequence[Stretch]) -> "_Film":
        names = tuple(sorted({one.label for one in stretches}))
        place = {name: k for k, name in enumerate(names)}
        column: dict[str, Any] = {
            name: np.array([getattr(one, name) for one in stretches], np.float32) for name in ("start", "end", "score")
        }
        return _Film(names, np.array([place[one.label] for one in stretches], np.int32), **column, fetched_at=_now())

    def between(self, start: float, end: float) -> Labels:
        """The labels of [start, end), seconds: each with its score, times the share of the time that it covers."""
        covered = np.minimum(self.end, np.float32(end)) - np.maximum(self.start, np.float32(start))
        there = np.flatnonzero(covered > 0)
        share = np.zeros(len(self.names), np.float64)
        np.add.at(share, self.label[there], self.score[there] * covered[there] / (end - start))
        return self._best(share)

    def at(self, seconds: float) -> Labels:
        """The labels of one moment, each with its score."""
        there = np.flatnonzero((self.start <= seconds) & (seconds < self.end))
        share = np.zeros(len(self.names), np.float64)
        np.maximum.at(share, self.label[there], self.score[there])
        return self._best(share)

    def _best(self, share: npt.NDArray[np.float64]) -> Labels:
        best = np.argsort(-share, kind="stable")[:MOST_SHOWN]
        return [(self.names[k], round(float(share[k]), 3)) for k in best if share[k] >= 0.001]


class FilmLabels:
    """What the films of a store show. Any thread may ask. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._stored = LabelStore(store)
        self._known: OrderedDict[int, _Film] = OrderedDict()
        self._stretches = 0  # of all films that are remembered
        self._lock = threading.Lock()

    def at(self, number: int, seconds: float) -> Labels:
        """What the video with this number shows at a moment, most probable first; nothing where nothing is known."""
        return self._film(number).at(seconds)

    def between(self, number: int, start: float, end: float) -> Labels:
        """What it shows in a part [start, end) of it: the probability that a moment of the part, any one, shows it."""
        film = self._film(number)
        return film.between(start, end) if end > start else film.at(start)

    def _film(self, number: int) -> _Film:
        with self._lock:
            film = self._known.get(number)
            if film is not None and _now() - film.fetched_at < KEPT_SECONDS:
                self._known.move_to_end(number)
                return film
        film = _Film.of(self._stored.of(number))
        with self._lock:
            self._remember(number, film)
        return film

    def _remember(self, number: int, film: _Film) -> None:
        """In place of what was known of it; the films that were not asked for the longest go where there is no room."""
        old = self._known.pop(number, None)
        self._stretches += len(film.label) - (len(old.label) if old else 0)
        self._known[number] = film
        while len(self._known) > 1 and (self._stretches > KEPT_STRETCHES or len(self._known) > KEPT_FILMS):
            _, gone = self._known.popitem(last=False)
            self._stretches -= len(gone.label)


def _now() -> float:
    return time.monotonic()
