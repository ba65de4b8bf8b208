"""What scenes are made of, read from folders."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from export.scene_data import (
    FRAMES_A_FILM,
    SCENE_SIZES,
    WITH_A_SCREEN,
    SceneBatches,
    collate,
    load_scene_sources,
    read_corners,
)
from export.scenes import Scene
from pipeline.errors import InputError
from tests.commands import BIKES, CARPHONE, cut_clip
from tests.export.test_scenes import blotches, sources

HEADER = "file," + ",".join(f"{axis}{k}" for k in range(4) for axis in "xy")


def save(folder: Path, names: list[str], height: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, blotches(len(names), (height, 80), seed=1), strict=True):
        cv2.imwrite(str(folder / name), image)


def table(path: Path, names: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *(f"{name},10,10,70,10,70,50,10,50" for name in names)]) + "\n")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, and pictures whose heights tell the folders apart: stills 62, rooms 64, televisions 66."""
    base = tmp_path_factory.mktemp("scenes")
    (base / "films").mkdir()
    for film in (BIKES, CARPHONE):
        cut_clip(film, base / "films" / f"{film}.mp4", start=0.0, seconds=1.5)
    save(base / "stills", [f"still{k}.jpg" for k in range(20)], 62)
    save(base / "rooms", [*(f"room{k}.jpg" for k in range(20)), *WITH_A_SCREEN], 64)
    frames = [f"{recording}_{number:02d}.jpg" for recording in "abcdefghijklmnop" for number in range(3)]
    save(base / "tv", frames, 66)
    table(base / "tv.csv", frames)
    return base


def test_a_part_is_held_out_and_no_recording_is_split(folders: Path) -> None:
    training, unseen = load_scene_sources(folders / "films", folders / "stills", folders / "rooms", folders / "tv.csv")
    assert len(training.rooms) + len(unseen.rooms) == 20  # rooms with a lit screen are left out
    assert 0 < len(unseen.rooms) < len(training.rooms)
    frames = sum(len(part.films) for part in (training, unseen)) - 20  # of the two films; a short one may lack its last
    assert 2 * (FRAMES_A_FILM - 1) <= frames <= 2 * FRAMES_A_FILM
    assert len(training.televisions) + len(unseen.televisions) == 16 * 3
    assert len(unseen.televisions) % 3 == 0  # the three frames of a recording stay together
    assert 0 < len(unseen.televisions) < len(training.televisions)
    for part in (training, unseen):
        assert {picture.shape[0] for picture in part.televisions} == {66}
        assert {picture.shape[0] for picture in part.rooms} == {64}
        assert len(part.corners) == len(part.televisions)


def test_corners_are_read_with_their_pictures(tmp_path: Path) -> None:
    (path, corners), *_ = read_corners(table(tmp_path / "tv.csv", ["a.jpg", "b.jpg"]))
    assert path == tmp_path / "tv" / "a.jpg"
    assert corners.tolist() == [[10, 10], [70, 10], [70, 50], [10, 50]]


@pytest.mark.parametrize(
    "text",
    [
        "name,x0\na.jpg,1\n",
        f"{HEADER}\na.jpg,10,10,70\n",
        f"{HEADER}\na.jpg,10,10,70,10,70,fifty,10,50\n",
        f"{HEADER}\n{'a' * 200_000},10,10,70,10,70,50,10,50\n",
        "\xff\xfe\x00",
    ],
    ids=["other columns", "short row", "no number", "endless field", "no text"],
)
def test_malformed_table_is_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tv.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"tv\.csv is not a table of corners") as raised:
        read_corners(path)
    assert "\n" not in str(raised.value)


def test_what_is_missing_is_named(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv is not a table"):
        read_corners(tmp_path / "none.csv")
    lonely = table(tmp_path / "lonely.csv", ["gone.jpg"])
    with pytest.raises(InputError, match=r"gone\.jpg is not a picture"):
        load_scene_sources(folders / "films", folders / "stills", folders / "rooms", lonely)


def test_batches_follow_from_seed_and_step_alone() -> None:
    batches = SceneBatches(sources(), pictures=2, seed=5)
    later = iter(SceneBatches(sources(), pictures=2, seed=5, first=3))
    for step in (3, 4):
        for one, two in zip(batches.batch(step), next(later), strict=True):
            assert torch.equal(one, two)
    assert not torch.equal(batches.batch(0)[1], SceneBatches(sources(), pictures=2, seed=6).batch(0)[1])


def test_batch_has_one_size_and_says_where_nothing_is() -> None:
    pictures, corners, present = SceneBatches(sources(), pictures=12, seed=0).batch(0)
    assert tuple(pictures.shape[1:3]) in SCENE_SIZES
    assert (pictures.shape[0], pictures.shape[3], pictures.dtype) == (12, 3, torch.uint8)
    assert (corners.shape, corners.dtype) == ((12, 4, 2), torch.float32)
    assert (present.shape, present.dtype) == ((12,), torch.bool)
    image = np.zeros((8, 8, 3), np.uint8)
    quad = np.array([[1, 2], [6, 2], [6, 7], [1, 7]], float)
    _, corners, present = collate([Scene(image, quad), Scene(image, None)])
    assert corners[0].tolist() == quad.tolist()
    assert present.tolist() == [True, False]
