"""Logistic fits."""

import numpy as np
import numpy.typing as npt


def platt(
    log_odds: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Slope and intercept of "right" on the log odds, with Platt's smoothed targets, by Newton steps.

    Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2. weight: how often each case counts.
    """
    often = np.ones(len(right)) if weight is None else weight
    positives, negatives = often[right].sum(), often[~right].sum()
    target = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.stack([log_odds, np.ones_like(log_odds)], axis=1)
    weights = np.array([0.1, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curvature = x.T @ (x * (often * p * (1 - p) + 1e-9)[:, None]) + 1e-6 * np.eye(2)
        weights = weights + np.linalg.solve(curvature, x.T @ (often * (target - p)))
    return float(weights[0]), float(weights[1])
