"""What Prometheus is told of the index and of the memory of its servers."""

import threading

import pytest

from pipeline.encoder import default_encoder
from pipeline.errors import StoreError
from pipeline.index_watch import IndexWatch
from pipeline.library import Library
from pipeline.metrics import Metrics
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True


def values(metrics: Metrics, name: str) -> list[float]:
    (family,) = [family for family in metrics.registry.collect() if family.name == name]
    return [sample.value for sample in family.samples]


def test_an_index_is_measured(store: Store) -> None:
    library, metrics = Library(store), Metrics()
    fields = VideoFields("one", "One", "one.mp4", "one", default_encoder().bundle.sha256)
    library.add(fields, film_codes(1, 60), 60.0, 1500, {})
    IndexWatch(library, metrics).measure()
    assert values(metrics, "vnome_index_videos") == [1]
    assert values(metrics, "vnome_index_postings") == [library.posting_count()]
    servers = 3 if store.is_cluster else 1
    used, most = values(metrics, "vnome_redis_memory_bytes"), values(metrics, "vnome_redis_memory_max_bytes")
    assert len(used) == len(most) == servers
    assert all(0 < taken < limit for taken, limit in zip(used, most, strict=True))
    assert values(metrics, "vnome_redis_evicted_keys") == [0] * servers


def test_figures_stay_while_redis_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    library, metrics, stop = Library(store), Metrics(), threading.Event()
    metrics.index_videos.set(7)

    def away() -> int:
        stop.set()
        raise StoreError("Redis is away")

    monkeypatch.setattr(library, "posting_count", away)
    IndexWatch(library, metrics).run(stop)
    assert values(metrics, "vnome_index_videos") == [7]
