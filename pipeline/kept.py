"""A video as it is carried from one catalogue to another, by a backup or from an older schema."""

from dataclasses import dataclass, field

from pipeline.labels import Stretch
from pipeline.motion import Motion
from pipeline.tracks import Track
from pipeline.videos import VideoFields


@dataclass(frozen=True)
class Kept:
    """All that is stored of a video, but for what follows from it. texts: subtitles by language.

    poster: a JPEG picture. labels: what it shows and when.
    """

    fields: VideoFields
    duration_seconds: float
    frames: int
    track: Track = field(repr=False)
    motion: Motion | None = field(repr=False)
    texts: dict[str, str] = field(repr=False)
    poster: bytes | None = field(default=None, repr=False)
    labels: tuple[Stretch, ...] = field(default=(), repr=False)
