"""The same index on a real Redis Cluster of three masters: whole, while slots move, and while a master is away."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline import keys
from pipeline.buckets import tags
from pipeline.care import Care
from pipeline.errors import StoreError
from pipeline.library import Library
from pipeline.lut import RedisLut
from pipeline.matching import Matcher
from pipeline.postings import MemoryLut, Postings
from pipeline.reference import CatalogueReference
from pipeline.store import Store, open_store
from pipeline.videos import VideoFields
from tests.memory_reference import film_codes, plain_matcher, query_codes
from tests.pipeline.test_lut import triples
from tests.redis_cluster import Cluster

pytestmark = pytest.mark.cluster

FILMS = {f"film-{number}": film_codes(number, 200) for number in range(6)}


@pytest.fixture
def store(cluster: Cluster) -> Iterator[Store]:
    """A store in the cluster, empty."""
    with open_store(cluster.url) as opened:
        yield opened


@pytest.fixture
def library(store: Store) -> Library:
    """A catalogue of six films."""
    filled = Library(store)
    for name, track in FILMS.items():
        filled.add(VideoFields(name, name, f"{name}.mp4", name, "e"), track, 200.0, 2000, {"it": "x --> y"})
    return filled


def matcher(library: Library) -> Matcher:
    return plain_matcher(CatalogueReference(library))


def test_films_are_found_replaced_and_removed(library: Library, store: Store) -> None:
    for number, (name, track) in enumerate(FILMS.items()):
        found = matcher(library).match([query_codes(track, 50.0 + number, 5.0)])
        assert found is not None
        assert library.resolve([found.number])[found.number].id == name
        assert found.at_seconds == pytest.approx(50.0 + number, abs=0.3)
    assert Care(store).check() == []
    changed = film_codes(99, 100)
    fields = VideoFields("film-0", "film-0", "film-0.mp4", "changed", "e")
    assert library.add(fields, changed, 100.0, 1000, {}) == "replaced"
    library.remove("film-1")
    assert matcher(library).match([query_codes(FILMS["film-0"], 50.0, 5.0)]) is None
    assert matcher(library).match([query_codes(FILMS["film-1"], 50.0, 5.0)]) is None
    assert matcher(library).match([query_codes(changed, 50.0, 5.0)]) is not None
    assert Care(store).check() == []
    for name in ("film-0", "film-2", "film-3", "film-4", "film-5"):
        library.remove(name)
    left = {name.partition(b"{")[0] for name in store.client.scan_iter(count=1000)}
    assert left <= {b"vnome:", b"vnome:confirmed:"}


def test_the_table_equals_its_definition_and_lies_on_all_masters(
    store: Store, cluster: Cluster, rng: np.random.Generator
) -> None:
    codes = rng.integers(0, 2**32, 30_000, dtype=np.uint32)
    scan, fast = MemoryLut(), RedisLut(store)
    for lut in (scan, fast):
        lut.add(Postings(1, codes[:15_000], np.arange(15_000, dtype=np.uint32)))
        lut.add(Postings(2, codes[10_000:], np.arange(20_000, dtype=np.uint32)))
    asked = np.concatenate([rng.choice(codes, 500), rng.integers(0, 2**32, 100, dtype=np.uint32)])
    assert triples(fast.lookup(asked)) == triples(scan.lookup(asked))
    shares = [node.client.dbsize() for node in cluster.nodes]
    assert max(shares) < 1.3 * min(shares)


def test_what_was_written_is_on_every_masters_disk(library: Library, store: Store, cluster: Cluster) -> None:
    before = [node.client.info("persistence")["aof_current_size"] for node in cluster.nodes]
    store.confirm()
    after = [node.client.info("persistence")["aof_current_size"] for node in cluster.nodes]
    assert all(grown > size for size, grown in zip(before, after, strict=True))  # each was written to, and waited for


def test_slots_move_while_eight_clients_query(library: Library, cluster: Cluster) -> None:
    """Slots of the table, of a track and of the catalogue itself, there and back."""
    stop = threading.Event()
    wrong: list[str] = []
    asked = [0]

    def ask(client: int) -> None:
        with open_store(cluster.url) as own:
            mine = matcher(Library(own))
            names = list(FILMS)
            while not stop.is_set():
                name = names[(client + asked[0]) % len(names)]
                try:
                    found = mine.match([query_codes(FILMS[name], 100.0, 3.0)])
                    if found is None or abs(found.at_seconds - 100.0) > 0.3:
                        wrong.append(f"{name}: {found}")
                except StoreError as error:
                    wrong.append(str(error))
                asked[0] += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(8)]
    for thread in threads:
        thread.start()
    try:
        names = [keys.lut_state(tag) for tag in tags()[::6]]
        names += [keys.track(library.get("film-2").number, 0), keys.VIDEOS]
        slots = [library.store.client.keyslot(name) for name in names]  # type: ignore[attr-defined]
        for to in (cluster.nodes[2], cluster.nodes[0]):
            for slot in slots:
                cluster.move_slot(slot, to)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert asked[0] > 20
    assert Care(library.store).check() == []


def test_a_master_away_is_one_line_and_back_all_is_there(library: Library, cluster: Cluster) -> None:
    assert matcher(library).match([query_codes(FILMS["film-3"], 100.0, 5.0)]) is not None
    library.store.confirm()
    cluster.nodes[1].kill()
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        matcher(library).match([query_codes(FILMS["film-3"], 100.0, 5.0)])
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 30
    cluster.nodes[1].start()
    cluster.await_whole()
    assert matcher(library).match([query_codes(FILMS["film-3"], 100.0, 5.0)]) is not None
    assert Care(library.store).check() == []


def test_one_of_several_hosts_is_enough(library: Library, cluster: Cluster) -> None:
    cluster.nodes[0].kill()
    try:
        host = "127.0.0.1"
        with open_store(f"redis+cluster://{host}:{cluster.nodes[0].port},{host}:{cluster.nodes[2].port}") as opened:
            assert opened.is_cluster
    finally:
        cluster.nodes[0].start()
        cluster.await_whole()


def test_a_cluster_and_a_server_are_told_apart(cluster: Cluster, redis_url: str) -> None:
    with pytest.raises(StoreError, match=r"is part of a Redis Cluster; write its URL as redis\+cluster://"):
        open_store(cluster.url.replace("+cluster", ""))
    with pytest.raises(StoreError, match="is no Redis Cluster; write its URL as redis://"):
        open_store(redis_url.replace("redis://", "redis+cluster://").removesuffix("/0"))
