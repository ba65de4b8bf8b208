"""Where a posting lies in the look-up table: partition, bucket, record.

A code is mixed first, since real codes crowd some prefixes. Its upper 6 bits name one of 64 partitions; each lies in
one slot of a Redis Cluster, and the slots are spread evenly. A partition grows by linear hashing (Litwin, "Linear
hashing: a new tool for file and table addressing", VLDB 1980): it has any number of buckets from 4 on, and the next
one is made by splitting one bucket, so that the table adapts to its size without ever being moved as a whole. Buckets
are numbered as in a binary tree: 2k and 2k + 1 are the halves of k.
"""

import binascii
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray

PARTITION_BITS = 6
PARTITIONS = 1 << PARTITION_BITS
FIRST_BUCKETS = 4  # of a partition, so that a bucket's number tells all bits of a code that a record does not hold
CLUSTER_SLOTS = 16_384

RECORD = np.dtype([("low", "<u2"), ("number", "<u4"), ("tick", "<u4")])  # 10 bytes, packed
RECORD_BYTES = RECORD.itemsize
_REST_BITS = 32 - PARTITION_BITS
_TICK_BITS = 24
_TICK_MASK = np.uint32((1 << _TICK_BITS) - 1)
_HIGH_BYTE = 9  # place in a record of the bits 16 to 23 of its mixed code; bits 0 to 15 are at 0 and 1
_IN_BUCKET = np.uint32(0xFF000000)  # bits of a mixed code that all codes of a bucket share


@dataclass(frozen=True)
class Split:
    """How to split a bucket: by one bit of each record. byte: its place in a record. divisor: of that byte."""

    parent: int
    byte: int
    divisor: int

    @property
    def halves(self) -> tuple[int, int]:
        """The buckets for records without and with the bit."""
        return 2 * self.parent, 2 * self.parent + 1


def mix(codes: CodeArray) -> CodeArray:
    """A bijection of uint32 that spreads neighbouring codes: the finaliser of MurmurHash3 (Appleby, 2011)."""
    h = codes.astype(np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def partitions_of(mixed: CodeArray) -> npt.NDArray[np.int64]:
    """The partition of each mixed code, int64 (N,)."""
    return (mixed >> np.uint32(_REST_BITS)).astype(np.int64)


def buckets_of(mixed: CodeArray, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The bucket of each mixed code, int64 (N,). sizes: int64 (N,), how many buckets its partition has."""
    rest = (mixed & np.uint32((1 << _REST_BITS) - 1)).astype(np.int64)
    depth = _depth(sizes)
    place = rest >> (_REST_BITS - depth)
    depth = depth + (place < sizes - (1 << depth))  # split already
    buckets: npt.NDArray[np.int64] = (1 << depth) | (rest >> (_REST_BITS - depth))
    return buckets


def all_buckets(size: int) -> npt.NDArray[np.int64]:
    """Every bucket of a partition that has so many, in the order of their codes."""
    depth = size.bit_length() - 1
    split = size - (1 << depth)
    return np.concatenate([np.arange(2 * split) + (2 << depth), np.arange(split, 1 << depth) + (1 << depth)])


def next_split(size: int) -> Split:
    """How a partition of so many buckets gets its next one."""
    depth = size.bit_length() - 1
    bit = _REST_BITS - 1 - depth
    byte = _HIGH_BYTE if bit >= 16 else bit // 8
    return Split(size, byte, 1 << bit % 8)  # the buckets of one depth are split from the first to the last


def pack(mixed: CodeArray, number: int | npt.NDArray[np.uint32], ticks: npt.NDArray[np.uint32]) -> npt.NDArray[np.void]:
    """Records of postings, `RECORD` (N,)."""
    records = np.empty(len(mixed), RECORD)
    records["low"] = mixed & np.uint32(0xFFFF)
    records["number"] = number
    records["tick"] = ticks | ((mixed >> np.uint32(16)) << np.uint32(_TICK_BITS))
    return records


def shared_bits(mixed: CodeArray) -> CodeArray:
    """What a record leaves out of its mixed code: it is the same for all of a bucket."""
    return mixed & _IN_BUCKET


def first_code(partition: int, bucket: int) -> int:
    """The lowest mixed code that lies in a bucket."""
    depth = bucket.bit_length() - 1
    return (partition << _REST_BITS) | ((bucket - (1 << depth)) << (_REST_BITS - depth))


def mixed_of(records: npt.NDArray[np.void], shared: CodeArray) -> CodeArray:
    """Mixed codes of records, uint32 (N,). shared: uint32 (N,), from `shared_bits`."""
    high: CodeArray = (records["tick"] >> np.uint32(_TICK_BITS)) << np.uint32(16)
    mixed: CodeArray = shared | high | records["low"]
    return mixed


def ticks_of(records: npt.NDArray[np.void]) -> npt.NDArray[np.uint32]:
    """Moments of records, uint32 (N,), in ticks."""
    ticks: npt.NDArray[np.uint32] = records["tick"] & _TICK_MASK
    return ticks


@cache
def tags() -> tuple[str, ...]:
    """The hash tag of each partition: four hexadecimal digits whose slot lies in the middle of its share of all slots.

    A cluster gives each master a range of slots, so that partitions are spread over masters evenly.
    """
    share = CLUSTER_SLOTS // PARTITIONS
    nearest = [(share, "")] * PARTITIONS
    for number in range(1 << 16):
        tag = f"{number:04x}"
        place, rest = divmod(binascii.crc_hqx(tag.encode(), 0) % CLUSTER_SLOTS, share)  # CRC-16/XMODEM, as Redis does
        nearest[place] = min(nearest[place], (abs(rest - share // 2), tag))
    return tuple(tag for _, tag in nearest)


def _depth(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The base-2 logarithm, rounded down."""
    return np.frexp(sizes.astype(np.float64))[1].astype(np.int64) - 1
