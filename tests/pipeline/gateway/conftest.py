"""A gateway in this process, on a real Redis."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from edge.demo import sample_films
from pipeline.api_keys import ApiKeys
from pipeline.encoder import default_encoder
from pipeline.gateway.app import make_app
from pipeline.gateway.parts import Gateway
from pipeline.gateway.server import Options, body_limits, make_gateway
from pipeline.indexing import code_film, fingerprint
from pipeline.library import Library
from pipeline.metrics import Metrics
from pipeline.settings import settings
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import BIKES

PLENTY = 10_000.0  # requests a second: limits are tested where they are meant
VTT = "WEBVTT\n\n00:01.000 --> 00:03.000\nHello <i>bikes</i>\n\n00:03.500 --> 00:09.000\nTwo &amp; more\nlines\n"
SRT = "1\n00:00:01,000 --> 00:00:03,000\nCiao biciclette\n\n2\n00:00:03,500 --> 00:00:09,000\nDue\n"

Make = Callable[..., "Client"]


class Client(TestClient):
    """A caller. key: sent with every request, if any."""

    def __init__(self, gateway: Gateway, options: Options, key: str | None = None) -> None:
        app = make_app(gateway, body_limits(options), list(options.origins))
        super().__init__(app, raise_server_exceptions=False)
        self.gateway = gateway
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"

    def with_key(self, key: str | None) -> "Client":
        """The same gateway, called by another."""
        return Client(self.gateway, Options(public=self.gateway.public), key)

    def wait_for(self, upload: dict[str, Any]) -> dict[str, Any]:
        """The upload when it is over."""
        for _ in range(600):
            state: dict[str, Any] = self.get(f"/v1/uploads/{upload['upload']}").json()
            if state["state"] in ("done", "failed", "cancelled"):
                return state
            time.sleep(0.05)
        raise AssertionError(f"the upload is still {state}")


@pytest.fixture
def make_client(store: Store, redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a gateway with options, and a caller with a key of a scope; None: without."""
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    settings.cache_clear()
    with ExitStack() as made:

        def make(scope: str | None = "admin", **options: Any) -> Client:
            chosen = replace(Options(rate=PLENTY), **options)
            gateway = make_gateway(store, chosen, Metrics())
            made.callback(gateway.close)
            key = ApiKeys(store).add("test", scope)[1] if scope else None
            return Client(gateway, chosen, key)

        yield make


@pytest.fixture
def client(make_client: Make) -> Client:
    """A caller that may do all."""
    return make_client()


@pytest.fixture
def bikes(store: Store) -> str:
    """The id of a film that is indexed, with subtitles in English and Italian."""
    return add_film(store, sample_films()[BIKES], {"en": VTT, "it": SRT})


_coded: dict[Path, Any] = {}


def add_film(store: Store, film: Path, subtitles: dict[str, str] | None = None) -> str:
    """Indexes a film, which is coded once a session."""
    encoder = default_encoder()
    if film not in _coded:
        _coded[film] = code_film(film, encoder, lambda _: None)
    coded = _coded[film]
    fields = VideoFields(film.stem, film.stem.title(), film.name, fingerprint(film), encoder.bundle.sha256)
    Library(store).add(fields, coded.track, coded.duration_seconds, coded.frames, subtitles or {}, coded.motion)
    return film.stem


def is_problem(answer: Any, status: int, *parts: str) -> bool:
    """Whether an answer is a problem document of one line with these parts."""
    document = answer.json()
    one_line = "\n" not in document["detail"] and all(part in document["detail"] for part in parts)
    kind = answer.headers["content-type"] == "application/problem+json"
    return bool(answer.status_code == status == document["status"] and kind and one_line)
