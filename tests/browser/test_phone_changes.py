"""The phone page where something changes, is missing, or is not known."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Reels
from tests.browser.driving import Chromiums, says, until
from tests.browser.watching import Seen, Watch, first_pass, seconds_until_told
from tests.gateways import RunningGateway

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

TOLD_WITHIN_SECONDS = 3.0
UNKNOWN_SECONDS = 8.0
NO_WEBASSEMBLY = "delete globalThis.WebAssembly"
DENIED = 'navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError") }'
FOUND_AGAIN = "document.querySelector('[data-testid=state]').textContent === 'Found: Bikes'"


def start(page: "Page") -> None:
    """Starts the camera with the models ready."""
    page.get_by_test_id("start").click()
    until(page, "vnome.state().stage === 'running'")
    page.get_by_test_id("stop").click()
    page.get_by_test_id("start").click()


def told(seen: list[Seen], film: str) -> list[Seen]:
    """The pictures, once the page tells of a film."""
    return seen if any(one.told == film for one in seen) else []


def test_change_of_film_is_told(browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway) -> None:
    clip = [reels.bikes, reels.bunny]
    with browsers.page(phone_gateway.url, reels.camera(*clip)) as page:
        watch = Watch(page, clip)
        start(page)
        watch.forget()
        seen = watch.until_again()
        again = until(page, lambda: told(first_pass(watch.seen()[len(seen) :]), "bikes"))
        browsers.shoot(page, "phone-changed")
    order = [film for film in dict.fromkeys(one.told for one in seen) if film]
    assert order == ["bikes", "bigbuckbunny"]
    took = [
        seconds_until_told(seen, "bikes", seen[0].number),
        seconds_until_told(seen, "bigbuckbunny", reels.bunny.first),
        seconds_until_told(again, "bikes", 0),
    ]
    print(f"seconds of camera time until a change was told: {took}")
    assert max(took) <= TOLD_WITHIN_SECONDS


def test_gateway_that_is_killed_is_found_again(
    browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway
) -> None:
    with browsers.page(phone_gateway.url, reels.camera(reels.bikes)) as page:
        page.get_by_test_id("start").click()
        until(page, FOUND_AGAIN)
        phone_gateway.kill()
        until(page, "vnome.state().connection === 'away'")
        says(page.get_by_test_id("state"), "The server does not answer")
        says(page.get_by_test_id("title"), "Bikes")  # it is believed to play on for a while
        browsers.shoot(page, "phone-away")
        phone_gateway.start()
        until(page, "vnome.state().connection === 'open'")
        until(page, FOUND_AGAIN)


@pytest.mark.parametrize(
    ("address", "script", "said", "why"),
    [
        ("/?mode=jpeg", "", "Small pictures are sent instead of codes", "forced"),
        ("/", NO_WEBASSEMBLY, "This browser cannot make the codes", "unsupported"),
    ],
)
def test_pictures_are_sent_where_codes_cannot_be(
    browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway, address: str, script: str, said: str, why: str
) -> None:
    with browsers.page(phone_gateway.url + address, reels.camera(reels.bikes), script=script) as page:
        says(page.get_by_test_id("promise"), "small pictures of what it sees are sent to this server")
        page.get_by_test_id("start").click()
        until(page, FOUND_AGAIN)
        until(page, "vnome.state().screen")  # the gateway tells where it is
        state = page.evaluate("vnome.state()")
        assert (state["mode"], state["fallBack"]) == ("jpeg", why)
        says(page.get_by_test_id("fallback"), said)
        browsers.shoot(page, f"phone-{why}")


def test_film_that_is_not_indexed_stays_unknown(
    browsers: Chromiums, reels: Reels, phone_gateway: RunningGateway
) -> None:
    with browsers.page(phone_gateway.url, reels.camera(reels.stranger)) as page:
        watch = Watch(page, [reels.stranger])
        start(page)
        watch.forget()
        until(page, f"watched.length && watched.at(-1).at - watched[0].at > {UNKNOWN_SECONDS * 1000}")
        seen = watch.seen()
        assert page.evaluate("vnome.state().framesSent") >= UNKNOWN_SECONDS  # it looked at many
        assert {one.film for one in seen} == {None}
        says(page.get_by_test_id("state"), "Searching")
        browsers.shoot(page, "phone-unknown")


def test_camera_that_is_denied_is_explained(browsers: Chromiums, phone_gateway: RunningGateway) -> None:
    with browsers.page(phone_gateway.url, script=DENIED) as page:
        page.get_by_test_id("start").click()
        says(page.get_by_test_id("trouble"), "The camera is not allowed")
        assert page.evaluate("document.activeElement.dataset.testid") == "start"
        browsers.shoot(page, "phone-denied")
