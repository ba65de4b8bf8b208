"""The phone page with a camera before a screen: what it finds, how soon, and how exactly."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.browser.clips import FPS
from tests.browser.conftest import CUE_SECONDS, SPOKEN, Reels
from tests.browser.driving import Chromiums, says, until
from tests.browser.watching import Seen, Watch, seconds_until_told, steady
from tests.gateways import RunningGateway

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FOUND_WITHIN_SECONDS = 3.0  # of what the camera sees
RIGHT_WITHIN_SECONDS = 0.5
CORNER_WITHIN = 0.03  # of the picture's side
LEAD_SECONDS = 1.0


@dataclass(frozen=True)
class Shown:
    """A page that found bikes and goes on. seen: what it saw of the film from the start of the camera to its end."""

    page: "Page"
    watch: Watch
    seen: list[Seen]

    def found(self) -> list[Seen]:
        """The pictures from the first on at which the film is told."""
        first = next(k for k, one in enumerate(self.seen) if one.told)
        return self.seen[first:]

    def steady(self) -> list[Seen]:
        """Pictures of a film that plays at its pace: of those that were seen, or new ones."""
        seen = steady(self.found())
        return seen if len(seen) >= FPS else self.watch.steady()


@pytest.fixture(scope="module")
def shown(browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway) -> Iterator[Shown]:
    """The models are ready when the camera starts, as they are for those who read the page first."""
    with browsers.page(phone_gateway.url, reels.camera(reels.bikes)) as page:
        says(page.get_by_test_id("promise"), "no pictures")
        browsers.shoot(page, "phone-start")
        watch = Watch(page, [reels.bikes])
        page.get_by_test_id("start").click()
        until(page, "vnome.state().stage === 'running'")
        page.get_by_test_id("stop").click()
        watch.forget()
        page.get_by_test_id("start").click()
        yield Shown(page, watch, watch.until_again())


def test_found_within_three_seconds_of_the_start_of_the_camera(shown: Shown, browsers: Chromiums) -> None:
    assert shown.seen[0].number < FPS  # the camera's file begins when the camera is started
    took = seconds_until_told(shown.seen, "bikes", shown.seen[0].number)
    print(f"from the camera's start to the title: {took:.2f} s")
    assert took <= FOUND_WITHIN_SECONDS
    says(shown.page.get_by_test_id("title"), "Bikes")
    says(shown.page.get_by_test_id("state"), "Found: Bikes")
    says(shown.page.get_by_test_id("labels"), "vehicle, bicycle")
    assert {one.told for one in shown.found()} == {"bikes"}
    until(shown.page, "vnome.state().subtitle")
    browsers.shoot(shown.page, "phone-found")


def test_moment_is_that_of_the_film(shown: Shown) -> None:
    found = moment_errors(shown.found(), shown.watch)
    print(f"error of the moment from the title on: median {median(found):.3f} s, most {max(found):.3f} s")
    assert median(found) <= RIGHT_WITHIN_SECONDS
    assert max(moment_errors(shown.steady(), shown.watch)) <= RIGHT_WITHIN_SECONDS
    assert re.fullmatch(r"0:00:(0\d|10)", shown.page.get_by_test_id("moment").inner_text())


def moment_errors(seen: Sequence[Seen], watch: Watch) -> list[float]:
    """Seconds between the moment told and the true one."""
    assert all(one.at_seconds is not None for one in seen)
    return [abs((one.at_seconds or 0) - watch.truth(one).film_seconds) for one in seen]


def test_outline_lies_on_the_screen(shown: Shown) -> None:
    off = [
        np.abs(one.corners - shown.watch.truth(one).screen).max() for one in shown.found() if one.corners is not None
    ]
    assert len(off) == len(shown.found())
    mostly = float(np.quantile(off, 0.9))
    print(f"corners off, of the picture's side: median {median(off):.4f}, 9 in 10 at most {mostly:.4f}")
    assert median(off) <= CORNER_WITHIN
    assert mostly <= 2 * CORNER_WITHIN
    assert shown.page.get_by_test_id("outline").get_attribute("data-shown") == "true"


def test_subtitles_are_those_of_the_moment(shown: Shown) -> None:
    assert not wrong_subtitles(shown.steady(), shown.watch, "en", 0)
    says_what_is_said(shown.page, "en")
    shown.page.get_by_test_id("subtitle-language").select_option("it")
    until(shown.page, f"vnome.state().subtitle.startsWith('{SPOKEN['it']}')")
    assert not wrong_subtitles(shown.watch.steady(), shown.watch, "it", 0)
    says_what_is_said(shown.page, "it")


def says_what_is_said(page: "Page", language: str) -> None:
    """The page shows subtitles in a language."""
    subtitle = page.get_by_test_id("subtitle")
    assert subtitle.get_attribute("lang") == language
    assert re.fullmatch(SPOKEN[language] + r" \d\.\d s", until(page, subtitle.inner_text))


def wrong_subtitles(seen: Sequence[Seen], watch: Watch, language: str, lead: float) -> list[tuple[float, str]]:
    """Moments of the film, with what was shown, where that is not said within `RIGHT_WITHIN_SECONDS`."""
    wrong = []
    for one in seen:
        moment = watch.truth(one).film_seconds + lead
        said = re.fullmatch(SPOKEN[language] + r" (\d\.\d) s", one.subtitle)
        begins = float(said[1]) if said else -100.0
        over = moment >= watch.duration_seconds(one) - RIGHT_WITHIN_SECONDS
        right = begins - RIGHT_WITHIN_SECONDS <= moment < begins + CUE_SECONDS + RIGHT_WITHIN_SECONDS
        if not right and not over:
            wrong.append((moment, one.subtitle))
    return wrong


def test_subtitles_come_earlier_when_the_keyboard_says_so(shown: Shown) -> None:
    lead = shown.page.get_by_test_id("lead")
    lead.focus()
    for _ in range(round(LEAD_SECONDS * 10)):
        shown.page.keyboard.press("ArrowRight")
    assert lead.get_attribute("aria-valuetext") == "1.0 s earlier"
    seen = shown.watch.steady()
    language = shown.page.get_by_test_id("subtitle-language").input_value()
    assert not wrong_subtitles(seen, shown.watch, language, LEAD_SECONDS)
    assert wrong_subtitles(seen, shown.watch, language, -LEAD_SECONDS)
    shown.page.keyboard.press("Home")
    assert lead.get_attribute("aria-valuetext") == "5.0 s later"


def test_what_was_found_is_listed_and_its_moment_can_be_shared(
    shown: Shown, browsers: Chromiums, phone_gateway: RunningGateway
) -> None:
    page = shown.page
    page.get_by_test_id("share").click()
    says(page.get_by_text("Link copied."), "Link copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    seconds = re.fullmatch(re.escape(phone_gateway.url) + r"/\?video=bikes&t=(\d+\.\d)", link)
    assert seconds
    page.locator("[data-testid=history] summary").click()
    says(page.get_by_test_id("history"), "Bikes")
    browsers.shoot(page, "phone-history")
    with browsers.page(link) as opened:
        says(opened.get_by_test_id("shared-title"), "Bikes")
        says(opened.get_by_test_id("shared-moment"), f"0:00:{int(float(seconds[1])):02d}")
        until(opened, "document.querySelector('[data-testid=shared-poster]').naturalWidth > 0")
        browsers.shoot(opened, "phone-shared")


def test_stop_ends_the_camera(shown: Shown) -> None:
    track = shown.page.evaluate_handle("vnome.video.srcObject.getVideoTracks()[0]")
    shown.page.get_by_test_id("stop").click()
    assert track.evaluate("track => track.readyState") == "ended"
    assert shown.page.evaluate("document.activeElement.dataset.testid") == "start"
