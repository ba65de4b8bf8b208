"""Where postings lie: linear hashing, records, hash tags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from pipeline import keys
from pipeline.buckets import (
    CLUSTER_SLOTS,
    FIRST_BUCKETS,
    PARTITIONS,
    RECORD,
    RECORD_BYTES,
    all_buckets,
    buckets_of,
    first_code,
    mixed_of,
    next_split,
    pack,
    partitions_of,
    shared_bits,
    tags,
    ticks_of,
)

SIZES = st.integers(FIRST_BUCKETS, 3000)


def codes(seed: int, count: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)


@given(size=SIZES, seed=st.integers(0, 99))
def test_every_code_has_one_of_the_buckets(size: int, seed: int) -> None:
    mixed = codes(seed)
    buckets = all_buckets(size)
    assert len(np.unique(buckets)) == size
    assert set(buckets_of(mixed, np.full(len(mixed), size)).tolist()) <= set(buckets.tolist())


@given(size=SIZES, seed=st.integers(0, 99))
def test_a_split_parts_one_bucket_by_the_bit_it_names(size: int, seed: int) -> None:
    mixed, split = codes(seed, 5000), next_split(size)
    before, after = (buckets_of(mixed, np.full(len(mixed), n)) for n in (size, size + 1))
    moved = before != after
    assert set(before[moved].tolist()) <= {split.parent}
    assert not (after == split.parent).any()
    raw = np.frombuffer(pack(mixed, 1, np.zeros(len(mixed), np.uint32)).tobytes(), np.uint8).reshape(-1, RECORD_BYTES)
    half = raw[moved, split.byte] // split.divisor % 2
    assert np.array_equal(after[moved], np.array(split.halves)[half])
    assert {*all_buckets(size + 1)} == {*all_buckets(size)} - {split.parent} | {*split.halves}


@given(size=SIZES, seed=st.integers(0, 99))
def test_buckets_follow_one_another_as_their_codes_do(size: int, seed: int) -> None:
    mixed = np.sort(codes(seed))
    partitions, buckets = partitions_of(mixed), buckets_of(mixed, np.full(len(mixed), size))
    firsts = np.array([first_code(p, b) for p, b in zip(partitions.tolist(), buckets.tolist(), strict=True)], np.int64)
    assert (np.diff(firsts) >= 0).all()
    assert (firsts <= mixed).all()
    assert np.array_equal(shared_bits(firsts.astype(np.uint32)), shared_bits(mixed))


def test_records_give_back_what_was_packed() -> None:
    mixed, rng = codes(1), np.random.default_rng(2)
    numbers, ticks = rng.integers(0, 2**32, 500, dtype=np.uint32), rng.integers(0, 2**24, 500, dtype=np.uint32)
    records = np.frombuffer(pack(mixed, numbers, ticks).tobytes(), RECORD)
    assert records.itemsize == RECORD_BYTES == 10
    assert np.array_equal(mixed_of(records, shared_bits(mixed)), mixed)
    assert np.array_equal(records["number"], numbers)
    assert np.array_equal(ticks_of(records), ticks)


@pytest.mark.parametrize("masters", [1, 3, 6, 10, 16, 64])
def test_masters_get_equal_shares_of_the_table(masters: int) -> None:
    slots = np.array([key_slot(keys.lut_state(tag).encode()) for tag in tags()])
    assert len(set(tags())) == PARTITIONS
    bounds = np.linspace(0, CLUSTER_SLOTS, masters + 1).round()  # as redis-cli --cluster create shares them out
    shares = np.histogram(slots, bounds)[0]
    assert shares.max() - shares.min() <= 1


def test_a_bucket_lies_where_its_state_does() -> None:
    for tag in tags()[::7]:
        slot = key_slot(keys.lut_state(tag).encode())
        assert {key_slot(keys.bucket(tag, generation, 77).encode()) for generation in (0, 1)} == {slot}
        assert keys.bucket_in(keys.bucket(tag, 19, 77).encode()) == (tag, 19, 77)
        for other in (keys.lut_state(tag), keys.lut_lock(tag), keys.lut_generations(tag)):
            assert keys.bucket_in(other.encode()) is None
            assert key_slot(other.encode()) == slot
