"""The look-up table in Redis against its definition, a scan over all postings."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import keys
from pipeline.buckets import FIRST_BUCKETS, buckets_of, mix, partitions_of, tags
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.lut import RedisLut
from pipeline.partitions import BUCKET_POSTINGS
from pipeline.postings import COMMON, Hits, Lut, MemoryLut, Postings
from pipeline.store import Store, open_store
from tests.mixing import unmix

pytestmark = pytest.mark.redis


@pytest.fixture(params=["memory", "redis"])
def lut(request: pytest.FixtureRequest) -> Lut:
    """Each implementation, empty."""
    return MemoryLut() if request.param == "memory" else RedisLut(request.getfixturevalue("store"))


def array(*values: int) -> CodeArray:
    return np.array(values, np.uint32)


def posted(number: int, codes: CodeArray, ticks: CodeArray | None = None) -> Postings:
    return Postings(number, codes, np.arange(len(codes), dtype=np.uint32) if ticks is None else ticks)


def triples(hits: Hits) -> list[tuple[int, int, int]]:
    """Hits as sorted (probe, number, start): the order within a probe is not promised."""
    columns = (hits.probe.tolist(), hits.video_numbers.tolist(), hits.start_ms.tolist())
    return sorted(zip(*columns, strict=True))


def test_hit_names_probe_video_and_moment(lut: Lut) -> None:
    lut.add(posted(7, array(0xDEADBEEF, 5), array(12, 2**24 - 1)))
    hits = lut.lookup(array(5, 6, 0xDEADBEEF))
    assert triples(hits) == [(0, 7, (2**24 - 1) * 125), (2, 7, 1500)]
    assert [str(part.dtype) for part in (hits.probe, hits.video_numbers, hits.start_ms)] == [
        "int64",
        "uint32",
        "uint32",
    ]


def test_the_same_posting_again_changes_nothing_and_each_probe_gets_its_hits(lut: Lut) -> None:
    lut.add(posted(1, array(9, 9), array(0, 0)))
    lut.add(posted(1, array(9, 9), array(0, 1)))
    lut.add(posted(2, array(9), array(1)))
    hits = [(1, 0), (1, 125), (2, 125)]
    assert triples(lut.lookup(array(9, 9))) == [(0, *hit) for hit in hits] + [(1, *hit) for hit in hits]
    lut.remove(1, array(9))
    assert triples(lut.lookup(array(9))) == [(0, 2, 125)]


def test_nothing_asked_or_nothing_stored_gives_no_hits(lut: Lut) -> None:
    assert triples(lut.lookup(array(1, 2, 3))) == []
    lut.add(posted(1, array()))
    assert triples(lut.lookup(array(1, 2, 3))) == []
    lut.add(posted(1, array(1)))
    assert triples(lut.lookup(array())) == []


def test_removing_a_video_leaves_the_others(lut: Lut) -> None:
    lut.add(posted(1, array(3, 4)))
    lut.add(posted(2, array(3, 4)))
    lut.remove(1, array(3, 4, 5))
    assert triples(lut.lookup(array(3, 4))) == [(0, 2, 0), (1, 2, 125)]
    lut.remove(2, array())
    assert len(lut.lookup(array(3, 4)).probe) == 2


def test_a_removed_video_can_be_added_again(lut: Lut) -> None:
    lut.add(posted(1, array(3, 3, 4)))
    lut.remove(1, array(3, 4))
    assert triples(lut.lookup(array(3, 4))) == []
    lut.add(posted(1, array(4)))
    assert triples(lut.lookup(array(3, 4))) == [(1, 1, 0)]


def test_lookup_is_exact_at_each_distance(lut: Lut, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 2**32, 200, dtype=np.uint32)
    lut.add(posted(1, codes))
    for distance in range(4):
        flips = np.array([sum(1 << int(b) for b in rng.choice(32, distance, replace=False)) for _ in codes], np.uint32)
        wanted = [(p, 1, int(i) * 125) for p in range(len(codes)) for i in np.flatnonzero(codes == codes[p] ^ flips[p])]
        assert triples(lut.lookup(codes ^ flips)) == sorted(wanted)
        assert len(wanted) == (len(codes) if distance == 0 else 0)


def test_removing_a_number_does_not_match_across_records(lut: Lut) -> None:
    # 0x00010001 in every field: the bytes of the number also lie across the neighbouring fields
    spread = 0x00010001
    lut.add(posted(spread, array(8), array(spread)))
    lut.add(posted(0x01000100, array(8, 8), array(spread, 0x00000100)))
    lut.remove(spread, array(8))
    assert triples(lut.lookup(array(8))) == [(0, 0x01000100, 0x100 * 125), (0, 0x01000100, spread * 125)]


films = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 50)), max_size=60
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(films=films, removed=st.sets(st.integers(1, 5), max_size=2), seed=st.integers(0, 2**16))
def test_redis_equals_the_scan(
    store: Store, films: list[tuple[int, int, int, int]], removed: set[int], seed: int
) -> None:
    """Codes near a few centres, at distances 0 to 3 of each other, so that probes hit and miss narrowly."""
    store.client.flushdb()
    rng = np.random.default_rng(seed)
    scan, fast = MemoryLut(), RedisLut(store)
    everything = []
    for number, centre, distance, count in films:
        flips = np.uint32(sum(1 << int(bit) for bit in rng.choice(32, distance, replace=False)))
        codes = np.where(rng.random(count) < 0.5, np.uint32(centre), np.uint32(centre) ^ flips).astype(np.uint32)
        ticks = rng.integers(0, 2**24, count, dtype=np.uint32)
        everything.append(codes)
        for each in (scan, fast):
            each.add(Postings(number, codes, ticks))
    near = np.concatenate([*everything, array(0)])
    probes = np.concatenate([near, near ^ np.uint32(1 << 5), near ^ np.uint32(0x80000001), near[:3]])
    assert triples(fast.lookup(probes)) == triples(scan.lookup(probes))
    for number in removed:
        for each in (scan, fast):
            each.remove(number, near)
    assert triples(fast.lookup(probes)) == triples(scan.lookup(probes))


def test_the_table_grows_with_its_postings_and_keeps_them(store: Store, rng: np.random.Generator) -> None:
    lut, other = RedisLut(store), RedisLut(store)
    codes = rng.integers(0, 2**32, 60_000, dtype=np.uint32)
    for number in range(6):
        part = codes[number * 10_000 : (number + 1) * 10_000]
        (lut, other)[number % 2].add(posted(number, part))  # each has old states when its turn comes
        at = rng.integers(0, (number + 1) * 10_000, 300)
        assert len(RedisLut(store).lookup(codes[at]).probe) >= 300
    states = lut.partitions.states()
    assert sum(state.postings for state in states) == len(codes)
    assert all(BUCKET_POSTINGS / 2 < state.postings / state.buckets < BUCKET_POSTINGS * 1.1 for state in states)
    hits = lut.lookup(codes)
    assert np.array_equal(np.unique(hits.probe), np.arange(len(codes)))
    kept = store.client.dbsize()
    assert kept <= sum(state.buckets for state in states) + len(states)
    for number in range(6):
        lut.remove(number, codes[number * 10_000 : (number + 1) * 10_000])
    assert store.client.dbsize() == 0


def test_writers_and_readers_while_it_grows(store: Store, redis_url: str, rng: np.random.Generator) -> None:
    """Four writers at once, from nothing to a hundred splits a partition, and a reader that misses nothing."""
    codes = rng.integers(0, 2**32, (4, 50_000), dtype=np.uint32)
    known = rng.integers(0, 2**32, 500, dtype=np.uint32)
    RedisLut(store).add(posted(9, known))
    missed = []

    def write(number: int) -> None:
        with open_store(redis_url) as own:
            lut = RedisLut(own)
            for start in range(0, 50_000, 2_000):
                lut.add(posted(number, codes[number, start : start + 2_000]))

    with ThreadPoolExecutor(4) as pool, open_store(redis_url) as own:
        writing = [pool.submit(write, number) for number in range(4)]
        reader, looks = RedisLut(own), 0
        while not all(one.done() for one in writing) or not looks:
            hits = reader.lookup(known)
            missed.append(500 - int((hits.video_numbers == 9).sum()))
            looks += 1
        for one in writing:
            one.result()
    assert missed == [0] * looks
    lut = RedisLut(store)
    assert sum(state.postings for state in lut.partitions.states()) == 200_500
    for number in range(4):
        hits = lut.lookup(codes[number])
        assert len(np.unique(hits.probe[hits.video_numbers == number])) == 50_000


def test_of_a_common_code_only_the_first_postings_are_kept(lut: Lut) -> None:
    lut.add(posted(1, np.full(COMMON - 10, 7, np.uint32)))
    lut.add(posted(2, np.concatenate([np.full(100, 7, np.uint32), array(8)])))
    hits = lut.lookup(array(7, 8))
    assert np.bincount(hits.probe).tolist() == [COMMON, 1]
    assert int((hits.video_numbers == 2).sum()) == 11
    lut.remove(1, array(7))
    assert np.bincount(lut.lookup(array(7, 8)).probe).tolist() == [10, 1]


def test_rare_codes_beside_a_common_one_are_kept(lut: Lut) -> None:
    """Those that share its bucket: the definition has none, so that the mixed code tells."""
    near = np.array([unmix(np.array([int(mix(array(7))[0]) ^ bit], np.uint32))[0] for bit in range(1, 9)], np.uint32)
    lut.add(posted(1, np.full(COMMON + 50, 7, np.uint32)))
    lut.add(posted(2, near))
    assert len(lut.lookup(near).probe) == len(near)


def test_a_video_is_removed_whatever_its_codes(store: Store, rng: np.random.Generator) -> None:
    lut = RedisLut(store)
    codes = rng.integers(0, 2**32, 3000, dtype=np.uint32)
    for number in (1, 2, 3):
        lut.add(posted(number, codes))
    lut.remove_all([1, 3, 99])
    assert set(lut.lookup(codes).video_numbers.tolist()) == {2}
    assert sum(len(contents.mixed) for contents in lut.scan()) == 3000


def test_exactly_the_given_postings_are_taken_out(store: Store) -> None:
    lut = RedisLut(store)
    lut.add(posted(1, array(5, 5, 6), array(1, 2, 3)))
    lut.add(posted(2, array(5), array(1)))
    lut.discard(posted(1, array(5, 6, 9), array(1, 4, 1)))  # one of them is there
    assert triples(lut.lookup(array(5, 6))) == [(0, 1, 250), (0, 2, 125), (1, 1, 375)]
    assert sum(state.postings for state in lut.partitions.states()) == 3
    lut.discard(posted(1, array(5, 6), array(2, 3)))
    lut.discard(posted(2, array(5), array(1)))
    assert store.client.dbsize() == 0


def test_many_codes_of_one_bucket(lut: Lut, rng: np.random.Generator) -> None:
    """More than are compared one after the other."""
    base = int(mix(array(1))[0]) & 0xFFFFFF00
    near = np.array([unmix(np.array([base + place], np.uint32))[0] for place in range(40)], np.uint32)
    lut.add(posted(3, near))
    asked = np.concatenate([near[::2], rng.integers(0, 2**32, 50, dtype=np.uint32), near[:3]])
    hits = triples(lut.lookup(asked))
    assert hits == [(k, 3, int(2 * k) * 125) for k in range(20)] + [(70 + k, 3, k * 125) for k in range(3)]


def test_no_script_cache_is_needed(store: Store) -> None:
    lut = RedisLut(store)
    store.client.script_flush()
    lut.add(posted(1, array(1, 2, 3)))
    store.client.script_flush()
    lut.remove(1, array(1, 2, 3))
    assert store.client.dbsize() == 0


def test_a_moment_beyond_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="later than the table can tell"):
        posted(1, array(1), array(2**24))


def test_mixing_is_a_bijection_that_spreads_sparse_codes(rng: np.random.Generator) -> None:
    block = np.concatenate([np.arange(2**20, dtype=np.uint32), rng.integers(0, 2**32, 2**20, dtype=np.uint32)])
    assert np.array_equal(unmix(mix(block)), block)
    assert len(np.unique(mix(block[: 2**20]))) == 2**20
    # 20,000 codes with few ones: plain prefixes would put them into some hundred buckets
    sparse = np.unique((rng.random((20_000, 32)) < 0.1) @ (1 << np.arange(32, dtype=np.uint64))).astype(np.uint32)
    used = len(np.unique(mix(sparse) >> np.uint32(16)))  # whatever the upper bits name
    expected = 2**16 * (1 - (1 - 2**-16) ** len(sparse))  # buckets hit by that many random draws
    assert used == pytest.approx(expected, rel=0.02)


def bucket_key(code: int) -> str:
    """Of a partition that never grew."""
    mixed = mix(array(code))
    partition = int(partitions_of(mixed)[0])
    return keys.bucket(tags()[partition], 0, int(buckets_of(mixed, np.array([FIRST_BUCKETS]))[0]))


def test_damaged_bucket_is_one_line(store: Store) -> None:
    store.client.append(bucket_key(1), b"123")
    lut = RedisLut(store)
    for step in (lambda: lut.lookup(array(1)), lambda: lut.add(posted(1, array(1))), lambda: lut.remove(1, array(1))):
        with pytest.raises(StoreError, match="damaged"):
            step()


@pytest.mark.parametrize("text", ["x", "4 5", "4 five 0 0", "4 0 0"])
def test_damaged_state_is_one_line(store: Store, text: str) -> None:
    store.client.set(keys.lut_state(tags()[int(partitions_of(mix(array(1)))[0])]), text)
    lut = RedisLut(store)
    for step in (lambda: lut.lookup(array(1)), lambda: lut.add(posted(1, array(1))), lut.partitions.states):
        with pytest.raises(StoreError, match="damaged"):
            step()


def test_wrong_type_under_a_bucket_is_a_store_error(store: Store) -> None:
    store.client.hset(bucket_key(1), "a", "b")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        RedisLut(store).add(posted(1, array(1)))
    with pytest.raises(StoreError, match="WRONGTYPE"):
        RedisLut(store).remove(1, array(1))


def test_postings_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        Postings(1, array(1, 2), array(1))
