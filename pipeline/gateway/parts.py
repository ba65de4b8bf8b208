"""What the routes of the gateway work with."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.api_keys import ApiKeys
from pipeline.bundles import Bundle
from pipeline.details import Details
from pipeline.film_labels import FilmLabels
from pipeline.gateway.deciding import Deciders
from pipeline.gateway.films import Films
from pipeline.gateway.limits import RateLimit, SessionLimit
from pipeline.gateway.phone import RecordCache
from pipeline.gateway.sandbox import Sandbox
from pipeline.gateway.tickets import Tickets
from pipeline.gateway.uploads import Uploads
from pipeline.library import Library
from pipeline.matching import Matcher
from pipeline.metrics import Metrics
from pipeline.sightings import Sightings
from pipeline.store import Store

LIST_LIMIT = 200  # entries of a list that are given at once


@dataclass(frozen=True)
class Gateway:
    """picture_deciders: for phones that send pictures, which take ten times as long.

    public: whether scope query needs no key. bundles: by the name under which they are given to phones.

    pages: folder of the built web pages, None when they were not built.
    """

    store: Store
    library: Library
    details: Details
    sightings: Sightings
    api_keys: ApiKeys
    tickets: Tickets
    matcher: Matcher
    bundles: dict[str, Bundle]
    records: RecordCache
    labels: FilmLabels
    deciders: Deciders
    picture_deciders: Deciders
    sandbox: Sandbox
    uploads: Uploads
    films: Films
    metrics: Metrics
    address_rate: RateLimit
    key_rate: RateLimit
    sessions: SessionLimit
    public: bool
    pages: Path | None = field(default=None)

    def close(self) -> None:
        """Stops what works in the background; what was accepted goes on when a gateway starts again."""
        self.uploads.close()
        self.deciders.close()
        self.picture_deciders.close()
        self.sandbox.close()
        self.films.close()
