import numpy as np
import pytest

from export.evidence_fit import SCALES, fit_errors, measure_evidence
from pipeline.encoder import default_encoder
from pipeline.evidence import EvidenceModel
from tests.export.test_calibration import moments


def test_fit_finds_gain_covariance_and_sizes_of_made_up_errors() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(0, 3, (20_000, 32)).astype(np.float32)
    gain = np.linspace(0.7, 1.0, 32)
    mixing = np.eye(32) + 0.5 * np.eye(32, k=1)  # neighbouring bits err together
    size = np.where(rng.random(20_000) < 0.25, 4.0, 1.0)
    errors = rng.normal(0, 1, clean.shape) @ mixing * np.sqrt(size)[:, None]
    found_gain, whitening, shares = fit_errors(clean, (gain * clean + errors).astype(np.float32))
    np.testing.assert_allclose(found_gain, gain, atol=0.02)
    covariance = np.linalg.inv(whitening @ whitening.T)
    unit = covariance[5, 5] / (mixing.T @ mixing)[5, 5]  # the fit may call any of the sizes 1
    np.testing.assert_allclose(covariance / unit, mixing.T @ mixing, atol=0.08)
    mean = float((shares * SCALES).sum() * unit)
    assert mean == pytest.approx(0.25 * 4 + 0.75, rel=0.1)


def test_measured_section_is_a_model_in_which_a_moment_matches_itself() -> None:
    section = measure_evidence(default_encoder(), moments(), moments(), seed=1)
    model = EvidenceModel.of_card(section)
    assert model.background.shape == (40, 32)
    chance = model.log_chance(model.background)
    evidence = model.evidence(model.background, model.background, chance)
    others = evidence[~np.eye(40, dtype=bool)]
    assert evidence.diagonal().min() > np.quantile(others, 0.99)
    assert section == measure_evidence(default_encoder(), moments(), moments(), seed=1)
