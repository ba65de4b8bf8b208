"""A video of the catalogue, and the short text that is stored of it."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_SHA256_DIGITS = 64


@dataclass(frozen=True)
class VideoFields:
    """What the caller knows of a video. fingerprint: SHA-256 of its file. encoder: SHA-256 of the coding model."""

    id: str
    title: str
    source_name: str
    fingerprint: str
    encoder: str

    def same_film(self, other: "VideoFields") -> bool:
        """Whether indexing one after the other changes nothing, subtitles apart."""
        mine, its = ((video.id, video.title, video.fingerprint, video.encoder) for video in (self, other))
        return mine == its


@dataclass(frozen=True)
class VideoRecord(VideoFields):
    """A video of the catalogue. number: its own in postings and tracks. frames: coded; runs: of its track.

    postings: in the look-up table, those of common codes included; of a channel not counted. subtitles: languages.
    subtitles_digest: to see a change. added_at: UTC, ISO 8601. live_since_ms, keep_seconds: of a channel: the epoch
    time of its moment 0, and for how long it is kept.
    """

    number: int
    duration_seconds: float
    frames: int
    runs: int
    postings: int
    subtitles: tuple[str, ...]
    subtitles_digest: str
    added_at: str
    live_since_ms: int = 0
    keep_seconds: int = 0

    @property
    def is_live(self) -> bool:
        """Whether this is a channel that is indexed as it airs."""
        return self.keep_seconds > 0

    def same_as(self, other: "VideoRecord") -> bool:
        """Whether indexing one after the other changes nothing."""
        return self.same_film(other) and self.subtitles_digest == other.subtitles_digest

    def text(self) -> str:
        """What is stored under its id. A catalogue has one encoder, which the schema tells; it is left out here."""
        title = 0 if self.title == self.id else self.title
        added = round(datetime.fromisoformat(self.added_at).timestamp())
        seconds = round(self.duration_seconds, 3)
        extra: list[Any] = [list(self.subtitles), self.subtitles_digest] if self.subtitles or self.is_live else []
        extra += [self.live_since_ms, self.keep_seconds] if self.is_live else []
        head = [self.number, title, self.source_name, _short(self.fingerprint), seconds, self.frames, self.runs]
        return json.dumps([*head, self.postings, added, *extra], ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def of_text(video: str, text: bytes | str, encoder: str) -> "VideoRecord":
        """The inverse of `text`. Raises ValueError when it is none."""
        number, title, source, fingerprint, seconds, frames, runs, postings, added, *rest = json.loads(text)
        extra: list[Any] = list(rest)
        languages, digest, since, keep = extra + [[], "", 0, 0][len(extra) :]
        return VideoRecord(
            id=video,
            title=title or video,
            source_name=source,
            fingerprint=_long(fingerprint),
            encoder=encoder,
            number=number,
            duration_seconds=float(seconds),
            frames=frames,
            runs=runs,
            postings=postings,
            subtitles=tuple(languages),
            subtitles_digest=digest,
            added_at=datetime.fromtimestamp(added, UTC).isoformat(timespec="seconds"),
            live_since_ms=since,
            keep_seconds=keep,
        )


def _short(fingerprint: str) -> str:
    """Hexadecimal SHA-256 in base 64; any other text as it is, marked."""
    try:
        if len(fingerprint) == _SHA256_DIGITS:
            return base64.urlsafe_b64encode(binascii.unhexlify(fingerprint)).decode().rstrip("=")
    except ValueError:
        pass
    return f":{fingerprint}"


def _long(short: str) -> str:
    return short[1:] if short.startswith(":") else base64.urlsafe_b64decode(f"{short}=").hex()
