"""The page computes what `pipeline` computes: codes, the screen that is followed, bars, and readings."""

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.demo import sample_films
from pipeline.bundles import shipped_bundle
from pipeline.detector import CLOSER_LEAST, DETECTOR, ScreenDetector, Sighting
from pipeline.encoder import Corners, default_encoder, whole_picture
from pipeline.frames import Frame, RgbImage
from pipeline.letterbox import ActiveArea, ScreenBars
from pipeline.media import read_frames
from pipeline.screen import ScreenTracker
from pipeline.views import ViewReader
from tests.browser.conftest import Reels
from tests.browser.driving import Chromiums
from tests.gateways import RunningGateway

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FRAMES = 50
PLAIN = 26  # of them, as the films are; the others off a screen
BITS = 32
EQUAL_BITS = 0.999
CORNER_PIXELS = 0.05  # single and double precision differ
ON_SCREEN = np.array([[90, 60], [560, 50], [550, 310], [100, 300]], np.float32)

_STEP = """([name, parameters]) => {
  const bytes = (packed) => {
    const text = atob(packed);
    const taken = new Uint8ClampedArray(text.length);
    for (let k = 0; k < taken.length; k++) taken[k] = text.charCodeAt(k);
    return taken;
  };
  const unpacked = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(unpacked);
    const parts = Object.entries(value);
    return Object.fromEntries(parts.map(([key, part]) => [key, key === "rgba" ? bytes(part) : unpacked(part)]));
  };
  const [first, ...rest] = unpacked(parameters);
  const spread = first.rgba ? [first.rgba, first.width, first.height] : [first];
  return vnome[name](...spread, ...rest);
}"""


@pytest.fixture(scope="module")
def page(browsers: Chromiums, phone_gateway: RunningGateway) -> Iterator["Page"]:
    """The page with its single steps."""
    with browsers.page(f"{phone_gateway.url}/?test=1") as opened:
        yield opened


def step(page: "Page", name: str, *parameters: Any) -> Any:
    """One of the page's steps."""
    return page.evaluate(_STEP, [name, list(parameters)])


def packed(image: RgbImage) -> dict[str, Any]:
    """A picture for the page."""
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    return {"rgba": base64.b64encode(rgba.tobytes()).decode(), "width": image.shape[1], "height": image.shape[0]}


def real_frames(reels: Reels) -> list[tuple[RgbImage, Corners]]:
    """Pictures with the corners of the film in them: of all films, some off a screen."""
    films = [list(read_frames(film, max_side=640)) for film in sample_films()]
    plain = [films[k % len(films)][(7 * k) % 100].image for k in range(PLAIN)]
    frames = [(image, whole_picture(image)) for image in plain]
    parts = [reels.bikes, reels.bunny, reels.stranger]
    for k in range(FRAMES - PLAIN):
        part, place = parts[k % len(parts)], (11 * k) % 110
        image = part.image(place)
        frames.append((image, part.instants[place].screen * np.array(image.shape[1::-1], np.float32)))
    return frames


def test_codes_of_real_frames(page: "Page", reels: Reels) -> None:
    frames = real_frames(reels)
    assert len(frames) == FRAMES
    equal, margins_off = 0, []
    for image, corners in frames:
        codes, margins = default_encoder().encode_batch(image[None], corners[None])
        reply = step(page, "encode", packed(image), corners.tolist())
        equal += BITS - int(codes[0] ^ np.uint32(reply["code"])).bit_count()
        margins_off.append(np.abs(np.array(reply["margins"]) - margins[0]).max())
    share = equal / (BITS * FRAMES)
    print(f"bits equal: {share:.5f}; margins off by at most {max(margins_off):.2g} nats")
    assert share >= EQUAL_BITS


def test_screens_that_the_detector_finds(page: "Page", reels: Reels) -> None:
    images = [reels.bikes.image(10), reels.bunny.image(60), reels.stranger.image(90)]
    room = np.full((360, 640, 3), 30, np.uint8)
    room[90:210, 200:410] = cv2.resize(images[0], (210, 120))  # a small screen, which is looked at again, closer
    images.append(room)
    detector = ScreenDetector(shipped_bundle(DETECTOR), int8=False)  # the browser has the other variant
    assert detector._look(room).confidence > CLOSER_LEAST
    for image, found in zip(images, detector.detect(images), strict=True):
        reply = step(page, "detect", packed(image))
        assert np.abs(np.array(reply["corners"]) - found.corners).max() < CORNER_PIXELS
        assert reply["confidence"] == pytest.approx(found.confidence, abs=0.001)


def test_screen_that_is_followed(page: "Page", rng: np.random.Generator) -> None:
    lost = 0
    for _ in range(10):
        sightings = shaken_screen(rng)
        tracker = ScreenTracker()
        wanted = [
            tracker.add(Sighting(np.array(one["corners"], np.float32), one["confidence"]), (360, 640), one["seconds"])
            for one in sightings
        ]
        for want, got in zip(wanted, step(page, "track", sightings), strict=True):
            assert (want is None) == (got is None)
            lost += want is None
            if want is not None:
                assert np.abs(want.corners - np.array(got["corners"])).max() < CORNER_PIXELS
                assert got["confidence"] == pytest.approx(want.confidence, abs=1e-6)
    assert lost


def shaken_screen(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sightings of a screen in a hand that jumps now and then; some are unsure, some are late."""
    middle, seconds, sightings = ON_SCREEN.astype(float), 0.0, []
    for _ in range(60):
        seconds += float(rng.choice([0.1, 0.12, 0.13, 0.7]))
        if rng.random() < 0.03:
            middle = middle + rng.normal(0, 80, 2)
        corners = (middle + rng.normal(0, 3, (4, 2))).astype(np.float32).tolist()
        confidence = float(rng.choice([rng.random(), 0.02, 0.9]))
        sightings.append({"corners": corners, "confidence": confidence, "size": [360, 640], "seconds": seconds})
    return sightings


def test_bars_on_a_screen(page: "Page", rng: np.random.Generator) -> None:
    found = 0
    for run in range(12):
        bars = (int(rng.integers(0, 50)), 0) if run % 2 else (0, int(rng.integers(0, 90)))
        bars = (0, 0) if run % 4 == 0 else bars
        screens = [(ON_SCREEN + rng.normal(0, 8, (4, 2))).astype(np.float32) for _ in range(3)]
        pictures = [on_a_screen(barred(rng, 180, 320, *bars, black=int(rng.integers(0, 30))), s) for s in screens]
        inside = ScreenBars()
        for picture, screen in zip(pictures, screens, strict=True):
            inside.add(picture, screen)
        want = inside.inside(screens[-1])
        got = step(page, "bars", [packed(one) for one in pictures], [screen.tolist() for screen in screens])
        assert (want is None) == (got is None)
        if want is not None:
            found += 1
            assert np.abs(want - np.array(got)).max() < CORNER_PIXELS
    assert 2 < found < 12


def test_bars_of_the_picture_itself(page: "Page", rng: np.random.Generator) -> None:
    found = 0
    for run in range(20):
        height, width = int(rng.integers(100, 400)), int(rng.integers(100, 640))
        bars = (int(rng.integers(0, height // 3)), 0) if run % 2 else (0, int(rng.integers(0, width // 3)))
        pictures = [barred(rng, height, width, *bars, black=int(rng.integers(0, 25))) for _ in range(2)]
        area = ActiveArea()
        for picture in pictures:
            area.add(picture)
        want, got = area.corners(), step(page, "area", [packed(one) for one in pictures])
        assert (None if want is None else want.tolist()) == got
        found += want is not None
    assert 5 < found < 20


def test_readings_of_a_camera(page: "Page", rng: np.random.Generator) -> None:
    reader, steps, wanted = ViewReader(), [], []
    for k in range(40):
        image = barred(rng, 180, 320, 18, 0, black=5)
        corners = (ON_SCREEN / 2 + rng.normal(0, 1, (4, 2))).astype(np.float32)
        confidence = float(rng.choice([0.05, 0.5, 0.9]))
        only = [None, None, 4, 5, 2, 0, 6][k % 7]
        seen = None if only in (0, 2, 6) else Sighting(corners, confidence)
        wanted.append(reader.read(Frame(image, k * 0.13), seen, only))
        told = seen and {"corners": corners.tolist(), "confidence": confidence}
        steps.append({**packed(image), "seen": told, "seconds": k * 0.13, "only": only})
    views = set()
    for (readings, screen), got in zip(wanted, step(page, "readings", steps), strict=True):
        assert {int(view) for view in got["readings"]} == set(readings)
        assert (screen is None) == (got["screen"] is None)
        views |= set(readings)
        for view, reading in readings.items():
            assert np.abs(reading.corners - np.array(got["readings"][str(view)])).max() < CORNER_PIXELS
    assert len(views) >= 6


def barred(rng: np.random.Generator, height: int, width: int, bar_y: int, bar_x: int, black: int) -> RgbImage:
    """A picture inside black bars, with noise."""
    coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    image[:bar_y], image[height - bar_y :], image[:, :bar_x], image[:, width - bar_x :] = (black,) * 4
    return np.asarray(np.clip(image + rng.normal(0, 3, image.shape), 0, 255), np.uint8)


def on_a_screen(film: RgbImage, corners: npt.NDArray[np.float32]) -> RgbImage:
    """The film on a screen with these corners, in a gray room."""
    height, width = film.shape[:2]
    places = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    room = np.full((360, 640, 3), 40, np.uint8)
    turn = cv2.getPerspectiveTransform(places, corners)
    cv2.warpPerspective(film, turn, (640, 360), dst=room, borderMode=cv2.BORDER_TRANSPARENT)
    return room
