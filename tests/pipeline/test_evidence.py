import numpy as np
import pytest

from pipeline.codes import FrameCodes
from pipeline.evidence import OUTLIER_SHARE, ChanceModel, frame_evidence, frame_weights, log_match


def query_of(codes: list[int], margin: float = 2.0) -> FrameCodes:
    n = len(codes)
    return FrameCodes(np.arange(n) / 10, np.array(codes, np.uint32), np.full((n, 32), margin, np.float32))


def background(n: int = 500) -> ChanceModel:
    return ChanceModel(np.random.default_rng(0).integers(0, 1 << 32, n, dtype=np.uint32))


def test_log_match_is_the_sum_of_the_bits_odds() -> None:
    scores = log_match(query_of([0b11]), np.array([0b11, 0b10], np.uint32))[0]
    stay, flip = -np.log1p(np.exp(-2.0)), -np.log1p(np.exp(2.0))  # log of sigmoid(2) and of sigmoid(-2)
    assert scores == pytest.approx([32 * stay, 31 * stay + flip])


def test_evidence_is_large_for_the_right_code_and_bounded_against_a_wrong_one() -> None:
    query = query_of([0xDEADBEEF], margin=3.0)
    chance = background().log_probability(query)
    evidence = frame_evidence(query, np.array([0xDEADBEEF, 0x21524110], np.uint32), chance)[0]
    assert evidence[0] > 15  # nats: nearly 32 bits of 0.69 nats
    assert evidence[1] == pytest.approx(np.log(OUTLIER_SHARE), abs=1e-6)  # its complement


def test_a_common_code_says_little() -> None:
    rare = background()
    common = ChanceModel(np.concatenate([rare.background[:250], np.zeros(250, np.uint32)]))
    query = query_of([0], margin=3.0)
    evidence = [
        float(frame_evidence(query, np.zeros(1, np.uint32), model.log_probability(query))[0, 0])
        for model in (rare, common)
    ]
    assert evidence[0] > 10
    assert evidence[1] < 2  # half of all films look like this: P(match) / P(chance) is about 1 / (0.5 / 2)


def test_frames_of_one_scene_share_their_weight() -> None:
    weights = frame_weights(np.array([0] * 4 + [0xFFFF], np.uint32))
    assert weights[:4] == pytest.approx((1 + np.log(4)) / 4)
    assert weights[4] == 1
