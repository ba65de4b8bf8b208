"""The studio's other tabs: moments of films, sightings, cameras; and what each key allows."""

import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from pipeline import keys
from pipeline.frames import RgbImage
from tests.browser.conftest import Reels
from tests.browser.driving import Chromiums, says, until
from tests.browser.studio import CAMERAS, SIGHTINGS, Studio, lists, picture_of, show

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

Picture = npt.NDArray[np.floating[Any]]

_WATCH_FILM = """() => {
  window.shown = []; // moments of the pictures that a film shows as it plays
  new MutationObserver((_, observer) => {
    const video = document.querySelector("video");
    if (!video) return;
    observer.disconnect();
    const look = (now, { mediaTime }) => {
      if (!video.paused && !video.seeking) shown.push(mediaTime);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }).observe(document.body, { subtree: true, childList: true });
}"""
ALIKE = 0.7  # correlation of a film's picture and a photograph of it, blurred
SMALL = (48, 20)  # pixels, width and height, of a blurred picture


def test_search_for_clips_plays_from_the_moment(browsers: Chromiums, studio: Studio) -> None:
    with studio.page(browsers, studio.query, "clips") as page:
        page.get_by_test_id("search").fill("dog")
        says(page.get_by_test_id("clip-result"), "Look at the dog")
        assert page.locator("mark").all_inner_texts() == ["dog"]
        until(page, "document.querySelector('[data-testid=play-clip] img')?.naturalWidth > 0")
        page.get_by_test_id("copy-timecode").click()
        until(page, "navigator.clipboard.readText().then((text) => text === '00:00:04.000')")
        page.evaluate(_WATCH_FILM)
        page.get_by_test_id("play-clip").click()
        until(page, "document.querySelector('video')?.currentTime > 4.5")
        shown = page.evaluate("shown")
        assert shown[0] == pytest.approx(4.0, abs=0.1)
        assert shown == sorted(shown)
        assert page.evaluate("document.querySelector('video').textTracks.length") == 2
        assert "play=bikes&at=4" in page.url
        browsers.shoot(page, "studio-clips")


def test_sighting_shows_what_the_camera_saw_beside_the_film(browsers: Chromiums, studio: Studio, reels: Reels) -> None:
    sighting = f"{CAMERAS[2]}-5"
    with studio.page(browsers, studio.query, "sightings") as page:
        lists(page, 1, 50, SIGHTINGS)
        page.get_by_test_id(f"row-{sighting}").click()
        pictures = [page.locator(f"[data-testid={side}-frame] img") for side in ("camera", "film")]
        for picture in pictures:
            picture.wait_for()
            until(page, partial(picture.evaluate, "img => img.naturalWidth"))
        left, right = (picture.bounding_box() for picture in pictures)
        assert left is not None
        assert right is not None
        assert left["x"] + left["width"] <= right["x"]
        assert min(left["y"] + left["height"], right["y"] + right["height"]) > max(left["y"], right["y"])
        seen, film = (pixels(page, side) for side in ("camera", "film"))
        place = picture_of(sighting, reels.bikes)
        assert correlation(on_the_screen(seen, reels.bikes.instants[place].screen), blurred(film)) > ALIKE
        page.reload()
        page.locator("[data-testid=film-frame] img").wait_for()
        browsers.shoot(page, "studio-sightings")


def pixels(page: "Page", side: str) -> RgbImage:
    """A picture of the page."""
    data = page.locator(f"[data-testid={side}-frame] img").evaluate(
        """(img) => {
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
          canvas.getContext("2d").drawImage(img, 0, 0);
          return canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
        }"""
    )
    return np.asarray(simplejpeg.decode_jpeg(base64.b64decode(data)), np.uint8)


def on_the_screen(image: RgbImage, screen: Picture) -> Picture:
    """What is on a screen with these corners (0..1), blurred."""
    width, height = 8 * SMALL[0], 8 * SMALL[1]
    corners = (screen * image.shape[1::-1]).astype(np.float32)
    places = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turned = cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, places), (width, height))
    return blurred(np.asarray(turned, np.uint8))


def blurred(image: RgbImage) -> Picture:
    """Light alone, few pixels."""
    return np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), SMALL, interpolation=cv2.INTER_AREA), float)


def correlation(one: Picture, other: Picture) -> float:
    """Of two pictures."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_sightings_are_filtered_and_walked_through_by_keyboard(browsers: Chromiums, studio: Studio) -> None:
    with studio.page(browsers, studio.query, "sightings") as page:
        page.get_by_test_id("filter-camera").fill("lobby")
        page.get_by_test_id("filter-camera").press("Tab")
        lists(page, 1, SIGHTINGS // 3, SIGHTINGS // 3)
        page.get_by_test_id("filter-open").select_option("true")
        until(page, lambda: page.get_by_test_id("sighting-row").count() == 0)
        page.get_by_test_id("filter-camera").fill("")
        page.get_by_test_id("filter-camera").press("Tab")
        lists(page, 1, 2, 2)
        page.locator(".bar[tabindex='0']").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.get_by_test_id("film-frame").wait_for()
        assert "sighting=gate-1" in page.url
        with page.expect_download() as download:
            page.get_by_test_id("csv").click()
        assert len(download.value.path().read_text().splitlines()) == 1 + 2


def test_cameras_are_live(browsers: Chromiums, studio: Studio, reels: Reels) -> None:
    def card(camera: str) -> str:
        return f"[data-camera={camera}]"

    with studio.store() as store, studio.page(browsers, studio.query, "cameras") as page:
        until(page, lambda: page.get_by_test_id("camera-card").count() == len(CAMERAS))
        says(page.locator(card("lobby")), "Silent for")
        says(page.locator(card("gate")), "Bikes")
        until(page, f"document.querySelector('{card('lobby')} img')?.naturalWidth > 0")
        page.evaluate(f"document.querySelector('{card('lobby')} img').dataset.old = 'yes'")
        now = time.time_ns()  # of which recognition says something, though nothing is found
        state = {"last_ns": now, "labelled": [(now, [("animal", 0.9), ("rabbit", 0.8)])] * 3}
        store.client.hset(keys.camera_state("lobby"), "session", json.dumps(state))
        show(store, "lobby", reels.bunny.image(40))
        says(page.locator(card("lobby")), "Live")
        says(page.locator(f"{card('lobby')} .labels"), "animal, rabbit")
        until(page, f"document.querySelector('{card('lobby')} img:not([data-old])')?.naturalWidth > 0")
        browsers.shoot(page, "studio-cameras")
        page.get_by_test_id("search").fill("gat")
        until(page, lambda: page.get_by_test_id("camera-card").count() == 1)


@pytest.fixture
def signed_out(browsers: Chromiums, studio: Studio) -> Iterator["Page"]:
    """The studio without a key."""
    with studio.page(browsers, None, "catalogue", video="bikes") as page:
        page.get_by_test_id("sign-in").wait_for()
        yield page


def sign_in(page: "Page", key: str) -> None:
    """Types a key."""
    page.get_by_test_id("sign-in-key").fill(key)
    page.get_by_test_id("sign-in-submit").click()


def test_key_for_queries_may_look_and_not_touch(signed_out: "Page", browsers: Chromiums, studio: Studio) -> None:
    page = signed_out
    browsers.shoot(page, "studio-sign-in")
    sign_in(page, "vn_nonsense")
    says(page.locator("[role=alert]"), "The gateway does not know this key")
    sign_in(page, studio.query)
    says(page.get_by_test_id("needs-manage"), "sign in with a key that has the scope “manage”")
    for button in ("save-title", "delete-video", "delete-subtitles-en"):
        assert page.get_by_test_id(button).is_disabled()
    refused = """async (key) => {
      const change = { method: "PATCH", body: '{"title": "Mine"}' };
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      return (await fetch("/v1/videos/bikes", { ...change, headers })).status;
    }"""
    assert page.evaluate(refused, studio.query) == 403
    page.keyboard.press("Escape")
    page.get_by_test_id("tab-upload").click()
    page.get_by_test_id("needs-manage").wait_for()
    assert page.get_by_test_id("drop-zone").count() == 0
    page.get_by_test_id("sign-out").click()
    page.get_by_test_id("sign-in").wait_for()
    sign_in(page, studio.manage)
    page.get_by_test_id("drop-zone").wait_for()


def test_key_stays_out_of_the_address(browsers: Chromiums, studio: Studio) -> None:
    with studio.page(browsers, studio.query, "clips") as page:
        page.get_by_test_id("search").wait_for()
        assert studio.query not in page.url
        assert page.evaluate("Object.keys(localStorage).filter((name) => localStorage[name].startsWith('vn_'))") == []
