"""What editors, uploaders and broadcasters do to films: what identification must survive."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.frames import Frame, RgbImage

TICKS = 90_000  # time base of written clips, a second


@dataclass(frozen=True)
class Edit:
    """A change of picture and pace. picture: one frame to another. speed: film seconds a second of clip.

    bitrate_share: of the source's bitrate, for the re-encoded clip.
    """

    picture: Callable[[RgbImage], RgbImage]
    speed: float = 1.0
    bitrate_share: float = 1.0

    def write(self, frames: Sequence[Frame], path: Path, bits_per_second: float) -> None:
        """Writes the changed frames, at least two, as a clip. bits_per_second: of the source."""
        write_clip(frames, self, path, bits_per_second)


def _same(image: RgbImage) -> RgbImage:
    return image


def _half_size(image: RgbImage) -> RgbImage:
    height, width = image.shape[:2]
    return _rgb(cv2.resize(image, (max(width // 2, 16), max(height // 2, 16)), interpolation=cv2.INTER_AREA))


def _crop(image: RgbImage) -> RgbImage:
    """The middle 90 % of each side."""
    height, width = image.shape[:2]
    return image[round(height * 0.05) : round(height * 0.95), round(width * 0.05) : round(width * 0.95)]


def _grey(image: RgbImage) -> RgbImage:
    return _rgb(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def _gamma(gamma: float) -> Callable[[RgbImage], RgbImage]:
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda image: _rgb(table[image])


def _subtitles(image: RgbImage) -> RgbImage:
    """A half-opaque band with a line of text over the lowest sixth."""
    shown = image.copy()
    height, width = image.shape[:2]
    top = height - height // 6
    shown[top:] = shown[top:] // 3
    scale = height / 480
    place = (width // 10, height - height // 16)
    cv2.putText(shown, "They are closer than you think.", place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 2)
    return shown


def _letterbox(image: RgbImage) -> RgbImage:
    """The whole film between black bars, each an eighth of the new picture's height."""
    bar = image.shape[0] // 6
    return _rgb(cv2.copyMakeBorder(image, bar, bar, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0)))


def _mirror(image: RgbImage) -> RgbImage:
    return image[:, ::-1]


EDITS: dict[str, Edit] = {
    "copy": Edit(_same),
    "half size, a third of the bitrate": Edit(_half_size, bitrate_share=1 / 3),
    "crop to 90 %": Edit(_crop),
    "greyscale": Edit(_grey),
    "gamma 0.7": Edit(_gamma(0.7)),
    "gamma 1.4": Edit(_gamma(1.4)),
    "4 % faster": Edit(_same, speed=1.04),
    "subtitle band": Edit(_subtitles),
    "letter-boxed": Edit(_letterbox),
    "mirrored": Edit(_mirror),
}


def write_clip(frames: Iterable[Frame], edit: Edit, path: Path, bits_per_second: float) -> int:
    """Writes edited frames as H.264 in MP4 and returns how many; times follow the frames' own.

    bits_per_second: of the source; the clip gets `edit.bitrate_share` of it.
    """
    count, first = 0, 0.0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = max(int(bits_per_second * edit.bitrate_share), 30_000)
        stream.options = {"preset": "veryfast"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        for frame in frames:
            image = _even(edit.picture(frame.image))
            if count == 0:
                first = frame.pts_seconds
                stream.height, stream.width = image.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            picture.pts = round((frame.pts_seconds - first) / edit.speed * TICKS)
            picture.time_base = Fraction(1, TICKS)
            container.mux(stream.encode(picture))
            count += 1
        if count:
            container.mux(stream.encode())
    return count


def _even(image: RgbImage) -> RgbImage:
    """H.264 in 4:2:0 has even sides."""
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]


def _rgb(image: object) -> RgbImage:
    return np.asarray(image, dtype=np.uint8)
