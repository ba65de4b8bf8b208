"""What the tests of the pages share: browsers, clips for their camera, and gateways that know films."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.demo import sample_films
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.store import open_store
from tests.browser.clips import Filmed, film_a_screen, write_clip
from tests.browser.driving import Chromiums, shots_folder
from tests.browser.studio import Studio, furnish
from tests.commands import BIKES, BUNNY, CARPHONE
from tests.gateways import RunningGateway, running_gateway
from tests.pipeline.gateway.conftest import add_film

CUE_SECONDS = 0.5
BUNNY_SECONDS = 5.0  # that are filmed
SPOKEN = {"en": "This is said at", "it": "Questo si dice a"}


def cues(language: str, seconds: float) -> str:
    """Subtitles of which each names the time at which it comes."""
    starts = [k * CUE_SECONDS for k in range(int(seconds / CUE_SECONDS))]
    lines = [f"00:{at:06.3f} --> 00:{at + CUE_SECONDS:06.3f}\n{SPOKEN[language]} {at:.1f} s\n" for at in starts]
    return "\n".join(["WEBVTT\n", *lines])


@pytest.fixture(scope="package")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromiums]:
    """Chromium; Playwright's event loop is gone after this package, for other tests want one of their own."""
    from playwright.sync_api import sync_playwright  # here, for it is not there on every machine

    with sync_playwright() as playwright:
        made = Chromiums(playwright, shots_folder(tmp_path_factory.mktemp("screenshots")))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(autouse=True)
def no_troubles(request: pytest.FixtureRequest) -> Iterator[None]:
    """No page throws an error that nobody catches, or does what its policy forbids."""
    yield
    if "browsers" in request.fixturenames:
        troubles = request.getfixturevalue("browsers").troubles
        told, troubles[:] = list(troubles), []
        assert not told


@dataclass(frozen=True)
class Reels:
    """What a phone filmed, and files of it for the fake camera. stranger: a film that no gateway knows."""

    bikes: Filmed
    bunny: Filmed
    stranger: Filmed
    folder: Path

    def camera(self, *parts: Filmed) -> Path:
        """A file that shows these."""
        path = self.folder / f"{'-'.join(str(part.first) for part in parts)}.mjpeg"
        return path if path.is_file() else write_clip(path, parts)


@pytest.fixture(scope="package")
def reels(tmp_path_factory: pytest.TempPathFactory) -> Reels:
    """Three films off a screen."""
    films = sample_films()
    bikes = film_a_screen(films[BIKES], 0)
    bunny = film_a_screen(films[BUNNY], bikes.end, BUNNY_SECONDS)
    stranger = film_a_screen(films[CARPHONE], bunny.end)
    return Reels(bikes, bunny, stranger, tmp_path_factory.mktemp("reels"))


@pytest.fixture(scope="package")
def phone_gateway() -> Iterator[RunningGateway]:
    """A gateway for everybody that knows two films, one with subtitles."""
    bunny, bikes, _ = sample_films()
    with running_gateway("--public", "--films", str(bikes.parent)) as gateway:
        with open_store("embedded", home=gateway.home) as store:
            add_film(store, bikes, {language: cues(language, 10) for language in SPOKEN})
            add_film(store, bunny)
            shown = [Stretch("vehicle", 0.0, 60.0, 0.9), Stretch("bicycle", 0.0, 60.0, 0.8)]
            LabelStore(store).put(Library(store).get(bikes.stem).number, shown)
        yield gateway


@pytest.fixture(scope="package")
def studio(reels: Reels) -> Iterator[Studio]:
    """A gateway for holders of keys, with much to look at."""
    with running_gateway("--films", str(sample_films()[BIKES].parent)) as gateway:
        yield furnish(gateway, reels.bikes)
