"""The catalogue as matching sees it."""

from collections.abc import Sequence

from pipeline.codes import CodeArray
from pipeline.library import Library
from pipeline.motion import Motion
from pipeline.postings import Hits
from pipeline.tracks import Track


class CatalogueReference:
    """Look-ups and tracks of the videos of a library; what is not (yet, or any more) in its catalogue is unseen."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def lookup(self, codes: CodeArray) -> Hits:
        """Postings of these codes, in one round trip; see `tracks` for which videos are visible."""
        return self._library.lut.lookup(codes)

    def tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts of tracks (number, from seconds, to seconds); empty for a video that is not in the catalogue."""
        visible = self._library.resolve([number for number, _, _ in windows])
        wanted = [window for window in windows if window[0] in visible]
        found = iter(self._library.read_tracks(wanted))
        return [next(found) if window[0] in visible else Track.empty() for window in windows]

    def whole_track(self, number: int) -> tuple[Track, Motion | None]:
        """A video's whole course in time, to choose among its moments."""
        return self._library.whole_track(number)

    def postings(self) -> int:
        """How many postings the index holds."""
        return self._library.posting_count()
