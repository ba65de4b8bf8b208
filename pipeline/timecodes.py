"""Time codes as SMPTE ST 12 numbers frames: hh:mm:ss:ff, in whole numbers a second whatever the true rate is.

At 29.97 frames a second (30000/1001) the numbers run behind the clock by 3.6 s an hour; drop-frame time codes, written
hh:mm:ss;ff, leave out two numbers a minute but every tenth, and keep step. No frame is ever dropped.
"""

import math
import re
from dataclasses import dataclass

from pipeline.errors import InputError

NEAR = 0.005  # of a declared rate: a film's 23.98 or 24.05 is the rate that is meant
_TEXT = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2})")


@dataclass(frozen=True)
class Rate:
    """numbers: a second. ntsc: the true rate is a thousandth less. drop: numbers are left out to keep step."""

    numbers: int
    ntsc: bool = False
    drop: bool = False

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.numbers * 1000 / 1001 if self.ntsc else float(self.numbers)

    @property
    def left_out(self) -> int:
        """Numbers that drop-frame leaves out a minute, but every tenth."""
        return self.numbers // 15 if self.drop else 0

    def text(self, frame: int) -> str:
        """The time code of a frame, counted from 0; after 24 hours it begins anew."""
        minute, ten_minutes = self.numbers * 60 - self.left_out, self.numbers * 600 - self.left_out * 9
        tens, rest = divmod(frame, ten_minutes)
        number = frame + tens * self.left_out * 9 + max(rest - self.left_out, 0) // minute * self.left_out
        seconds, frames = divmod(number, self.numbers)
        sign = ";" if self.drop else ":"
        return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{sign}{frames:02}"

    def frame(self, text: str) -> int:
        """The frame, counted from 0, of a time code, which may be of another rate; the inverse of `text`.

        Raises InputError for what is none.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise InputError(f"{text[:40]!r} is no time code; write hh:mm:ss:ff")
        hours, minutes, seconds, frames = (int(found[k]) for k in (1, 2, 3, 5))
        minutes += hours * 60
        number = (minutes * 60 + seconds) * self.numbers + min(frames, self.numbers - 1)
        return number - (minutes - minutes // 10) * self.left_out


def is_timecode(text: str) -> bool:
    """Whether a text is a time code, hh:mm:ss:ff or hh:mm:ss;ff."""
    return _TEXT.fullmatch(text.strip()) is not None


RATES = (
    Rate(24, ntsc=True), Rate(24), Rate(25), Rate(30, ntsc=True), Rate(30), Rate(48), Rate(50),
    Rate(60, ntsc=True), Rate(60),
)  # fmt: skip


def rate_near(fps: float, drop: bool = False) -> Rate | None:
    """The rate of editing that is meant by a film's frames a second; None where there is none such.

    drop: drop-frame, which only 29.97 and 59.94 know.
    """
    rate = min(RATES, key=lambda rate: abs(rate.fps - fps))
    if not math.isfinite(fps) or abs(rate.fps - fps) > NEAR * fps:
        return None
    return Rate(rate.numbers, rate.ntsc, drop and rate.ntsc and rate.numbers != 24)


def rate_of(text: str) -> Rate:
    """A rate as people write it: 23.976, 25, 29.97, 29.97df. Raises InputError for anything else."""
    number, drop = text.strip().lower().removesuffix("df"), text.strip().lower().endswith("df")
    try:
        rate = rate_near(float(number), drop)
    except (ValueError, OverflowError):
        rate = None
    if rate is None or rate.drop != drop:
        rates = ", ".join(f"{rate.fps:.5g}" for rate in RATES)
        raise InputError(f"{text!r} is no rate of time codes; there are {rates}, and 29.97df and 59.94df")
    return rate
