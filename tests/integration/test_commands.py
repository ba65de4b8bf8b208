"""The commands of one machine, on real films: index, list, match, watch, inspect, remove."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.demo import sample_films
from export.edits import EDITS
from pipeline.detector import SURE
from pipeline.errors import EXIT_DONE, EXIT_INPUT, EXIT_SERVICE, EXIT_UNKNOWN
from pipeline.settings import settings
from tests.bundle_samples import other_bundle
from tests.commands import BIKES, BUNNY, CARPHONE, Vnome, cut_clip, run_alone
from tests.media_samples import hollow_film, write_film, write_sound

pytestmark = pytest.mark.redis

SUBTITLES = "WEBVTT\n\n00:01.000 --> 00:02.000\nCiao\n"


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str]) -> Vnome:
    return Vnome(capsys)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which two of the three sample films are indexed."""
    home = tmp_path_factory.mktemp("home") / "h"
    films = sample_films()
    ran = run_alone("index", films[BUNNY], films[BIKES], VNOME_HOME=str(home))
    assert ran.code == EXIT_DONE, ran.err
    return home


@pytest.fixture
def indexed(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings that point to the catalogue with two films."""
    monkeypatch.setenv("VNOME_HOME", str(catalogue))
    settings.cache_clear()
    yield catalogue
    settings.cache_clear()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def test_list_shows_what_was_indexed(vnome: Vnome, indexed: Path) -> None:
    videos = vnome("list", "--json").document["videos"]
    assert [video["video"] for video in videos] == ["bigbuckbunny", "bikes"]
    assert videos[1]["seconds"] == pytest.approx(10.0, abs=0.1)
    assert videos[1]["codes"] > 40
    assert vnome("list").out.splitlines()[1].startswith("0:00:10.00  bikes  bikes")


@pytest.mark.parametrize("edit", EDITS)
def test_match_finds_edited_clips(vnome: Vnome, indexed: Path, clips: Path, edit: str) -> None:
    clip = cut_clip(BIKES, clips / "clip.mp4", edit, start=4.0)
    ran = vnome("match", clip, "--json")
    assert ran.code == EXIT_DONE
    (match,) = ran.document["matches"]
    assert (match["video"], match["title"]) == ("bikes", "bikes")
    assert match["at_seconds"] == pytest.approx(4.0, abs=0.5)
    assert match["confidence"] > 0.97
    assert 0 < match["query_seconds"] <= 5.0
    assert match["speed"] == pytest.approx(1.04 if edit == "4 % faster" else 1.0, abs=0.05)  # of two seconds
    assert ran.document["frames"] == pytest.approx(10 * ran.document["seconds"], abs=12)


def test_match_tells_people_the_film_and_the_second(vnome: Vnome, indexed: Path, clips: Path) -> None:
    ran = vnome("match", cut_clip(BUNNY, clips / "bunny.mp4", start=0.2, seconds=4.5))
    assert ran.out.startswith("bigbuckbunny  at 0:00:00.")
    assert ran.code == EXIT_DONE


def test_a_film_that_is_not_indexed_is_unknown(vnome: Vnome, indexed: Path) -> None:
    ran = vnome("match", sample_films()[CARPHONE], "--json")
    assert ran.code == EXIT_UNKNOWN
    assert ran.document["matches"] == []
    assert ran.document["frames"] > 20
    assert vnome("match", sample_films()[CARPHONE]).out.startswith("unknown: ")


def test_an_empty_catalogue_knows_nothing(vnome: Vnome, clips: Path) -> None:
    ran = vnome("match", cut_clip(BUNNY, clips / "short.mp4", start=1.0, seconds=2.0), "--json")
    assert (ran.code, ran.document["matches"]) == (EXIT_UNKNOWN, [])
    assert vnome("list").out == "the catalogue is empty; add films with vnome index FILM...\n"


def test_watch_tells_found_still_and_lost(vnome: Vnome, indexed: Path, clips: Path) -> None:
    clip = cut_clip(BIKES, clips / "live.mp4", start=2.0, seconds=6.0)
    ran = vnome("watch", clip, "--json")
    events = [json.loads(line) for line in ran.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("found", "lost")
    assert "still" in kinds
    for event in events:
        assert event["video"] == "bikes"
        assert event["at_seconds"] == pytest.approx(2.0 + event["source_seconds"], abs=0.6)
    assert ran.code == EXIT_DONE


def test_watch_of_an_unknown_film_says_nothing(vnome: Vnome, indexed: Path) -> None:
    ran = vnome("watch", sample_films()[CARPHONE])
    assert (ran.code, ran.out) == (EXIT_UNKNOWN, "")


def test_index_again_changes_nothing_and_a_change_replaces(vnome: Vnome) -> None:
    film = sample_films()[BUNNY]
    assert vnome("index", film, "--json").document["videos"][0]["outcome"] == "added"
    first = vnome("list", "--json").out
    assert vnome("index", film, "--json").document["videos"][0]["outcome"] == "unchanged"
    assert vnome("list", "--json").out == first
    again = vnome("index", film, "--title", "Big Buck Bunny", "--json").document["videos"][0]
    assert (again["outcome"], again["title"]) == ("replaced", "Big Buck Bunny")
    assert len(vnome("list", "--json").document["videos"]) == 1
    assert vnome("index", film, "--id", "another").out.startswith("added      another  5.3 s, ")
    assert vnome("remove", "another", "bigbuckbunny", "--json").document == {"removed": ["another", "bigbuckbunny"]}
    assert vnome("list", "--json").document == {"videos": []}


def test_subtitles_are_kept_by_language(vnome: Vnome, tmp_path: Path) -> None:
    (tmp_path / "it.vtt").write_text(SUBTITLES)
    film = sample_films()[BUNNY]
    assert vnome("index", film, "--subtitles", f"it={tmp_path / 'it.vtt'}").code == EXIT_DONE
    assert vnome("list", "--json").document["videos"][0]["subtitles"] == ["it"]
    assert "subtitles it" in vnome("list").out


def test_inspect_tells_codes_and_draws_them(vnome: Vnome, tmp_path: Path) -> None:
    out = tmp_path / "seen.png"
    ran = vnome("inspect", sample_films()[BUNNY], "--json", "--picture", out, "--fps", "0.5")
    frames = ran.document["frames"]
    assert [round(frame["at_seconds"]) for frame in frames] == [0, 2, 4]
    for frame in frames:
        assert frame["source"] == str(sample_films()[BUNNY])
        assert frame["screen"] is None  # a film itself, not a camera's picture of one
        assert 0 <= frame["screen_confidence"] < SURE
        assert 0 <= int(frame["code"], 16) < 2**32
        assert len(frame["margins"]) == 32
        assert all(isinstance(label, str) and 0 < chance <= 1 for label, chance in frame["labels"])
    drawn = cv2.imread(str(out))
    assert drawn is not None
    assert drawn.shape == (270 + 56, 3 * 480, 3)
    assert vnome("inspect", sample_films()[BUNNY], "--fps", "0.5").out.count("no screen found") == 3


def test_inspect_codes_a_picture_as_the_film_is_coded(vnome: Vnome, tmp_path: Path) -> None:
    film = cv2.VideoCapture(str(sample_films()[BUNNY]))
    _, image = film.read()
    cv2.imwrite(str(tmp_path / "first.png"), image)
    still = vnome("inspect", tmp_path / "first.png", "--json").document["frames"][0]["code"]
    moving = vnome("inspect", sample_films()[BUNNY], "--json", "--fps", "0.1").document["frames"][0]["code"]
    assert (int(still, 16) ^ int(moving, 16)).bit_count() <= 2  # the colours were converted twice


PEAK = "import resource, sys; from pipeline.cli import run; run(sys.argv[1:]); print(resource.getrusage({}).ru_maxrss)"


def peak_memory_mib(clip: Path) -> float:
    """Of `vnome match` on an unknown clip, which it reads to the end."""
    code = PEAK.format("resource.RUSAGE_SELF")
    ran = subprocess.run([sys.executable, "-c", code, "match", str(clip)], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("unknown")
    return int(ran.stdout.splitlines()[-1]) / 1024  # Linux counts in KiB


def noise_film(path: Path, seconds: int) -> Path:
    """640x360, ten pictures a second; kept in memory, a second of them takes 7 MB."""
    rng = np.random.default_rng(0)
    coarse = (rng.integers(0, 255, (9, 16, 3), dtype=np.uint8) for _ in range(seconds * 10))
    images = (np.repeat(np.repeat(small, 40, 0), 40, 1) for small in coarse)
    return write_film(path, images, range(0, seconds * 1000, 100), gop=50)


def test_match_does_not_hold_a_long_clip_in_memory(indexed: Path, tmp_path: Path) -> None:
    short, long = (noise_film(tmp_path / f"{seconds}.mp4", seconds) for seconds in (6, 36))
    assert peak_memory_mib(long) - peak_memory_mib(short) < 100  # the pictures in between would take 200


# Bad use and input: one line, the right exit code, nothing changed


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, Path]:
    """Files that are no film, by what is wrong with them."""
    files = {"text": tmp_path / "notes.mp4", "empty": tmp_path / "empty.mp4", "truncated": tmp_path / "cut.mp4"}
    files["text"].write_text("these are notes, not a film\n" * 50)
    files["empty"].touch()
    whole = sample_films()[BIKES].read_bytes()
    files["truncated"].write_bytes(b"\0\0\0\x18ftypmp42" + whole[200:5000])
    write_sound(tmp_path / "sound.flac")
    files["sound"] = tmp_path / "sound.flac"
    return {**files, "missing": tmp_path / "missing.mp4", "folder": tmp_path}


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "truncated", "sound"])
@pytest.mark.parametrize("command", ["index", "match", "watch", "inspect"])
def test_bad_input_is_one_line(vnome: Vnome, bad_files: dict[str, Path], command: str, kind: str) -> None:
    assert vnome(command, bad_files[kind]).failed_with(EXIT_INPUT, bad_files[kind].name)
    assert not settings().home.exists()  # told before a server was started


def test_index_goes_on_after_films_that_cannot_be_read(
    vnome: Vnome, bad_files: dict[str, Path], tmp_path: Path
) -> None:
    hollow = hollow_film(tmp_path / "hollow.mp4")
    films = [bad_files["missing"], hollow, sample_films()[BUNNY]]
    ran = vnome("index", *films, "--json")
    assert ran.code == EXIT_INPUT
    assert [video["video"] for video in ran.document["videos"]] == ["bigbuckbunny"]
    assert all(name in line for name, line in zip(("missing.mp4", "hollow.mp4"), ran.document["errors"], strict=True))
    assert ran.err.count("\n") == 2
    assert [video["video"] for video in vnome("list", "--json").document["videos"]] == ["bigbuckbunny"]


def test_wrong_redis_address(vnome: Vnome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNOME_REDIS", "redis://127.0.0.1:1/0")
    assert vnome("match", sample_films()[BUNNY]).failed_with(EXIT_SERVICE, "redis://127.0.0.1:1/0", "VNOME_REDIS")
    settings.cache_clear()
    monkeypatch.setenv("VNOME_REDIS", "mysql://somewhere")
    assert vnome("list").failed_with(EXIT_INPUT, "mysql://somewhere", "redis://")


def test_wrong_bundle(vnome: Vnome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VNOME_ENCODER", str(tmp_path))
    assert vnome("index", sample_films()[BUNNY]).failed_with(EXIT_INPUT, str(tmp_path), "model.onnx is missing")


def test_catalogue_of_another_encoder(
    vnome: Vnome, indexed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VNOME_ENCODER", str(other_bundle(tmp_path)))
    settings.cache_clear()
    before = vnome("list").out
    assert vnome("match", sample_films()[BUNNY]).failed_with(EXIT_INPUT, "VNOME_ENCODER", "index them again")
    ran = vnome("index", sample_films()[CARPHONE])
    assert ran.code == EXIT_INPUT
    assert "index them again" in ran.err
    assert vnome("list").out == before


def test_unknown_video_is_told_with_near_ones(vnome: Vnome, indexed: Path) -> None:
    assert vnome("remove", "bikes", "bigbuckbuny").failed_with(EXIT_INPUT, "'bigbuckbuny'", "did you mean bigbuckbunny")
    assert len(vnome("list", "--json").document["videos"]) == 2  # nothing was removed


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--id", "x"], "one by one"),
        (["--subtitles", "it"], "LANG=FILE"),
    ],
)
def test_wrong_options_of_index(vnome: Vnome, options: list[str], part: str) -> None:
    films = sample_films()[:2] if "--id" in options else sample_films()[:1]
    assert vnome("index", *films, *options).failed_with(EXIT_INPUT, part)


def test_wrong_subtitles(vnome: Vnome, tmp_path: Path) -> None:
    film = sample_films()[BUNNY]
    assert vnome("index", film, "--subtitles", f"it={tmp_path / 'no.vtt'}").failed_with(EXIT_INPUT, "no.vtt")
    (tmp_path / "plain.vtt").write_text("no times in here")
    assert vnome("index", film, "--subtitles", f"it={tmp_path / 'plain.vtt'}").failed_with(EXIT_INPUT, "-->")
    (tmp_path / "latin.vtt").write_bytes(b"\xff\xfe\xfa")
    assert vnome("index", film, "--subtitles", f"it={tmp_path / 'latin.vtt'}").failed_with(EXIT_INPUT, "UTF-8")


def test_picture_that_cannot_be_written(vnome: Vnome, tmp_path: Path) -> None:
    film = sample_films()[BUNNY]
    assert "give such a name" in vnome("inspect", film, "--fps", "0.1", "--picture", tmp_path / "a.xyz").err
    ran = vnome("inspect", film, "--fps", "0.1", "--picture", tmp_path / "no" / "a.png")
    assert ran.code == EXIT_INPUT
    assert "cannot be written" in ran.err


def test_wrong_use_is_one_line(vnome: Vnome) -> None:
    assert vnome("match").failed_with(EXIT_INPUT, "CLIP")
    assert vnome("match", "--nonsense", "x").failed_with(EXIT_INPUT, "--nonsense")
    assert vnome("guess").failed_with(EXIT_INPUT, "guess")


def test_version_and_help(vnome: Vnome) -> None:
    assert vnome("--version").out.startswith("vnome ")
    assert vnome("--help").out == vnome().out
    shown = vnome("--help")
    assert shown.code == EXIT_DONE
    assert all(f"\n  {name} " in shown.out for name in ("index", "match", "watch", "inspect", "list", "remove", "demo"))
    assert "CLIP" in vnome("match", "--help").out
