"""A gateway with a catalogue, cameras and sightings for the studio, and its pages."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from edge.demo import sample_films
from pipeline import keys
from pipeline.api_keys import ApiKeys
from pipeline.camera_pictures import CameraPictures, keep_for_sighting
from pipeline.encoder import default_encoder
from pipeline.frames import RgbImage
from pipeline.library import Library
from pipeline.sightings import Sighting, Sightings
from pipeline.store import Store, open_store
from pipeline.tracks import Track
from pipeline.videos import VideoFields
from tests.browser.clips import FPS, Filmed
from tests.browser.driving import DESK_SIZE, Chromiums, says
from tests.commands import BIKES, CARPHONE
from tests.gateways import RunningGateway
from tests.pipeline.gateway.conftest import add_film

if TYPE_CHECKING:
    from playwright.sync_api import Page

EPISODES = 55  # videos of which only codes are kept, beside two films
CAMERAS = ("channel-7", "gate", "lobby")
SIGHTINGS = 60
APART_SECONDS = 1300.0  # so that all of them are of one day
INTO_SECONDS = 0.5  # a sighting its picture was taken
SPOKEN = "WEBVTT\n\n00:01.000 --> 00:03.500\nWhy not? The bicycle is mine\n\n00:04.000 --> 00:06.000\nLook at the dog\n"
SAID = "1\n00:00:01,000 --> 00:00:03,500\nPerché no? La bicicletta è mia\n"


@dataclass(frozen=True)
class Studio:
    """A gateway, and keys of two scopes for it."""

    gateway: RunningGateway
    query: str = field(repr=False)
    manage: str = field(repr=False)

    def address(self, view: str, **parameters: str) -> str:
        """Of a view of the page."""
        return f"{self.gateway.url}/studio?{urlencode({'view': view, **parameters})}"

    @contextmanager
    def page(
        self, browsers: Chromiums, key: str | None, view: str, size: tuple[int, int] = DESK_SIZE, **parameters: str
    ) -> Iterator["Page"]:
        """The studio, signed in with a key."""
        signed = f"#key={key}" if key else ""
        with browsers.page(self.address(view, **parameters) + signed, size=size) as page:
            yield page

    @contextmanager
    def store(self) -> Iterator[Store]:
        """What the gateway keeps."""
        with open_store("embedded", home=self.gateway.home) as store:
            yield store


def furnish(gateway: RunningGateway, filmed: Filmed) -> Studio:
    """Fills an empty gateway. filmed: bikes, as the cameras see it."""
    films = sample_films()
    with open_store("embedded", home=gateway.home) as store:
        add_film(store, films[BIKES], {"en": SPOKEN, "it": SAID})
        add_film(store, films[CARPHONE])
        rng = np.random.default_rng(1)
        for number in range(EPISODES):
            _add_episode(store, number, rng)
        _add_sightings(store, filmed)
        query, manage = (ApiKeys(store).add(scope, scope)[1] for scope in ("query", "manage"))
    return Studio(gateway, query, manage)


def lists(page: "Page", first: int, last: int, total: int) -> None:
    """Waits until a list shows these of so many."""
    says(page.get_by_test_id("range"), f"{first}\N{EN DASH}{last} of {total}")


def show(store: Store, camera: str, picture: RgbImage, at: float | None = None) -> None:
    """A camera sees something. at: epoch seconds; now, if not given."""
    seconds = time.time() if at is None else at
    CameraPictures(store).put([(camera, int(seconds * 1e9), picture)])
    store.client.zadd(keys.CAMERAS, {camera: seconds})


def picture_of(sighting: str, filmed: Filmed) -> int:
    """The place of the picture that was kept for a sighting."""
    number = int(sighting.rpartition("-")[2])
    return FPS + (number * 37) % (len(filmed.pictures) - 2 * FPS)


def _add_episode(store: Store, number: int, rng: np.random.Generator) -> None:
    seconds = 60 + number
    codes = rng.integers(0, 1 << 32, 4, np.uint32)
    track = Track(np.arange(4, dtype=np.uint32) * 1000, codes, seconds * 1000)
    name = f"episode-{number:02d}"
    fields = VideoFields(
        name, f"Episode {number:02d}", f"{name}.mp4", f"{number:064x}", default_encoder().bundle.sha256
    )
    Library(store).add(fields, track, float(seconds), seconds * 5, {})


def _add_sightings(store: Store, filmed: Filmed) -> None:
    now = time.time()
    for number in reversed(range(SIGHTINGS)):
        camera = CAMERAS[number % len(CAMERAS)]
        name = f"{camera}-{number}"
        place = picture_of(name, filmed)
        begins = filmed.instants[place].film_seconds - INTO_SECONDS
        start, seconds = now - 60 - number * APART_SECONDS, (20.0, 120.0, 900.0)[number % 3]
        still_on = number < 2
        end = now if still_on else start + seconds
        sighting = Sighting(
            name, "bikes", "Bikes", camera, start, end, begins, begins + 3, 0.999 - number * 1e-5, still_on
        )
        show(store, camera, filmed.image(place), start + INTO_SECONDS)
        with store.errors():
            pipe: Any = store.client.pipeline(transaction=False)
            Sightings(store).put(pipe, sighting)
            keep_for_sighting(pipe, camera, name)
            if still_on:
                state = json.dumps({"sighting": asdict(sighting)})
                pipe.hset(keys.camera_state(camera), "session", state)
            pipe.execute()
