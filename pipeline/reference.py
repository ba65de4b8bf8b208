"""The catalogue as matching sees it."""

import time
from collections.abc import Sequence

from pipeline.codes import CodeArray
from pipeline.library import Library
from pipeline.motion import Motion
from pipeline.postings import Hits
from pipeline.tracks import Track

COUNT_SECONDS = 5.0  # between two looks at how large the index is, of which only the logarithm matters


class CatalogueReference:
    """Look-ups and tracks of the videos of a library; what is not (yet, or any more) in its catalogue is unseen."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._count, self._counted_at = 0, -COUNT_SECONDS

    def lookup(self, codes: CodeArray) -> Hits:
        """Postings of these codes, in one round trip; see `tracks` for which videos are visible."""
        return self._library.lut.lookup(codes)

    def tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts of tracks (number, from seconds, to seconds); empty for a video that is not in the catalogue."""
        return self._library.read_tracks(windows)

    def whole_track(self, number: int) -> tuple[Track, Motion | None]:
        """A video's whole course in time, to choose among its moments."""
        return self._library.whole_track(number)

    def postings(self) -> int:
        """How many postings the index held a moment ago."""
        now = time.monotonic()
        if now - self._counted_at >= COUNT_SECONDS:
            self._count, self._counted_at = self._library.posting_count(), now
        return self._count
