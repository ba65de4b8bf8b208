import base64

import numpy as np
import pytest

from pipeline.bundles import Bundle, shipped_bundle
from pipeline.errors import BundleError
from pipeline.evidence import OUTLIER_SHARE, REPEAT_SHARE, ChanceMemory, EvidenceModel, frame_weights
from pipeline.soft import SoftArray, levels_of, pack_soft, soft_of_levels, soft_of_margins, unpack_soft
from tests.memory_reference import plain_evidence

CODES = np.array([0xDEADBEEF, 0, 0xFFFFFFFF, 0x80000001], np.uint32)


def soft_of(code: int, margin: float) -> SoftArray:
    return soft_of_margins(np.array([code], np.uint32), np.full((1, 32), margin, np.float32))


def test_levels_are_whole_nats_and_the_last_has_no_end() -> None:
    margins = np.array([[0.0, 0.99, 1.0, 6.9, 7.0, 55.0] + [2.5] * 26], np.float32)
    assert levels_of(margins)[0].tolist() == [0, 0, 1, 6, 7, 7] + [2] * 26


def test_soft_codes_have_the_sign_of_their_bit() -> None:
    soft = soft_of_levels(np.array([0b10], np.uint32), np.full((1, 32), 3, np.uint8))
    assert soft[0].tolist() == [-3.5, 3.5] + [-3.5] * 30
    assert soft_of(0b1, 99.0)[0, :2].tolist() == [8.0, -8.0]  # more than the uppermost level says no more


def test_packing_keeps_codes_and_levels() -> None:
    levels = np.random.default_rng(0).integers(0, 8, (4, 32)).astype(np.uint8)
    data = pack_soft(CODES, levels)
    assert len(data) == 4 * 16
    codes, again = unpack_soft(data)
    assert codes.tolist() == CODES.tolist()
    assert np.array_equal(again, levels)
    with pytest.raises(ValueError, match="reshape"):
        unpack_soft(data[:-1])


def test_log_match_is_the_mixture_of_normal_densities() -> None:
    whitening = np.diag(np.full(32, 0.5))  # a deviation of 2
    model = EvidenceModel(np.full(32, 0.8), whitening, np.array([1.0, 4.0]), np.array([0.7, 0.3]), soft_of(0, 3.0))
    query, reference = soft_of(0b1, 2.0), soft_of(0b11, 3.5)
    # 31 bits are off by 2 - 0.8 * 3.5 = 0.8, one by 2 + 2.8 = 4.8; in deviations 0.4 and 2.4
    squared = 31 * 0.4**2 + 2.4**2
    normals = [-16 * np.log(2 * np.pi * 4 * s) - squared / 2 / s for s in (1.0, 4.0)]
    wanted = np.logaddexp(np.log(0.7) + normals[0], np.log(0.3) + normals[1])
    assert model.log_match(query, reference)[0, 0] == pytest.approx(wanted, abs=0.01)


def test_evidence_is_large_for_the_right_code_and_bounded_against_a_wrong_one() -> None:
    model = plain_evidence()
    query = soft_of(0xDEADBEEF, 3.5)
    reference = np.concatenate([query, soft_of(0x21524110, 3.5)])  # itself, and its complement
    evidence = model.evidence(query, reference, model.log_chance(query))[0]
    assert evidence[0] > 15
    assert evidence[1] == pytest.approx(np.log(OUTLIER_SHARE), abs=1e-6)


def test_margins_tell_equal_codes_apart() -> None:
    model = plain_evidence(deviation=1.0)
    query = soft_of(0xDEADBEEF, 6.0)
    reference = np.concatenate([query, soft_of(0xDEADBEEF, 1.0)])
    evidence = model.evidence(query, reference, model.log_chance(query))[0]
    assert evidence[0] > 10 > 0 > evidence[1]


def test_a_common_look_says_little() -> None:
    rare = plain_evidence()
    seen = soft_of(0, 3.5)
    background = np.concatenate([rare.background[:250], np.repeat(seen, 250, axis=0)])
    common = EvidenceModel(rare.gain, rare.whitening, rare.scales, rare.shares, background)
    said = [float(model.evidence(seen, seen, model.log_chance(seen))[0, 0]) for model in (rare, common)]
    assert said[0] > 10
    assert said[1] < 2  # half of all films look like this: P(match) / P(chance) is about 1 / (0.5 / 2)


def test_chances_are_remembered_as_they_are_and_not_without_end(rng: np.random.Generator) -> None:
    model = plain_evidence()
    memory = ChanceMemory(model, most=8)
    query = rng.normal(0, 4, (20, 32)).astype(np.float32)
    for rows in (query[:5], query[3:9], query, query[::-1], query[:0]):
        assert memory.log_chance(rows) == pytest.approx(model.log_chance(rows) if len(rows) else [], rel=1e-9)
    assert len(memory._known) == 8


def test_frames_of_one_scene_share_their_weight() -> None:
    weights = frame_weights(np.array([0] * 4 + [0xFFFF], np.uint32))
    assert weights[:4] == pytest.approx((1 + REPEAT_SHARE * np.log(4)) / 4)
    assert weights[4] == 1


def test_shipped_card_has_a_model() -> None:
    model = EvidenceModel.of_bundle(shipped_bundle("encoder"))
    assert model.background.shape == (2048, 32)
    assert model.shares.sum() == pytest.approx(1, abs=1e-3)
    assert (model.gain > 0.5).all()
    assert (model.gain < 1.1).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"gain": [1.0]},
        {"whitening": [[1.0]]},
        {"scales": [1.0]},
        {"background": "no base64"},
        {"background": base64.b64encode(b"123").decode()},
        {"shares": None},
    ],
)
def test_damaged_card_is_one_line(damage: dict[str, object]) -> None:
    shipped = shipped_bundle("encoder")
    evidence = {**shipped.card["evidence"], **damage}
    bundle = Bundle(shipped.folder, {**shipped.card, "evidence": evidence}, shipped.sha256)
    with pytest.raises(BundleError, match="evidence is unusable"):
        EvidenceModel.of_bundle(bundle)
    with pytest.raises(BundleError, match="no section 'evidence'"):
        EvidenceModel.of_bundle(Bundle(shipped.folder, {}, shipped.sha256))
