"""The recogniser's graph and bundle: calibration, thresholds, what the card says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.networks.classifier import ClassifierNetwork
from export.recogniser_bundle import calibrate, quality, reliability, threshold, unseen_frames, write_recogniser
from export.recogniser_graph import HEIGHT, WIDTH, LabelCalibration, RecogniserGraph, views
from export.recogniser_task import average_precision, unseen_data
from export.task import Sources
from export.vocabulary import vocabulary
from pipeline.bundles import load_bundle
from pipeline.encoder import whole_picture
from pipeline.errors import InputError
from pipeline.recogniser import RECOGNISER, Recogniser
from tests.export.test_recogniser_training import SMALL
from tests.labelled_samples import write_judged_films, write_sets


def network() -> ClassifierNetwork:
    torch.manual_seed(0)
    made = ClassifierNetwork(SMALL).train()
    with torch.no_grad():
        for _ in range(10):
            made(torch.rand(8, 3, 32, 32))
    return made.eval()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("data")
    return Sources(write_sets(folder / "sets", 2), write_judged_films(folder / "films"))


def test_the_bundle_says_what_the_graph_says(sources: Sources, tmp_path: Path) -> None:
    card = write_recogniser(network(), unseen_data(sources), {"name": "small"}, tmp_path)
    assert card["parity_largest_probability_difference"] < 1e-3
    assert set(card["thresholds"]) == set(card["labels"]) == set(vocabulary().labels)
    recogniser = Recogniser(load_bundle(tmp_path, RECOGNISER))
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    every = dict(recogniser.recognise([image], [whole_picture(image)], share=0.0, most=99)[0])
    assert len(every) == len(vocabulary().labels)
    for child, parent in vocabulary().parents.items():
        assert every[parent] >= every[child]


def test_held_out_frames_and_test_pictures_calibrate(sources: Sources) -> None:
    data = unseen_data(sources)
    assert data.films.names == ("editing_inputs_assets_blackswan.mp4",)
    frames, targets = unseen_frames(data)
    assert frames.shape[1:] == (HEIGHT, WIDTH, 3)
    assert len(frames) == len(targets) == 200 * 2 + 3 + 3
    bird = vocabulary().labels.index("bird")
    assert (targets[-3:, bird] == 1).all()


def test_no_held_out_film_is_said(sources: Sources, tmp_path: Path) -> None:
    films = write_judged_films(tmp_path)
    (films / "editing_inputs_assets_blackswan.mp4").unlink()
    with pytest.raises(InputError, match="held-out"):
        unseen_data(Sources(sources.data, films))


def test_views_are_the_whole_and_three_squares() -> None:
    picture = torch.rand(2, 3, HEIGHT, WIDTH)
    whole, left, middle, right = views(picture)
    assert torch.allclose(whole[..., 5], picture[..., 10:12].mean(dim=3))
    assert torch.equal(left, picture[..., :64])
    assert torch.equal(middle, picture[..., 32:96])
    assert torch.equal(right, picture[..., 64:])


def test_a_parent_is_at_least_as_likely_as_its_likeliest_child() -> None:
    count = len(vocabulary().labels)
    offset = torch.full((count,), -9.0)
    offset[vocabulary().labels.index("dog")] = 3.0
    graph = RecogniserGraph(network(), vocabulary(), LabelCalibration(torch.zeros(count), offset))
    (chance,) = graph(torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)).tolist()
    said = dict(zip(vocabulary().labels, chance, strict=True))
    assert said["animal"] == said["dog"] > 0.9
    assert said["vehicle"] < 0.01


def test_calibration_makes_probabilities_that_come_true() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 1)).astype(np.float32)
    shown = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits[:, 0] - 1)))
    targets = shown[:, None].astype(np.int8)
    targets[::7] = -1
    fit = calibrate(logits, targets, np.ones(20_000))
    assert fit.slope.item() == pytest.approx(0.5, abs=0.03)
    assert fit.offset.item() == pytest.approx(-1, abs=0.06)
    chance = 1 / (1 + np.exp(-(fit.slope.numpy() * logits + fit.offset.numpy())))[:, 0]
    assert all(abs(row["said"] - row["shown"]) < 0.04 for row in reliability(chance, shown))


def test_a_label_that_is_never_shown_stays_as_it_is() -> None:
    fit = calibrate(np.zeros((5, 1), np.float32), np.zeros((5, 1), np.int8), np.ones(5))
    assert (fit.slope.item(), fit.offset.item()) == (1.0, 0.0)


def test_the_threshold_keeps_the_precision() -> None:
    chance = np.linspace(1, 0, 101, dtype=np.float32)
    shown = np.array([k < 40 or k % 2 == 0 for k in range(101)], np.int8)  # from 0.6 down every second is wrong
    even = np.ones(101)
    assert threshold(chance, shown, even) == pytest.approx(0.5, abs=0.011)  # 45 of 50, bounded by a half
    assert threshold(chance, shown, even + 9 * (shown == 0)) > 0.58  # the wrong ones count ten times
    assert threshold(chance, np.zeros(101, np.int8), even) == 0.98
    assert threshold(chance, np.ones(101, np.int8), even) == 0.5


def test_quality_counts_what_is_told() -> None:
    words = vocabulary()
    chance = np.zeros((4, len(words.labels)), np.float32)
    targets = np.zeros((4, len(words.labels)), np.int8)
    dog = words.labels.index("dog")
    chance[:3, dog] = 0.9
    targets[[0, 3], dog], targets[2, dog] = 1, -1
    row = quality(chance, targets, dict.fromkeys(words.labels, 0.5), words)["labels"]["dog"]
    assert row == {"shown": 2, "told": 2, "precision": 0.5, "recall": 0.5}


def test_average_precision() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert average_precision(scores, np.array([1, 0, 1, -1], np.int8)) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, np.zeros(4, np.int8)) is None
