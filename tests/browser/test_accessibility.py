"""axe-core finds nothing serious on any screen of the pages, small or wide, dark or light."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Reels
from tests.browser.driving import DESK_SIZE, PHONE_SIZE, Chromiums, says, until, violations
from tests.browser.studio import Studio
from tests.gateways import RunningGateway

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SCREENS = [pytest.param(PHONE_SIZE, "light", id="small"), pytest.param(DESK_SIZE, "dark", id="wide")]
NO_CAMERA = """() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotFoundError"));
}"""
VIEWS = {  # parameters, and what is there when the view is
    "catalogue": ({"video": "bikes"}, "subtitles-en"),
    "upload": ({}, "drop-zone"),
    "sightings": ({"sighting": "lobby-5"}, "film-frame"),
    "clips": ({"q": "bicycle"}, "clip-result"),
    "cameras": ({}, "camera-card"),
}


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_phone_page(
    browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway, size: tuple[int, int], scheme: str
) -> None:
    camera = reels.camera(reels.bikes)
    with browsers.page(phone_gateway.url, camera, size, color_scheme=scheme, bypass_csp=True) as page:
        page.get_by_test_id("start").wait_for()
        assert not faults(page)
        page.get_by_test_id("start").click()
        until(page, "vnome.state().subtitle")
        assert not faults(page)
        page.get_by_test_id("stop").click()
        page.locator("[data-testid=history] summary").click()
        assert not faults(page)
        page.evaluate(NO_CAMERA)
        page.get_by_test_id("start").click()
        says(page.get_by_test_id("trouble"), "No camera was found")
        assert not faults(page)


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_studio(browsers: Chromiums, studio: Studio, size: tuple[int, int], scheme: str) -> None:
    with browsers.page(studio.address("catalogue"), None, size, color_scheme=scheme, bypass_csp=True) as page:
        page.get_by_test_id("sign-in").wait_for()
        assert not faults(page)
        page.get_by_test_id("sign-in-key").fill(studio.manage)
        page.get_by_test_id("sign-in-submit").click()
        page.get_by_test_id("row-bikes").wait_for()
        assert not faults(page)
        for view, (parameters, there) in VIEWS.items():
            page.goto(studio.address(view, **parameters))
            page.get_by_test_id(there).first.wait_for()
            assert not faults(page), view


def faults(page: "Page") -> list[str]:
    """What axe-core finds, and whether the page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*violations(page), *([f"{wide} pixels too wide"] if wide > 0 else [])]
