from dataclasses import replace

import numpy as np
import numpy.typing as npt

from export.data import THUMB_HEIGHT, THUMB_WIDTH
from export.hash_training import HashTrainingConfig
from export.moment_sampler import Batch, MomentSampler
from tests.export.test_calibration import moments

CONFIG = HashTrainingConfig(films_per_batch=8, moments_per_film=2)


def draw(pictures: npt.NDArray[np.uint8] | None = None, seed: int = 0, draws: int = 1) -> Batch:
    sampler = MomentSampler(moments(), pictures, replace(CONFIG, seed=seed))
    return [sampler.draw() for _ in range(draws)][-1]


def white(pictures: int) -> npt.NDArray[np.uint8]:
    return np.full((pictures, THUMB_HEIGHT, THUMB_WIDTH), 255, np.uint8)


def test_batches_hold_pairs_that_must_be_told_apart() -> None:
    batch = draw()
    assert batch.clean.shape == batch.shown.shape == (8 * 2, THUMB_HEIGHT, THUMB_WIDTH)
    assert batch.clean.dtype == batch.shown.dtype == np.uint8
    assert not batch.different.diagonal().any()
    assert np.array_equal(batch.different, batch.different.T)
    assert batch.different.mean() > 0.8  # moments of other films


def test_the_same_picture_of_a_film_is_not_told_apart() -> None:
    for seed in range(5):
        batch = draw(seed=seed)
        film = np.repeat(np.arange(8), 2)
        same = (batch.clean[:, None] == batch.clean[None]).all(axis=(2, 3)) & (film[:, None] == film)
        assert not (batch.different & same).any()


def test_same_seed_same_batch_and_another_seed_another() -> None:
    one, again, other = draw(seed=1), draw(seed=1), draw(seed=2)
    assert np.array_equal(one.clean, again.clean)
    assert np.array_equal(one.shown, again.shown)
    assert not np.array_equal(one.clean, other.clean)


def test_films_are_shown_otherwise_each_time() -> None:
    stored = {thumb.tobytes() for thumb in moments().thumbs}
    batches = [draw(seed=seed) for seed in range(6)]
    as_stored = [picture.tobytes() in stored for batch in batches for picture in batch.clean]
    assert np.mean(as_stored) < 0.3


def test_a_share_of_the_films_are_pans_over_single_pictures() -> None:
    batch = draw(white(20))
    assert len(batch.clean) == 8 * 2
    pans = batch.clean[(8 - round(8 * CONFIG.pictures_share)) * 2 :]
    assert np.mean(pans.min(axis=(1, 2)) >= 0.6 * 255) == 1  # white, some with a film shining through by 40 %
    assert (pans == 255).all(axis=(1, 2)).any()


def test_windows_move_over_a_picture() -> None:
    slope = np.tile(np.linspace(0, 255, THUMB_WIDTH).astype(np.uint8), (20, THUMB_HEIGHT, 1))
    batch = draw(slope, seed=3)
    pans = batch.clean[-2 * round(8 * CONFIG.pictures_share) :].reshape(-1, 2, THUMB_HEIGHT, THUMB_WIDTH)
    assert sum(not np.array_equal(first, second) for first, second in pans) >= 2


def test_fewer_pictures_than_asked_for_are_all_taken() -> None:
    assert len(draw(white(1)).clean) == (8 - round(8 * CONFIG.pictures_share) + 1) * 2
