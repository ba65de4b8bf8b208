"""Makes small films, pictures and streams for tests; nothing is stored in the repository."""

import base64
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.frames import RgbImage

MILLISECONDS = Fraction(1, 1000)
GREY_STEP = 10  # frame k of `grey_ramp` is the grey 10 k
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
IDENTITY = (1, 0, 0, 1)
QUARTER_CLOCKWISE = (0, 1, -1, 0)  # (a, b, c, d): the stored point (p, q), q downwards, is shown at (-q, p)
HALF_TURN = (-1, 0, 0, -1)
QUARTER_ANTICLOCKWISE = (0, -1, 1, 0)


def grey_ramp(count: int, width: int = 64, height: int = 48) -> Iterator[RgbImage]:
    """Frame k is wholly of the grey 10 k mod 250, so that a decoded frame tells its index."""
    for k in range(count):
        yield np.full((height, width, 3), GREY_STEP * k % 250, np.uint8)


def four_corners(width: int = 64, height: int = 48) -> RgbImage:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, WHITE
    return image


def shown_index(image: RgbImage) -> int:
    """The index of a decoded frame of `grey_ramp`, for films of at most 25 frames."""
    return round(float(image.mean()) / GREY_STEP)


def write_film(
    path: Path,
    images: Sequence[RgbImage] | Iterator[RgbImage],
    ticks: Sequence[int],
    *,
    time_base: Fraction = MILLISECONDS,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 12,
    container_format: str | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes a film whose frame k is shown at ticks[k] * time_base seconds."""
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        stream: VideoStream | None = None
        for image, tick in zip(images, ticks, strict=True):
            if stream is None:
                stream = cast(VideoStream, container.add_stream(codec, rate=25, options=codec_options or {}))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.gop_size = pixels, gop
                stream.codec_context.time_base = time_base
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(image).reformat(format=pixels)
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def write_picture(path: Path, image: RgbImage, codec: str = "png", pixels: str = "rgb24") -> Path:
    """Writes one picture as PNG, or as the codec says."""
    options = {"update": "1"}
    return write_film(
        path, [image], [0], codec=codec, pixels=pixels, container_format="image2", container_options=options
    )


def write_sound(path: Path, cover: RgbImage | None = None) -> Path:
    """Writes a quarter of a second of silence as FLAC, with cover art where given."""
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        packets = stream.encode(frame) + stream.encode(None)
        if cover is not None:
            art = container.add_stream("png", rate=1)
            art.height, art.width = cover.shape[:2]
            art.pix_fmt, art.disposition = "rgb24", Disposition.attached_pic
            container.mux(art.encode(av.VideoFrame.from_ndarray(cover)) + art.encode(None))
        container.mux(packets)
    return path


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Writes (a, b, c, d) into the track header of an MP4 with one track, as a phone held askew does.

    The box `tkhd` of version 0 has its 36 bytes of matrix, big endian, 44 bytes after its type:
    a, b, u, c, d, v, x, y, w, with a to d in 16.16 fixed point.
    """
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def damage(path: Path, first: float, last: float, seed: int = 0) -> None:
    """Overwrites the bytes between two fractions of the file with noise."""
    data = bytearray(path.read_bytes())
    begin, end = int(len(data) * first), int(len(data) * last)
    data[begin:end] = np.random.default_rng(seed).integers(0, 256, end - begin, dtype=np.uint8).tobytes()
    path.write_bytes(data)


def hollow_film(path: Path) -> Path:
    """Writes an MP4 that opens and declares its length, and in which no picture can be decoded."""
    data = bytearray(write_film(path, grey_ramp(20), range(0, 800, 40)).read_bytes())
    first, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[first:end] = bytes(end - first)
    path.write_bytes(data)
    return path


class RtspCamera:
    """An RTSP server for one client that sends H.264 over TCP (RFC 2326, 10.12; RFC 6184, single NAL units).

    It sends the ramp of greys at 10 frames a second of stream time, without waiting, then closes.
    """

    RATE = 90_000  # RTP clock ticks a second
    STEP = 9_000  # ticks between frames

    def __init__(self, folder: Path, frames: int) -> None:
        raw = write_film(
            folder / "camera.h264",
            grey_ramp(frames),
            range(frames),
            gop=1,
            codec_options={"tune": "zerolatency"},
        ).read_bytes()
        self._units = [unit for unit in re.split(b"\0\0\0?\1", raw) if unit]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "RtspCamera":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            client.settimeout(10)
            pending = b""
            while received := client.recv(4096):
                pending += received
                while b"\r\n\r\n" in pending:
                    request, pending = pending.split(b"\r\n\r\n", 1)
                    self.requests.append(request.decode())
                    self._answer(client, request.decode())
                    if request.startswith(b"PLAY"):
                        self._play(client)
                        return

    def _answer(self, client: socket.socket, request: str) -> None:
        sequence = re.search(r"CSeq: (\d+)", request)
        assert sequence is not None
        sets = ",".join(base64.b64encode(u).decode() for u in self._units[:2])
        session = (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            f"a=rtpmap:96 H264/{self.RATE}\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets={sets}\r\n"
            "a=control:track1\r\n"
        )
        head, body = f"RTSP/1.0 200 OK\r\nCSeq: {sequence[1]}\r\n", ""
        method = request.split(" ", 1)[0]
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        elif method == "DESCRIBE":
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(session)}\r\n"
            body = session
        else:
            head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        client.sendall(f"{head}\r\n{body}".encode())

    def _play(self, client: socket.socket) -> None:
        stamp = 1_000_000
        for number, unit in enumerate(self._units):
            picture = unit[0] & 31 in (1, 5)
            header = struct.pack(">BBHII", 0x80, 96 | 0x80 * picture, number, stamp, 7)
            client.sendall(b"$\0" + struct.pack(">H", len(header) + len(unit)) + header + unit)
            stamp += self.STEP * picture
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.05)


@contextmanager
def mute_server() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
