"""`vnome demo` as a user runs it."""

import shutil
from pathlib import Path

import cv2
import pytest

from edge.demo import Filming, sample_films
from edge.virtual_phone import PhoneFrame
from pipeline.errors import EXIT_DONE, EXIT_INPUT, EXIT_UNKNOWN
from pipeline.matching import Match, Odds
from tests.commands import Vnome


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str]) -> Vnome:
    return Vnome(capsys)


@pytest.mark.redis
def test_demo_identifies_the_film_and_does_not_know_the_stranger(vnome: Vnome, tmp_path: Path) -> None:
    ran = vnome("demo", "--out", tmp_path / "demo", "--json")
    assert ran.code == EXIT_DONE
    result = ran.document
    assert result["right"] is True
    assert result["known"]["found"] == result["known"]["film"]
    assert result["known"]["film_seconds"] == pytest.approx(result["known"]["true_seconds"], abs=1.0)
    assert result["known"]["confidence"] > 0.9
    assert 0 < result["known"]["seconds_needed"] <= 5
    assert result["unknown"]["found"] is None
    picture = cv2.imread(str(tmp_path / "demo" / "demo.png"))
    assert picture is not None
    assert picture.std() > 20
    assert (tmp_path / "demo" / "phone.mp4").stat().st_size > 10_000  # the recording, to be tried with vnome match


@pytest.mark.redis
def test_demo_with_films_of_the_users_own(vnome: Vnome, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    bunny, bikes, _ = sample_films()
    shutil.copy(bikes, films / "a.mp4")
    shutil.copy(bunny, films / "b.mp4")
    ran = vnome("demo", films, "--out", tmp_path / "demo", "--seed", "4")
    assert ran.code == EXIT_DONE, ran.out
    assert "indexed a: 10.0 s of film" in ran.out
    assert "answer: a at 0:00:0" in ran.out
    assert "answer: unknown" in ran.out


def test_wrong_use(vnome: Vnome, tmp_path: Path) -> None:
    assert vnome("demo", tmp_path / "nowhere").failed_with(EXIT_INPUT, "nowhere", "is not a folder")
    assert vnome("demo", tmp_path).failed_with(EXIT_INPUT, "holds 0 films", "two are needed")
    (tmp_path / "file").touch()
    assert vnome("demo", "--out", tmp_path / "file").failed_with(EXIT_INPUT, "cannot be made a folder", "--out")
    assert vnome("demo", "--level", "brutal", "--out", tmp_path).code == EXIT_INPUT


def answer(seconds: float) -> Match:
    return Match(1, seconds, 1.0, 0.99, Odds(50.0, 50.0), 0)


@pytest.mark.parametrize(
    ("found", "at", "right"), [("film", 4.2, True), ("film", 6.0, False), ("other", 4.2, False), (None, 4.2, False)]
)
def test_an_answer_is_right_only_with_the_film_and_the_second(found: str | None, at: float, right: bool) -> None:
    frame = PhoneFrame.__new__(PhoneFrame)
    object.__setattr__(frame, "pts_seconds", 1.0)
    object.__setattr__(frame, "film_seconds", 5.0)  # the answer says at + 1.0 for this frame
    filming = Filming(Path("film.mp4"), answer=answer(at), found=found, last=frame)
    assert filming.right is right
    assert Filming(Path("film.mp4"), last=frame).right is False


@pytest.mark.redis
def test_a_wrong_answer_is_exit_code_1(vnome: Vnome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.demo.RIGHT_WITHIN_SECONDS", 0.0)  # no answer is as exact as that
    ran = vnome("demo", "--out", tmp_path / "demo")
    assert ran.code == EXIT_UNKNOWN
    assert "WRONG" in ran.out
