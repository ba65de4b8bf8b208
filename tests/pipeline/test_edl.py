"""Edit decision lists, as editing programs read them."""

import re
from pathlib import Path

import av
import pytest

from pipeline.edl import MOST_EVENTS, Clip, edit_list
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.settings import settings
from pipeline.store import Store
from pipeline.timecodes import Rate, rate_of
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.media_samples import grey_ramp, write_film
from tests.memory_reference import film_codes

PAL = Rate(25)
EVENT = re.compile(r"(\d{3})  ([A-Z0-9]{1,8}) +V     C        " + r" ".join([r"(\d\d:\d\d:\d\d[:;]\d\d)"] * 4))

Event = tuple[int, str, tuple[int, ...], str]  # number, reel, frames of source in and out, record in and out, file


def read(text: str, rate: Rate) -> list[Event]:
    """The events of a list, by the format's rules. Fails where it breaks one."""
    head, _, rest = text.partition("\n\n")
    title, fcm = head.splitlines()
    assert title.startswith("TITLE: ") and len(title) <= 77
    assert fcm == ("FCM: DROP FRAME" if rate.drop else "FCM: NON-DROP FRAME")
    events: list[Event] = []
    record = 0
    for block in rest.split("\n\n"):
        line, name, comment = block.rstrip("\n").splitlines()
        found = EVENT.fullmatch(line)
        assert found is not None, line
        assert name.startswith("* FROM CLIP NAME: ") and comment.startswith("* COMMENT: ")
        assert all((";" in code) == rate.drop for code in found.groups()[2:])
        source_in, source_out, record_in, record_out = (rate.frame(code) for code in found.groups()[2:])
        assert source_out - source_in == record_out - record_in > 0
        assert (int(found[1]), record_in) == (len(events) + 1, record)  # cut to cut, without a gap
        record = record_out
        frames = (source_in, source_out, record_in, record_out)
        events.append((int(found[1]), found[2], frames, name.removeprefix("* FROM CLIP NAME: ")))
    return events


def test_the_list_as_it_is_written() -> None:
    text = edit_list("two\ndogs", [Clip("a.mp4", "Dog (A)", 12.4, 15.0), Clip("b.mp4", "Dog", 3600.0, 3600.01)], PAL)
    assert text.splitlines() == [
        "TITLE: two dogs",
        "FCM: NON-DROP FRAME",
        "",
        "001  A        V     C        00:00:12:10 00:00:15:00 00:00:00:00 00:00:02:15",
        "* FROM CLIP NAME: a.mp4",
        "* COMMENT: Dog (A)",
        "",
        "002  B        V     C        01:00:00:00 01:00:00:01 00:00:02:15 00:00:02:16",
        "* FROM CLIP NAME: b.mp4",
        "* COMMENT: Dog",
    ]


@pytest.mark.parametrize("name", ["23.976", "24", "25", "29.97", "29.97df", "30", "50", "59.94", "59.94df", "60"])
def test_a_frame_is_the_frame_at_every_rate(name: str) -> None:
    rate = rate_of(name)
    clips = [Clip("a.mp4", "x", 100 / rate.fps, 250 / rate.fps), Clip("a.mp4", "x", 4000.0, 4001.0)]
    first, second = read(edit_list("t", clips, rate), rate)
    assert first[2] == (100, 250, 0, 150)
    # 4000 s at 23.976 are 95904.1 frames, of which 95904 have passed
    assert second[2][0] == round(4000 * rate.fps) and second[2][1] == round(4001 * rate.fps)


def test_a_clip_ends_with_its_film_and_begins_where_the_films_time_code_does() -> None:
    # the film has 10.02 s: 250 whole frames
    clips = [Clip("a.mp4", "x", 8.0, 10.1, 10.02, "10:00:00:00"), Clip("a.mp4", "x", 10.1, 10.2, 10.02, "10:00:00:00")]
    begin = 10 * 3600 * 25
    assert [frames[:2] for _, _, frames, _ in read(edit_list("t", clips, PAL), PAL)] == [
        (begin + 200, begin + 250),
        (begin + 249, begin + 250),
    ]


def test_each_film_has_a_reel_of_its_own() -> None:
    files = ["big buck bunny.mp4", "BigBuckBunny 2.mkv", "bars.mov", "ツ.mp4", "日.mp4", "ax", "big buck bunny.mp4"]
    events = read(edit_list("t", [Clip(file, "x", 1, 2) for file in files], PAL), PAL)
    assert [reel for _, reel, _, _ in events] == ["BIGBUCKB", "BIGBUCK2", "BARS2", "FILM", "FILM2", "AX2", "BIGBUCKB"]
    assert [file for *_, file in events] == files


def test_a_list_has_as_many_events_as_its_numbers_allow() -> None:
    assert len(read(edit_list("t", [Clip("a.mp4", "x", k, k + 1) for k in range(1200)], PAL), PAL)) == MOST_EVENTS


@pytest.mark.redis
class TestCommand:
    """`vnome search --edl`."""

    @pytest.fixture
    def vnome(
        self,
        store: Store,
        redis_url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> Vnome:
        monkeypatch.setenv("VNOME_REDIS", redis_url)
        settings.cache_clear()
        library, labels = Library(store), LabelStore(store)
        for name in ("day", "night"):
            library.add(VideoFields(name, name, f"{name}.mov", name, "encoder"), film_codes(1, 4), 4.0, 50, {})
            labels.put(library.get(name).number, [Stretch("dog", 1.0, 3.0, 0.9 if name == "day" else 0.8)])
        return Vnome(capsys)

    def films(self, folder: Path, fps: int, **options: str) -> Path:
        folder.mkdir()
        write_film(
            folder / "day.mov",
            grey_ramp(4 * fps),
            [round(1000 * k / fps) for k in range(4 * fps)],
            container_options=options,
        )
        return folder

    def test_the_rate_is_that_of_the_films(self, vnome: Vnome, tmp_path: Path) -> None:
        edl, folder = tmp_path / "cut.edl", self.films(tmp_path / "films", 50)
        assert vnome("search", "dog", "--edl", edl, "--films", folder).err == ""
        assert [(reel, frames) for _, reel, frames, _ in read(edl.read_text(), Rate(50))] == [
            ("DAY", (50, 150, 0, 100)),
            ("NIGHT", (50, 150, 100, 200)),
        ]
        assert vnome("search", "dog", "--edl", edl, "--films", folder, "--fps", "29.97df").code == 0
        assert read(edl.read_text(), rate_of("29.97df"))[0][2] == (30, 90, 0, 60)

    def test_where_nothing_is_known_of_the_films_it_says_what_it_takes(self, vnome: Vnome, tmp_path: Path) -> None:
        edl = tmp_path / "cut.edl"
        ran = vnome("search", "dog", "--edl", edl)
        assert ran.code == 0 and "25 frames a second" in ran.err and "--fps" in ran.err
        assert read(edl.read_text(), PAL)[0][2] == (25, 75, 0, 50)
        assert vnome("search", "dog", "--edl", edl, "--fps", "25").err == ""

    def test_a_films_own_time_code_counts(self, vnome: Vnome, tmp_path: Path) -> None:
        edl, folder = tmp_path / "cut.edl", tmp_path / "films"
        folder.mkdir()
        with_timecode(folder / "day.mov", "09:59:59:00")
        assert vnome("search", "dog", "--video", "day", "--edl", edl, "--films", folder).code == 0
        (event,) = read(edl.read_text(), PAL)
        assert event[2][:2] == (10 * 3600 * 25, 10 * 3600 * 25 + 50)

    def test_nothing_found_writes_nothing(self, vnome: Vnome, tmp_path: Path) -> None:
        edl = tmp_path / "cut.edl"
        ran = vnome("search", "cat", "--edl", edl)
        assert ran.code == 1 and "is not written" in ran.err and not edl.exists()
        assert vnome("search", "dog", "--edl", edl, "--fps", "12").failed_with(2, "'12'", "29.97df")
        assert vnome("search", "dog", "--edl", tmp_path / "none" / "x").failed_with(2, "--edl")
        assert vnome("search", "dog", "--edl", edl, "--films", tmp_path / "none").failed_with(2, "--films")


def with_timecode(path: Path, timecode: str) -> None:
    """A film of four seconds at 25 frames a second, whose first frame has this time code."""
    with av.open(str(path), "w") as container:
        container.metadata["timecode"] = timecode
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in grey_ramp(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
