from itertools import combinations

import numpy as np
import pytest

from pipeline.probing import probe_codes


def test_first_probe_is_the_code_itself_and_the_next_flips_the_least_certain_bit() -> None:
    margins = np.full((1, 32), 5.0, np.float32)
    margins[0, 3], margins[0, 17] = 0.5, 0.7
    probes = probe_codes(np.array([0], np.uint32), margins, 4)[0]
    # costs: none 0, bit 3 0.5, bit 17 0.7, both 1.2; any other bit costs 5
    assert probes.tolist() == [0, 1 << 3, 1 << 17, (1 << 3) | (1 << 17)]


def test_probes_are_the_cheapest_subsets_of_all() -> None:
    rng = np.random.default_rng(3)
    margins = rng.uniform(0.1, 4, (5, 32)).astype(np.float32)
    codes = rng.integers(0, 1 << 32, 5, dtype=np.uint32)
    probes = probe_codes(codes, margins, 8)
    for i in range(5):
        subsets = [s for n in range(4) for s in combinations(range(32), n)]
        cheapest = sorted(subsets, key=lambda s: sum(float(margins[i, b]) for b in s))[:8]
        expected = [int(codes[i]) ^ sum(1 << b for b in s) for s in cheapest]
        assert probes[i].tolist() == expected


def test_probes_of_a_frame_are_distinct() -> None:
    rng = np.random.default_rng(0)
    probes = probe_codes(rng.integers(0, 1 << 32, 9, dtype=np.uint32), np.zeros((9, 32), np.float32), 128)
    assert all(len(set(row.tolist())) == 128 for row in probes)


def test_many_probes_are_the_cheapest_subsets_of_the_twelve_least_certain_bits() -> None:
    rng = np.random.default_rng(4)
    margins = rng.uniform(0.1, 4, (3, 32)).astype(np.float32)
    codes = rng.integers(0, 1 << 32, 3, dtype=np.uint32)
    probes = probe_codes(codes, margins, 512)
    for i in range(3):
        uncertain = np.argsort(margins[i])[:12]
        cost = [sum(float(margins[i, b]) for n, b in enumerate(uncertain) if k >> n & 1) for k in range(1 << 12)]
        flipped = [[b for b in range(32) if int(probes[i, p] ^ codes[i]) >> b & 1] for p in range(512)]
        given = [sum(float(margins[i, b]) for b in bits) for bits in flipped]
        assert given == pytest.approx(sorted(cost)[:512], abs=1e-4)
        assert len(set(probes[i].tolist())) == 512


@pytest.mark.parametrize("probes", [0, 4097])
def test_probes_out_of_range_are_refused(probes: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        probe_codes(np.zeros(1, np.uint32), np.zeros((1, 32), np.float32), probes)
