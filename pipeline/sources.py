"""Sources of pictures: a file, a network address or a camera, and how each is opened.

Every failure is a `MediaError`: one line that names the source, without its password, and says what to do.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import MediaError

NETWORK_TIMEOUT_SECONDS = 10.0  # without an answer, on opening and on reading
LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps"})
FILE_SCHEMES = frozenset({"http", "https"})  # seekable like a file, mostly
TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})  # FFmpeg makes text a film of letters

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CAMERA = re.compile(r"webcam:(\d+)|(/dev/video\d+)")
_USER = re.compile(r"(?<=://).*@")  # greedy: a password may hold any character
_SECRET = re.compile(r"(?i)(pass(?:word|wd)?|pwd|token|key)=[^&\s]*")


@dataclass(frozen=True)
class Source:
    """Where pictures come from.

    label: the name to show in messages: printable, one line, without user and password.
    address: what FFmpeg opens.
    input_format: FFmpeg's input format, or None to detect it.
    options: FFmpeg's options for opening.
    live: pictures arrive as they are made; there is no seeking, no duration, and waiting costs nothing.
    remote: reached over a network, so reading can fail although nothing is wrong with the film.
    """

    label: str
    address: str = field(repr=False)
    input_format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    live: bool = False
    remote: bool = False


def locate(source: str | Path) -> Source:
    """Tells files, addresses and cameras apart, without opening them.

    Raises MediaError when there is no such file, it is a folder, empty or forbidden, or when the address is
    of a kind that cannot be read.
    """
    text = str(source)
    if camera := _CAMERA.fullmatch(text):
        device = camera[2] or f"/dev/video{camera[1]}"
        return Source(text, device, input_format="v4l2", live=True)
    if scheme := _SCHEME.match(text):
        return _locate_address(text, scheme[1].lower())
    return _locate_file(text)


def open_source(source: Source) -> InputContainer:
    """Opens the source; the caller closes it.

    Raises MediaError when it cannot be reached or is not a film, clip or picture.
    """
    seconds = NETWORK_TIMEOUT_SECONDS if source.remote else None
    try:
        return av.open(
            source.address,
            "r",
            format=source.input_format,
            options=source.options,
            metadata_errors="replace",
            timeout=seconds,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise open_failure(source, error) from error


def video_stream(container: InputContainer, source: Source) -> VideoStream:
    """The stream that holds the pictures; cover art of a sound file is none.

    Raises MediaError when there is none, or none that can be decoded.
    """
    stream = cast(VideoStream | None, container.streams.best("video"))
    if container.format.name in TEXT_FORMATS:
        raise MediaError(f"{source.label}: this is text, not a film or picture; give a film, clip or picture")
    if stream is None or stream.disposition & Disposition.attached_pic:
        raise MediaError(f"{source.label}: has no picture; give a film, clip or picture")
    if stream.codec_context is None:
        raise MediaError(f"{source.label}: its picture coding is not known here; convert it to H.264")
    return stream


def is_still(container: InputContainer) -> bool:
    """Whether the source is a single picture (JPEG, PNG, ...), whose declared times are inventions."""
    name = container.format.name
    return name == "image2" or name.endswith("_pipe")


def read_failure(source: Source, error: Exception) -> MediaError:
    """The error to raise when a source that was open stops giving pictures."""
    return MediaError(f"{source.label}: the source stopped sending ({_reason(error)}); open it again")


def open_failure(source: Source, error: Exception) -> MediaError:
    """The error to raise when a source cannot be opened."""
    label = source.label
    if source.input_format == "v4l2":
        return MediaError(f"{label}: {_camera_trouble(error)}")
    # FFmpeg calls a silent RTSP server invalid data; of a file it means that a page came in place of a film.
    if source.remote and (source.live or not isinstance(error, av.error.InvalidDataError)):
        return MediaError(f"{label}: cannot be reached ({_reason(error)}); check the address and the network")
    if not source.remote and _starts_as_mp4(source.address.removeprefix("file:")):
        return MediaError(f"{label}: cut off or damaged, its index cannot be read; copy or record it again")
    return MediaError(f"{label}: not a film or picture that can be read; check it with a player")


def _locate_address(text: str, scheme: str) -> Source:
    label = _printable(_SECRET.sub(r"\1=***", _USER.sub("", text)))
    if scheme not in LIVE_SCHEMES | FILE_SCHEMES:
        raise MediaError(f"{label}: cannot read {scheme}://; give a file, rtsp://, rtmp:// or http(s)://")
    options = {}
    if scheme in ("rtsp", "rtsps"):
        microseconds = round(NETWORK_TIMEOUT_SECONDS * 1e6)
        options = {"rtsp_transport": "tcp", "timeout": str(microseconds)}
    return Source(label, text, options=options, live=scheme in LIVE_SCHEMES, remote=True)


def _locate_file(text: str) -> Source:
    label = _printable(text)
    try:
        status = os.stat(text)
    except FileNotFoundError as error:
        raise MediaError(f"no such file: {label}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise MediaError(f"{label}: cannot be opened ({_reason(error)}); check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{label}: is a folder; name the films in it one by one")
    if not os.access(text, os.R_OK):
        raise MediaError(f"{label}: may not be read by you; change its permissions")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise MediaError(f"{label}: is empty (0 bytes); copy or record it again")
    return Source(label, f"file:{text}")  # "file:" lets a name hold a colon or begin with a dash


def _camera_trouble(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such camera; `ls /dev/video*` lists those there are"
    if isinstance(error, PermissionError):
        return "you may not use this camera; join the group `video`"
    return f"the camera gives no picture ({_reason(error)}); check that no other program uses it"


def _starts_as_mp4(path: str) -> bool:
    if not os.path.isfile(path):  # reading a pipe would take its bytes, or wait for them
        return False
    with open(path, "rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _reason(error: Exception) -> str:
    """The system's words, without the file name that FFmpeg adds (it may hold a password)."""
    if isinstance(error, av.error.ExitError):
        return f"no answer for {NETWORK_TIMEOUT_SECONDS:.0f} s"
    return getattr(error, "strerror", None) or _printable(str(error))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
