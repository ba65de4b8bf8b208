"""How many look-ups find the film's own code: probes in the order of the margins beside Hamming radii, filmed clips."""

from itertools import pairwise
from typing import Any

import numpy as np

from export.identifiers import SeenClip
from export.recordings import Recording
from pipeline.encoder import FrameEncoder, whole_picture
from pipeline.library import Library
from pipeline.probing import MOST_PROBES, probe_codes

PROBES = (1, 2, 4, 8, 16, 33, 64, 128, 256, 529, 1024, 2048, MOST_PROBES)
RADII = {0: 1, 1: 33, 2: 529}  # Hamming radius -> codes within it
RIGHT_SECONDS = 0.2  # a code of the film this near to the true moment counts as the film's own
MARGIN_BINS = np.array([0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 1e9])  # nats


class ProbeHits:
    """Counts, over the frames of filmed clips, coded where the detector sees the screen."""

    def __init__(self, encoder: FrameEncoder, library: Library) -> None:
        self._encoder = encoder
        self._library = library
        self._rank: dict[str, list[np.ndarray]] = {}
        self._flips: dict[str, list[np.ndarray]] = {}
        self._bits: list[np.ndarray] = []

    def add(self, recording: Recording, clip: SeenClip) -> None:
        """Takes a recording of an indexed film into account."""
        corners = [
            whole_picture(frame.image) if screen is None else screen.corners
            for frame, screen in zip(clip.frames, clip.screens, strict=True)
        ]
        coded = self._encoder.encode_views(clip.frames, [corners])[0]
        track, _ = self._library.whole_track(self._library.get(recording.film).number)
        moments = recording.start_seconds + coded.pts_seconds
        low = np.searchsorted(track.start_ms / 1000, moments - RIGHT_SECONDS, side="right") - 1
        high = np.searchsorted(track.start_ms / 1000, moments + RIGHT_SECONDS, side="right") - 1
        asked = probe_codes(coded.codes, coded.margins, MOST_PROBES)
        ranks, flips = [], []
        for frame, (first, last) in enumerate(zip(low.clip(0), high, strict=True)):
            own = np.unique(track.codes[first : last + 1])
            found = np.flatnonzero(np.isin(asked[frame], own))
            ranks.append(found[0] if len(found) else MOST_PROBES)
            distance = np.bitwise_count(own ^ coded.codes[frame])
            flips.append(distance.min())
            flipped = (own[distance.argmin()] ^ coded.codes[frame]) >> np.arange(32, dtype=np.uint32) & 1
            self._bits.append(np.stack([coded.margins[frame], flipped]))
        self._rank.setdefault(recording.level, []).append(np.array(ranks))
        self._flips.setdefault(recording.level, []).append(np.array(flips))

    def result(self) -> dict[str, Any]:
        """Shares of the frames by level, and how often bits of each margin flipped beside what the margin promises."""
        levels = {}
        for level, parts in self._rank.items():
            rank, flips = np.concatenate(parts), np.concatenate(self._flips[level])
            levels[level] = {
                "frames": len(rank),
                "mean_flips": float(flips.mean()),
                "hits_by_probes": {str(probes): float((rank < probes).mean()) for probes in PROBES},
                "hits_by_radius": {str(radius): float((flips <= radius).mean()) for radius in RADII},
                "codes_in_radius": {str(radius): codes for radius, codes in RADII.items()},
            }
        return {"levels": levels, "margins": self._reliability()}

    def _reliability(self) -> list[dict[str, float]]:
        if not self._bits:
            return []
        margin, flipped = np.concatenate(self._bits, axis=1)
        rows = []
        for low, high in pairwise(MARGIN_BINS):
            inside = (margin >= low) & (margin < high)
            if inside.any():
                promised = 1 / (1 + np.exp(margin[inside]))
                rows.append(
                    {
                        "least_margin": float(low),
                        "bits": int(inside.sum()),
                        "promised": float(promised.mean()),
                        "flipped": float(flipped[inside].mean()),
                    }
                )
        return rows
