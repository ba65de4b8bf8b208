"""What the phone page says at each picture that its camera sees, beside the truth of that picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.browser.clips import CELL, CELLS, FPS, HEIGHT, WIDTH, Filmed, Instant
from tests.browser.driving import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOUND = ("found", "moved", "still")
STEADY_SECONDS = 3.0  # the page hears within two what the gateway sees of the film's pace
PACE_SECONDS = 0.15

_WATCH = """({ cell, cells, width, height }) => {
  const { video } = vnome;
  const canvas = new OffscreenCanvas(cell * cells, cell);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.watched = [];
  const number = () => {
    const top = video.videoHeight - cell;
    context.drawImage(video, 0, top, canvas.width, cell, 0, 0, canvas.width, cell);
    const pixels = context.getImageData(0, cell / 2, canvas.width, 1).data;
    const lit = Array.from({ length: cells }, (_, k) => pixels[4 * (k * cell + cell / 2)] > 127);
    return lit[0] ? lit.slice(1).reduce((sum, bit, k) => sum + (bit ? 2 ** k : 0), 0) : null;
  };
  const look = (now) => {
    const { event, video: film, atSeconds, subtitle, screen } = vnome.state();
    const corners = screen?.corners ?? null;
    const whole = video.videoWidth === width && video.videoHeight === height;
    const shown = whole ? number() : null;
    if (shown !== null) watched.push({ number: shown, at: now, event, film, atSeconds, subtitle, corners });
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}"""


@dataclass(frozen=True)
class Seen:
    """One picture. number: that it carries. at_ms: of the page's clock. The rest: what the page said meanwhile."""

    number: int
    at_ms: float
    event: str | None
    film: str | None
    at_seconds: float | None
    subtitle: str
    corners: npt.NDArray[np.float64] | None

    @property
    def told(self) -> str | None:
        """The film that the page tells to be on."""
        return self.film if self.event in FOUND else None


class Watch:
    """Everything that a page sees from now on."""

    def __init__(self, page: "Page", clip: Sequence[Filmed]) -> None:
        self._page = page
        self._truths: dict[int, Instant] = {part.first + k: one for part in clip for k, one in enumerate(part.instants)}
        page.evaluate(_WATCH, {"cell": CELL, "cells": CELLS, "width": WIDTH, "height": HEIGHT})

    def truth(self, seen: Seen) -> Instant:
        """What the camera saw then."""
        return self._truths[seen.number]

    def duration_seconds(self, seen: Seen) -> float:
        """Of the film that was on then, as far as it is filmed."""
        film = self.truth(seen).film
        return max(one.film_seconds for one in self._truths.values() if one.film == film)

    def forget(self) -> None:
        """Begins anew."""
        self._page.evaluate("void (watched.length = 0)")

    def seen(self) -> list[Seen]:
        """All pictures so far."""
        return [_seen(record) for record in self._page.evaluate("watched")]

    def steady(self, pictures: int = FPS) -> list[Seen]:
        """Waits for so many new pictures at which the film has played for a while at its own pace, and returns these.

        Where the machine is short of time, the fake camera halts, and with it the film.
        """
        self.forget()
        return list(until(self._page, lambda: found if len(found := steady(self.seen())) >= pictures else []))

    def until_again(self) -> list[Seen]:
        """Waits until the camera's file begins anew, and returns what was seen until then."""
        until(self._page, "watched.some((seen, k) => k > 0 && seen.number < watched[k - 1].number)")
        return first_pass(self.seen())


def first_pass(seen: Sequence[Seen]) -> list[Seen]:
    """The pictures before the file begins anew."""
    end = next((k for k, (one, other) in enumerate(pairwise(seen), 1) if other.number < one.number), len(seen))
    return list(seen[:end])


def steady(seen: Sequence[Seen]) -> list[Seen]:
    """Those pictures before which the film played at its pace, without a jump, for `STEADY_SECONDS`."""
    lags = [one.at_ms / 1000 - one.number / FPS for one in seen]
    found, begun = [], 0
    for k, one in enumerate(seen):
        while one.at_ms - seen[begun].at_ms > STEADY_SECONDS * 1000:
            begun += 1
        if begun and max(lags[begun - 1 : k + 1]) - min(lags[begun - 1 : k + 1]) <= PACE_SECONDS:
            found.append(one)
    return found


def seconds_until_told(seen: Sequence[Seen], film: str, since: int) -> float:
    """Seconds of camera time from the picture `since` until the page tells of a film."""
    told = next((one for one in seen if one.number >= since and one.told == film), None)
    assert told is not None, f"{film} was never told: {[one.told for one in seen[::15]]}"
    return (told.number - since) / FPS


def _seen(record: dict[str, Any]) -> Seen:
    corners = record["corners"]
    return Seen(
        record["number"],
        record["at"],
        record["event"],
        record["film"],
        record["atSeconds"],
        record["subtitle"],
        None if corners is None else np.array(corners, float),
    )
