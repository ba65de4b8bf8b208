"""Films, clips, pictures and cameras as a stream of frames.

Times come from the presentation timestamps. Nothing here holds more than the frames the decoder works on, and
nothing reconnects: a network source or camera that fails ends in a `MediaError`.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from pipeline.errors import MediaError
from pipeline.frames import Frame, RgbImage
from pipeline.sources import Source, is_still, locate, open_source, read_failure, video_stream

MAX_SIDE = 640  # pixels; the encoder looks at fewer
SMALL_PIXELS = 960 * 540  # up to here one thread decodes as fast as two, which have to wait for each other
DEFAULT_FRAME_SECONDS = 1 / 25  # where neither the frame nor the stream says how long a frame is shown
ROUNDING_SECONDS = 1e-3  # Matroska and Flash round times to 1 ms; the thinning grid lies this much earlier
EPSILON_SECONDS = 1e-6  # float noise of a timestamp; a frame this close before a bound counts as on it
RESTART_SECONDS = 1.0  # times that step back further than this are a clock that began anew, not disorder
SEEK_LEADS_SECONDS = (0.0, 2.0, 20.0, math.inf)  # tried in turn while the key frame found is too late
DAMAGE_LIMIT = 64  # reads in a row that may fail before the rest of a damaged file is given up
STARVED_SECONDS = 1.0  # a reader too slow for real time still gets a frame this often

Moments = Generator[tuple[float, VideoFrame], None, None]  # (seconds from the first frame, decoded picture)


@dataclass(frozen=True)
class SourceInfo:
    """What a source declares about itself; any of it may be wrong, only decoding tells.

    width, height: pixels as stored, before rotation and `max_side`; 0 when not declared.
    duration_seconds: None for live sources, single pictures, and where not declared.
    live: pictures arrive as they are made (camera, RTSP, RTMP).
    frame_rate: frames a second, on average; None for single pictures and where not declared.
    timecode: of the first frame, as a film camera notes it; None where there is none.
    """

    width: int
    height: int
    duration_seconds: float | None
    live: bool
    frame_rate: float | None
    timecode: str | None = None


def probe(source: str | Path) -> SourceInfo:
    """Opens a source and reads what it declares; yields no frames.

    Raises MediaError when it cannot be opened or has no picture.
    """
    place = locate(source)
    with open_source(place) as container:
        stream = video_stream(container, place)
        timeless = is_still(container)
        return SourceInfo(
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            duration_seconds=None if timeless or place.live else _declared_duration(container, stream),
            live=place.live,
            frame_rate=None if timeless else _declared_rate(stream),
            timecode=_declared_timecode(container),
        )


def read_frames(
    source: str | Path,
    *,
    max_fps: float | None = None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    max_side: int | None = MAX_SIDE,
) -> Iterator[Frame]:
    """Yields the frames of a source in the order shown; closing the generator closes the source.

    source: a file (film, clip, or a picture, which is one frame at 0 s), an `rtsp://`, `rtsps://`,
        `rtmp://` or `http(s)://` address, `/dev/videoN` or `webcam:N`.
    max_fps: thins by time: of the frames in each interval [k, k + 1) / max_fps, counted from the source's
        first frame, the first is kept, whatever the frame rate does (the grid lies 1 ms early, so that times
        rounded to milliseconds fall on it). The first frame of the range is always kept.
    start_seconds, end_seconds: the half-open range of times wanted; times stay relative to the first frame
        of the source. A range without frames gives nothing. A live source is not sought in: the frames
        before the start are waited for and dropped.
    max_side: frames with a longer side than this many pixels are scaled down to it by area; never up.

    Images are uint8 (H, W, 3) RGB, turned upright by the source's rotation, to the nearest quarter. Pixels
    are left as stored where they are not square, mirroring is not undone, fields stay interlaced, and
    transparency is dropped.

    Times never decrease: a frame stamped earlier than the one before gets that one's time; a clock that jumps
    back by more than a second, and frames without a timestamp, go on from the frame before by its duration
    (else the declared frame rate, else 1/25 s). Damaged parts of a file are passed over and what decodes is
    given.

    Raises MediaError when the source cannot be opened, has no picture, nothing in it can be decoded, or a
    network source or camera fails on the way; ValueError for max_fps, max_side or times out of range.
    """
    place = locate(source)
    scaler = _Scaler(place.label, max_side)
    with closing(_moments(place, max_fps, start_seconds, end_seconds)) as moments:
        for seconds, picture in moments:
            yield Frame(scaler.to_rgb(picture), seconds)


def read_key_frames(source: str | Path, count: int, *, max_side: int | None = MAX_SIDE) -> Iterator[Frame]:
    """Yields up to `count` key frames spread evenly over a film, in order; each once, and none that is damaged.

    The source must declare its duration, else only its first key frames are given. Nothing between key frames is
    decoded, so that a long film costs no more than a short one. Images and errors are as in `read_frames`.
    """
    place = locate(source)
    scaler = _Scaler(place.label, max_side)
    with open_source(place) as container:
        stream = video_stream(container, place)
        stream.codec_context.skip_frame = "NONKEY"
        duration = _declared_duration(container, stream) or 0.0
        start = float((stream.start_time or 0) * (stream.time_base or 1))
        last: float | None = None
        for moment in np.linspace(0, duration, count, endpoint=False):
            if moment > 0:  # the container stands at its start
                with suppress(FFmpegError):  # one that cannot seek gives its key frames one after the other
                    container.seek(round((start + float(moment)) / (stream.time_base or 1)), stream=stream)
            picture = next(_decode(container, stream, place), None)
            if picture is None:
                continue
            stamp = _stamp(picture)
            seconds = 0.0 if stamp is None else max(stamp - start, 0.0)
            if last is None or seconds > last:
                last = seconds
                yield Frame(scaler.to_rgb(picture), seconds)


def read_frames_at_pace(
    source: str | Path,
    *,
    max_fps: float | None = None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    max_side: int | None = MAX_SIDE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Frame]:
    """Yields the frames of a file when they are due, as a camera would; live sources pass through.

    The first frame is due at once. A frame late by more than one step (1 / max_fps, else 1/25 s) is dropped,
    except that a reader who has waited for a second is given a late one. The rest is as in `read_frames`.

    clock: seconds, never going back. sleep: waits for the seconds given.
    """
    place = locate(source)
    scaler = _Scaler(place.label, max_side)
    step = 1 / max_fps if max_fps else DEFAULT_FRAME_SECONDS
    shown_from: float | None = None  # clock time of the source's second 0
    asked = clock()
    with closing(_moments(place, max_fps, start_seconds, end_seconds)) as moments:
        for seconds, picture in moments:
            now = clock()
            if shown_from is None:
                shown_from = now - seconds
            early = 0.0 if place.live else shown_from + seconds - now
            if early < -step and now - asked < STARVED_SECONDS:
                continue
            if early > 0:
                sleep(early)
            yield Frame(scaler.to_rgb(picture), seconds)
            asked = clock()


def _moments(source: Source, max_fps: float | None, start_seconds: float, end_seconds: float | None) -> Moments:
    """The decoded pictures of a range, thinned to max_fps."""
    if max_fps is not None and not 0 < max_fps < math.inf:
        raise ValueError(f"max_fps must be positive, got {max_fps = }")
    end = math.inf if end_seconds is None else end_seconds
    if not math.isfinite(start_seconds) or math.isnan(end):
        raise ValueError(f"times must be numbers, got {start_seconds = }, {end_seconds = }")
    cell = -1
    with closing(_moments_from(source, start_seconds)) as moments:
        for seconds, picture in moments:
            if seconds >= end - EPSILON_SECONDS:
                return
            if seconds < start_seconds - EPSILON_SECONDS:
                continue
            if max_fps is not None:
                reached = math.floor((seconds + ROUNDING_SECONDS) * max_fps)
                if reached <= cell:
                    continue
                cell = reached
            yield seconds, picture


def _moments_from(source: Source, start_seconds: float) -> Moments:
    """The decoded pictures from a key frame at or before the start, or from the first where seeking fails."""
    with open_source(source) as container:
        stream = video_stream(container, source)
        # Frame threads hold back a picture each, which a live source cannot afford, and slow small pictures down.
        small = stream.codec_context.width * stream.codec_context.height <= SMALL_PIXELS
        stream.thread_type = ThreadType.SLICE if source.live or small else ThreadType.AUTO
        pictures: Iterator[VideoFrame] = _decode(container, stream, source)
        first = next(pictures, None)
        if first is None:
            raise MediaError(f"{source.label}: nothing in it can be decoded; check it with a player")
        origin = _stamp(first)
        pictures = chain([first], pictures)
        if start_seconds > 0 and origin is not None and not source.live:
            pictures = _seek(container, stream, source, origin, start_seconds, pictures)
        timeline = _Timeline(origin, _declared_rate(stream))
        for picture in pictures:
            yield timeline.place(picture), picture


def _seek(
    container: InputContainer,
    stream: VideoStream,
    source: Source,
    origin: float,
    start_seconds: float,
    pictures: Iterator[VideoFrame],
) -> Iterator[VideoFrame]:
    """Pictures from a key frame at or before the start on; those given where the source cannot seek."""
    for lead in SEEK_LEADS_SECONDS:
        moment = origin + max(start_seconds - lead, 0.0)
        try:
            container.seek(round(moment / (stream.time_base or 1)), stream=stream)
        except FFmpegError:
            return pictures
        pictures = _decode(container, stream, source)
        first = next(pictures, None)
        if first is not None:
            pictures = chain([first], pictures)
            stamp = _stamp(first)
            if stamp is not None and stamp <= origin + start_seconds + EPSILON_SECONDS:
                break
    return pictures


def _decode(container: InputContainer, stream: VideoStream, source: Source) -> Generator[VideoFrame, None, None]:
    """All pictures from where the container stands; damage in a file is passed over."""
    failures = 0
    while failures < DAMAGE_LIMIT:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield from _decode_packet(stream, packet)
        except FFmpegError as error:
            if source.remote or source.live:
                raise read_failure(source, error) from error
            failures += 1
        else:
            return
    yield from _decode_packet(stream, None)


def _decode_packet(stream: VideoStream, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
    """The pictures a packet completes, none where it is damaged; None gives those the decoder still holds."""
    try:
        return stream.decode(packet)
    except FFmpegError:
        return []


class _Timeline:
    """Seconds from the source's first frame, never decreasing."""

    def __init__(self, origin: float | None, frame_rate: float | None) -> None:
        """origin: timestamp of the source's first frame, in seconds, None where it has none."""
        self._origin = origin
        self._step = 1 / frame_rate if frame_rate else DEFAULT_FRAME_SECONDS
        self._last: float | None = None

    def place(self, picture: VideoFrame) -> float:
        """The picture's time; pictures are given in the order shown."""
        seconds = self._seconds(_stamp(picture))
        if self._last is not None:
            seconds = max(seconds, self._last)
        self._last = seconds
        if picture.duration and picture.time_base:
            self._step = float(picture.duration * picture.time_base)
        return seconds

    def _seconds(self, stamp: float | None) -> float:
        expected = 0.0 if self._last is None else self._last + self._step
        if stamp is None:
            return expected
        restarted = self._last is not None and stamp < (self._origin or 0.0) + self._last - RESTART_SECONDS
        if self._origin is None or restarted:
            self._origin = stamp - expected
        return max(stamp - self._origin, 0.0)


class _Scaler:
    """Turns decoded pictures into upright RGB images of a bounded size."""

    def __init__(self, label: str, max_side: int | None) -> None:
        if max_side is not None and max_side < 1:
            raise ValueError(f"max_side must be at least 1 pixel, got {max_side = }")
        self._label = label
        self._max_side = max_side
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def to_rgb(self, picture: VideoFrame) -> RgbImage:
        """uint8 (H, W, 3); raises MediaError where the pixel format has no way to RGB."""
        longer = max(picture.width, picture.height)
        scale = 1.0 if self._max_side is None else min(1.0, self._max_side / longer)
        try:
            scaled = self._reformatter.reformat(
                picture,
                width=max(1, round(picture.width * scale)),
                height=max(1, round(picture.height * scale)),
                format="rgb24",
                interpolation=Interpolation.AREA,
                threads=1,
            )
        except FFmpegError as error:
            name = picture.format.name
            raise MediaError(f"{self._label}: {name} pixels cannot be read; convert it to yuv420p") from error
        image = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        if scaled is picture:
            image = image.copy()  # it was RGB of this size already, and the decoder may go on using it
        quarters = round(picture.rotation / 90)  # anticlockwise; by `side_data` PyAV fails on pictures with EXIF
        return np.ascontiguousarray(np.rot90(image, quarters))


def _stamp(picture: VideoFrame) -> float | None:
    """Presentation timestamp in seconds of the source's own clock."""
    if picture.pts is None or not picture.time_base:
        return None
    return picture.pts * picture.time_base.numerator / picture.time_base.denominator


def _declared_rate(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _declared_timecode(container: InputContainer) -> str | None:
    """In MP4 and QuickTime it has a track of its own, elsewhere the container or the pictures' track tells it."""
    told = [container.metadata, *(stream.metadata for stream in container.streams)]
    return next((metadata["timecode"] for metadata in told if metadata.get("timecode")), None)


def _declared_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None
