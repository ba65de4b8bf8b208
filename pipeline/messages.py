"""Messages of `vnome.frames`: key, headers and value, see the contract in DESIGN; and what is wrong with one.

key              camera id
v                schema version, 1
ts               capture time, nanoseconds since the epoch; not there: the time that Kafka notes
seq              number of the frame, rising for a camera; not there: its offset
type             image/jpeg (also when not there), application/vnd.vnome.code, application/vnd.vnome.end
role             query (also when not there), reference, or channel
video            id of the video that a reference frame belongs to, or of the channel that is on the air
keep             of a channel: for how many seconds it is kept; not there: two hours
traceparent      of the frame's trace; see `pipeline.tracing`
views, encoder   of codes: numbers of `pipeline.views.VIEWS`, with commas; SHA-256 of the model that made them
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.tracing import HEADER, read_trace
from pipeline.views import VIEWS, WHOLE
from pipeline.wire import LONG_BYTES

VERSION = 1
JPEG = "image/jpeg"
CODE = "application/vnd.vnome.code"
END = "application/vnd.vnome.end"  # of a reference: all its frames are sent; the value is JSON: title, source_name
TYPES = (JPEG, CODE, END)
QUERY, REFERENCE, CHANNEL = "query", "reference", "channel"
KEEP_SECONDS = 7200  # of a channel that does not say
MOST_KEEP_SECONDS = 14 * 86_400
MOST_BYTES = 8_000_000  # of a value; a camera's JPEG is a tenth of it
MOST_SEQ = 2**53 - 1  # Redis's scripts count in floating point
_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_DIGITS = re.compile(r"[0-9]{1,20}")

Reason = Literal[
    "key", "header", "schema", "empty", "oversized", "not an image", "truncated", "corrupt", "code", "encoder", "killed"
]


class BadMessage(Exception):
    """A message that can never be processed. reason: in one of few words, for counting; `str(error)`: one line."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Place:
    """Where a message stands in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class FrameMessage:
    """One checked message. views: of a code message. encoder: SHA-256 of the coding model, empty when not given.

    keep_seconds: of a channel. trace: its traceparent, empty when it has none.
    """

    camera: str
    ts_ns: int
    seq: int
    type: str
    role: str
    video: str
    value: bytes = field(repr=False)
    place: Place
    views: tuple[int, ...] = ()
    encoder: str = ""
    keep_seconds: int = KEEP_SECONDS
    trace: str = ""


def is_id(text: str) -> bool:
    """Whether this may be the id of a camera: 1 to 128 letters, digits and . _ : @ -"""
    return _ID.fullmatch(text) is not None


def frame_headers(
    ts_ns: int, seq: int, type: str = JPEG, role: str = QUERY, video: str = "", **more: str
) -> list[tuple[str, bytes]]:
    """The headers of a message; `more` for those of codes."""
    headers = {"v": str(VERSION), "ts": str(ts_ns), "seq": str(seq), "type": type, "role": role}
    headers |= {"video": video} if video else {}
    return [(name, text.encode()) for name, text in {**headers, **more}.items()]


def parse_message(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]], timestamp_ms: int, place: Place
) -> FrameMessage:
    """A message as Kafka gives it, checked but for its picture. Raises BadMessage."""
    camera = (key or b"").decode("utf-8", "replace")
    if not is_id(camera):
        raise BadMessage("key", "the key is no camera id (1 to 128 letters, digits and . _ : @ -)")
    texts = {name: (text or b"").decode("utf-8", "replace") for name, text in headers}
    if texts.get("v", str(VERSION)) != str(VERSION):
        raise BadMessage("schema", f"header v is {texts['v'][:20]!r}, this version reads {VERSION}")
    kind, role = texts.get("type", JPEG), texts.get("role", QUERY)
    if kind not in TYPES or role not in (QUERY, REFERENCE, CHANNEL):
        raise BadMessage("header", f"header type or role is unknown: {kind[:60]!r}, {role[:60]!r}")
    video = texts.get("video", "")
    if (role != QUERY) != bool(video) or (kind == END and role != REFERENCE):
        raise BadMessage("header", "header video goes with role reference or channel, and an end with a reference")
    if not value and kind != END:
        raise BadMessage("empty", "the value is empty")
    if len(value or b"") > MOST_BYTES:
        raise BadMessage("oversized", f"the value has {len(value or b'')} bytes, at most {MOST_BYTES} are read")
    return FrameMessage(
        camera,
        _number(texts, "ts", timestamp_ms * 1_000_000, 2**63 - 1),
        _number(texts, "seq", place.offset, MOST_SEQ),
        kind,
        role,
        video,
        value or b"",
        place,
        _views(texts, value or b"") if kind == CODE else (),
        texts.get("encoder", ""),
        max(1, _number(texts, "keep", KEEP_SECONDS, MOST_KEEP_SECONDS)),
        read_trace(texts.get(HEADER, "")),
    )


def _number(texts: Mapping[str, str], name: str, missing: int, most: int) -> int:
    text = texts.get(name)
    if text is None:
        return max(missing, 0)
    if not _DIGITS.fullmatch(text) or int(text) > most:
        raise BadMessage("header", f"header {name} is no number from 0 to {most}: {text[:40]!r}")
    return int(text)


def _views(texts: Mapping[str, str], value: bytes) -> tuple[int, ...]:
    parts = texts.get("views", str(WHOLE)).split(",")
    views = tuple(int(part) for part in parts if _DIGITS.fullmatch(part))
    if len(views) != len(parts) or len(set(views)) != len(views) or not all(view < len(VIEWS) for view in views):
        raise BadMessage("header", f"header views names no readings: {texts['views'][:60]!r}")
    if len(value) > len(VIEWS) * LONG_BYTES:
        raise BadMessage("oversized", f"{len(value)} bytes are more than a frame's codes take")
    return views
