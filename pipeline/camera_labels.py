"""What a camera shows by recognition alone, which says something also of what is in no catalogue.

Processors label a picture a second. One picture alone proves nothing: a label holds where it is likely over the last
few together, as in `pipeline.labels`.
"""

from collections.abc import Sequence

from pipeline.code_stream import NS
from pipeline.film_labels import MOST_SHOWN
from pipeline.labels import BEGIN, SMOOTHED
from pipeline.recogniser import Labels

STALE_NS = 5 * NS  # a label that was told so long ago says nothing of now

State = list[tuple[int, list[tuple[str, float]]]]  # (capture time in ns, labels) of the last pictures, oldest first


class CameraLabels:
    """The labels of one camera's last pictures. state: what `state` gave to whoever followed it before."""

    def __init__(self, state: State | None = None) -> None:
        self._told: State = [(int(at), [(str(name), float(share)) for name, share in row]) for at, row in state or []]

    def add(self, ts_ns: int, labels: Sequence[tuple[str, float]]) -> None:
        """What recognition said of a picture, by its capture time in ns; pictures come in their order."""
        self._told = [*self._told, (ts_ns, list(labels))][-SMOOTHED:]

    def now(self, ts_ns: int) -> Labels:
        """What holds at a time, most probable first: mean probabilities. Nothing while fewer pictures were seen."""
        told = [dict(labels) for at, labels in self._told if abs(ts_ns - at) <= STALE_NS]
        if len(told) < SMOOTHED:
            return []
        share = {name: sum(row.get(name, 0.0) for row in told) / len(told) for row in told for name in row}
        best = sorted((-chance, name) for name, chance in share.items() if chance >= BEGIN)
        return [(name, round(-chance, 3)) for chance, name in best[:MOST_SHOWN]]

    def state(self) -> State:
        """What whoever follows the camera next must know."""
        return self._told
