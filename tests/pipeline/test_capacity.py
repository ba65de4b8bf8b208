"""What a catalogue costs, reckoned; and that the reckoning agrees with a real table."""

import dataclasses
import math

import numpy as np
import pytest

from pipeline.capacity import GIB, Constants, assumptions, constants_text, estimate
from pipeline.errors import InputError
from pipeline.lut import RedisLut
from pipeline.postings import Postings
from pipeline.store import Store
from tests.commands import Vnome

PLAIN = Constants(
    postings_a_second=1.0,
    runs_a_second=2.0,
    bytes_a_posting=10.0,
    track_bytes_a_second=30.0,
    motion_bytes_a_second=5.0,
    bytes_a_video=200.0,
    chance_hits=[[1e6, 100.0], [1e8, 1000.0]],
    bucket_ms=0.002,
    hit_ms=0.0005,
    query_ms=4.0,
    machine="a machine",
    measured_on="2026-11-26",
    films="some films",
)


def test_bytes_are_the_sum_of_their_parts() -> None:
    found = estimate(25 * 3600, 45_000, 16 * GIB, PLAIN)
    assert (found.seconds, found.videos, found.postings) == (3600, 2, 3600)
    assert (found.table_bytes, found.track_bytes, found.motion_bytes) == (36_000, 108_000, 18_000)
    assert found.catalogue_bytes == 400
    assert found.bytes == 162_400
    assert found.bytes_a_frame == pytest.approx(162_400 / 90_000)
    assert found.shards == 1


def test_a_trillion_frames() -> None:
    found = estimate(10**12, 50_000, 16 * GIB, PLAIN)
    assert found.postings == 4 * 10**10
    assert found.shards == math.ceil(found.bytes / (16 * GIB))
    assert found.buckets_a_query == 400  # as many as of a small one
    assert found.chance_hits_a_query == pytest.approx(1000 * 400**0.5)  # tenfold for a hundred times the size
    assert found.query_ms == pytest.approx(4.0 + 400 * 0.002 + 20_000 * 0.0005)


def test_round_trips_do_not_grow_with_the_catalogue_and_chance_does() -> None:
    sizes = [10**9, 10**11, 10**13]
    found = [estimate(frames, 50_000, 16 * GIB, PLAIN) for frames in sizes]
    assert len({one.buckets_a_query for one in found}) == 1
    assert len({one.round_trips for one in found}) == 1
    hits = [one.chance_hits_a_query for one in found]
    assert hits == sorted(hits)
    assert estimate(10**15, 50_000, 16 * GIB, PLAIN).chance_hits_a_query == 512 * 400  # stop words bound it
    assert estimate(25 * 10**4, 50_000, 16 * GIB, PLAIN).chance_hits_a_query == pytest.approx(
        1.0
    )  # small: in proportion


def test_places_by_chance_are_those_of_a_poisson_distribution() -> None:
    found = estimate(25 * 10**6, 50_000, 16 * GIB, PLAIN)
    places, mean = 2 * 10**6, 100 * 3 / (2 * 10**6)
    wanted = places * (1 - math.exp(-mean) * (1 + mean))
    assert found.chance_places[2] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1, GIB), "--frames 0"),
        ((10**16, 1, GIB), "--frames"),
        ((10, 11, GIB), "--video-frames 11"),
        ((10, 5, 1000), "too small"),
    ],
)
def test_numbers_of_no_catalogue(arguments: tuple[int, int, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        estimate(*arguments, PLAIN)


def test_constants_are_written_whole() -> None:
    values = dataclasses.asdict(PLAIN)
    assert "bucket_ms" in constants_text(values)
    del values["films"]
    with pytest.raises(ValueError, match="films"):
        constants_text(values)


def test_the_shipped_constants_are_of_this_layout() -> None:
    shipped = Constants.shipped()
    assert 10 < shipped.bytes_a_posting < 14
    assert [postings for postings, _ in shipped.chance_hits] == sorted(postings for postings, _ in shipped.chance_hits)
    assert any(shipped.measured_on in text for text in assumptions(shipped))


@pytest.mark.redis
def test_a_real_table_costs_what_is_reckoned(store: Store, rng: np.random.Generator) -> None:
    before = int(store.client.info("memory")["used_memory_dataset"])
    lut, count = RedisLut(store), 300_000
    for number in range(6):
        codes = rng.integers(0, 2**32, count // 6, dtype=np.uint32)
        lut.add(Postings(number, codes, np.arange(len(codes), dtype=np.uint32)))
    each = (int(store.client.info("memory")["used_memory_dataset"]) - before) / count
    assert each == pytest.approx(Constants.shipped().bytes_a_posting, rel=0.25)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    vnome = Vnome(capsys)
    document = vnome("capacity", "--frames", "1000000000000", "--json").document
    assert document["videos"] == 20_000_000
    assert document["shards"] > 10
    assert document["assumptions"]
    text = vnome("capacity", "--frames", "1000000").out
    assert "bytes a frame" in text
    assert "assumptions:" in text
    assert vnome("capacity", "--frames", "0").code == 2
