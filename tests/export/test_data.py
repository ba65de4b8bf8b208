from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.demo import sample_films
from export.data import PAN_STEPS, films_in, held_out, load_moments, stills_in
from export.edits import EDITS, write_clip
from pipeline.errors import InputError
from pipeline.frames import Frame
from pipeline.media import probe, read_frames


def test_moments_of_films_and_photographs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "a.png"), rng.integers(0, 256, (200, 288, 3), dtype=np.uint8))
    film = sample_films()[2]
    moments = load_moments([film], stills_in(tmp_path))
    frames = sum(1 for _ in read_frames(film))
    assert len(moments) == frames + PAN_STEPS
    assert moments.thumbs.shape[1:] == (96, 160)
    assert moments.names == (film.name, "a.png")
    assert (np.diff(moments.seconds[:frames]) >= 0).all()
    only_stills = moments.of_films(np.array([False, True]))
    assert set(only_stills.film.tolist()) == {1}
    assert len({thumb.tobytes() for thumb in only_stills.thumbs}) == PAN_STEPS  # the pan moves


def test_held_out_films_are_chosen_by_name_alone() -> None:
    names = tuple(f"film{i}.mp4" for i in range(1000))
    chosen = held_out(names, 0.1)
    assert 70 < chosen.sum() < 130
    assert np.array_equal(held_out(names[500:], 0.1), chosen[500:])


def test_folders_without_material_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no film in"):
        films_in(tmp_path)
    (tmp_path / "broken.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.jpg is not a picture"):
        load_moments([], stills_in(tmp_path))


def picture() -> Frame:
    """A left half of 50, a right half of 200."""
    image = np.full((120, 160, 3), 50, np.uint8)
    image[:, 80:] = 200
    return Frame(image, 0.0)


def test_edits_change_the_picture_as_named() -> None:
    image = picture().image
    assert EDITS["half size, a third of the bitrate"].picture(image).shape == (60, 80, 3)
    assert EDITS["half size, a third of the bitrate"].bitrate_share == pytest.approx(1 / 3)
    assert EDITS["crop to 90 %"].picture(image).shape == (108, 144, 3)
    assert EDITS["mirrored"].picture(image)[0, 0, 0] == 200
    assert EDITS["gamma 0.7"].picture(image)[0, 0, 0] == round(255 * (50 / 255) ** 0.7)
    assert EDITS["letter-boxed"].picture(image).shape == (160, 160, 3)
    assert EDITS["letter-boxed"].picture(image)[:20].max() == 0
    assert EDITS["subtitle band"].picture(image)[-1, 0, 0] == 50 // 3
    assert EDITS["subtitle band"].picture(image).max() == 255
    colours = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    grey = EDITS["greyscale"].picture(colours)
    assert (grey[..., 0] == grey[..., 1]).all()


def test_written_clips_play_at_their_speed(tmp_path: Path) -> None:
    frames = [Frame(picture().image, 7.0 + k / 25) for k in range(52)]
    assert write_clip(frames, EDITS["4 % faster"], tmp_path / "clip.mp4", 500_000) == 52
    times = [frame.pts_seconds for frame in read_frames(tmp_path / "clip.mp4")]
    assert times[0] == 0
    assert times[-1] == pytest.approx(51 / 25 / 1.04, abs=1e-3)
    assert probe(tmp_path / "clip.mp4").width == 160
