"""What a virtual phone filmed, kept with its truth."""

from pathlib import Path

import numpy as np
import pytest

from edge.demo import sample_films
from export.recordings import Recording, make_recordings
from pipeline.errors import InputError
from pipeline.media import read_frames
from tests.commands import BIKES, CARPHONE

SECONDS = 0.4


class Count:
    """How often a clip was reported."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


def make(folder: Path, films: list[Path] | None = None, clips: int = 2, seed: int = 0) -> list[Recording]:
    return make_recordings(films or [sample_films()[BIKES]], folder, "easy", clips, SECONDS, seed, Count())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of a sample film."""
    made = tmp_path_factory.mktemp("kept") / "easy"
    make(made)
    return made


def test_truth_has_one_screen_a_frame(folder: Path) -> None:
    for recording in make(folder):
        frames = list(read_frames(recording.path, max_side=None))
        assert frames[0].image.shape == (480, 854, 3)
        assert recording.screens.shape == (len(frames), 4, 2)
        assert frames[-1].pts_seconds == pytest.approx(SECONDS, abs=0.05)
        assert (recording.film, recording.level) == ("bikes", "easy")
        assert np.ptp(recording.screens[:, :, 0], axis=1).min() > 0.5 * 854  # an easy screen fills the picture
        size = np.array([854, 480])
        assert (recording.screens > -0.1 * size).all()
        assert (recording.screens < 1.1 * size).all()


def test_start_is_a_moment_of_the_film(folder: Path) -> None:
    moments = [frame.pts_seconds for frame in read_frames(sample_films()[BIKES], max_side=32)]
    one, two = make(folder)
    assert min(abs(moment - one.start_seconds) for moment in moments) < 1e-6
    assert one.start_seconds != two.start_seconds


def test_a_second_call_reuses_the_files(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    report = Count()
    make_recordings([sample_films()[BIKES]], folder, "easy", 2, SECONDS, 0, report)
    assert report.calls == 2
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(before) == 2 * 2  # nothing half done stays


def test_another_folder_gets_the_same_clips_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    (kept, _), (made,) = make(folder), make(tmp_path / "again", clips=1)
    assert made.path.read_bytes() == kept.path.read_bytes()
    (other,) = make(tmp_path / "again", clips=1, seed=1)
    assert other.start_seconds != kept.start_seconds
    assert other.path != made.path


def test_recordings_of_other_films_are_made_anew(tmp_path: Path) -> None:
    make(tmp_path, clips=1)
    (recording,) = make(tmp_path, [sample_films()[CARPHONE]], clips=1)
    assert recording.film == sample_films()[CARPHONE].stem


def test_films_that_are_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no film in .* is longer than 100 s; give longer films"):
        make_recordings([sample_films()[BIKES]], tmp_path, "easy", 1, 100, 0, Count())
