"""Drives the machine's own Chromium: pages, what is asked of them, and pictures of them."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.conftest import CHROMIUMS, skip_or_fail

if TYPE_CHECKING:  # the package is not there on every machine: see the marker `browser`
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright

PATIENCE_SECONDS = 60.0  # machines of continuous integration are slow
POLL_MS = 50.0
SHOTS_VARIABLE = "VNOME_SCREENSHOTS"  # folder for pictures of the pages, instead of one of pytest's own
PHONE_SIZE, DESK_SIZE = (360, 740), (1440, 900)
ARGUMENTS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
AXE = Path("edge/phone/node_modules/axe-core/axe.min.js")

Answer = TypeVar("Answer")


def chromium() -> str:
    """The machine's Chromium."""
    return next(path for path in map(shutil.which, CHROMIUMS) if path)


@dataclass
class Chromiums:
    """Browsers, one for each thing that their camera sees. troubles: what went wrong in their pages."""

    playwright: "Playwright"
    shots: Path
    troubles: list[str] = field(default_factory=list)
    _browsers: dict[Path | None, "Browser"] = field(default_factory=dict)

    @contextmanager
    def page(
        self, url: str, camera: Path | None = None, size: tuple[int, int] = PHONE_SIZE, script: str = "", **context: Any
    ) -> Iterator["Page"]:
        """A page of its own browser context. camera: a file of JPEG pictures. script: runs before those of the page."""
        made = self._browser(camera).new_context(
            viewport={"width": size[0], "height": size[1]},
            permissions=["camera", "clipboard-read", "clipboard-write"],
            **{"locale": "en-GB", "color_scheme": "dark", **context},
        )
        try:
            page = made.new_page()
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
            page.on("console", self._heard)
            if script:
                page.add_init_script(script)
            page.goto(url)
            yield page
        finally:
            made.close()

    def shoot(self, page: "Page", name: str) -> None:
        """Keeps a picture of a page as it is now."""
        page.screenshot(path=self.shots / f"{name}.png")

    def close(self) -> None:
        """Ends all browsers."""
        for browser in self._browsers.values():
            browser.close()

    def _browser(self, camera: Path | None) -> "Browser":
        if camera not in self._browsers:
            sees = [f"--use-file-for-fake-video-capture={camera}"] if camera else []
            launched = self.playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *sees])
            self._browsers[camera] = launched
        return self._browsers[camera]

    def _heard(self, message: "ConsoleMessage") -> None:
        if "Content Security Policy" in message.text:
            self.troubles.append(message.text)


def until(page: "Page", ask: str | Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Any:
    """Asks again and again until the answer is true, and returns it. ask: an expression in the page, or a function.

    Playwright's own waiting for expressions does not pass the pages' content security policy.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = page.evaluate(ask) if isinstance(ask, str) else ask()
        if answer:
            return answer
        state = "globalThis.vnome ? JSON.stringify(vnome.state()) : document.body.innerText"
        assert time.monotonic() < deadline, f"never in {seconds:.0f} s: {ask}; {page.url}: {page.evaluate(state)}"
        page.wait_for_timeout(POLL_MS)


def says(where: "Locator", part: str) -> None:
    """Waits until a text is there."""
    until(where.page, lambda: where.count() == 1 and part in where.inner_text(), PATIENCE_SECONDS)


def violations(page: "Page") -> list[str]:
    """What axe-core finds wrong for people with disabilities, serious or critical. The page must bypass its CSP."""
    page.evaluate(axe())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    assert found["passes"], "axe-core looked at nothing"
    return [
        f"{rule['id']} ({rule['impact']}): {[node['html'][:200] for node in rule['nodes']]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def axe() -> str:
    """The script of axe-core."""
    script = Path(__file__).parents[2] / AXE
    if not script.is_file():
        skip_or_fail("browser", f"no {AXE}: make web")
    return script.read_text()


def shots_folder(usual: Path) -> Path:
    """Where pictures of the pages are kept."""
    folder = Path(os.environ.get(SHOTS_VARIABLE) or usual)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
