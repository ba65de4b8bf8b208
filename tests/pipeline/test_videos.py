"""What is stored of a video."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from pipeline.videos import VideoRecord

DIGEST = hashlib.sha256(b"film").hexdigest()
names = st.text(min_size=1, max_size=30)


def record(**changed: object) -> VideoRecord:
    fields: dict[str, object] = {
        "id": "film", "title": "A film", "source_name": "film.mp4", "fingerprint": DIGEST, "encoder": "e" * 64,
        "number": 7, "duration_seconds": 61.25, "frames": 700, "runs": 120, "postings": 70, "subtitles": (),
        "subtitles_digest": "", "added_at": "2026-11-26T12:00:00+00:00",
    }  # fmt: skip
    return VideoRecord(**{**fields, **changed})  # type: ignore[arg-type]


@given(
    id=names,
    title=names,
    fingerprint=st.one_of(st.just(DIGEST), names),
    languages=st.lists(names, max_size=3, unique=True),
    live=st.sampled_from([(0, 0), (1_790_000_000_000, 7200)]),
)
def test_a_record_comes_back(
    id: str, title: str, fingerprint: str, languages: list[str], live: tuple[int, int]
) -> None:
    stored = record(
        id=id, title=title, fingerprint=fingerprint, subtitles=tuple(languages),
        subtitles_digest="d" if languages else "", live_since_ms=live[0], keep_seconds=live[1],
    )  # fmt: skip
    assert VideoRecord.of_text(id, stored.text(), "e" * 64) == stored


def test_a_plain_record_is_short() -> None:
    text = record(title="film").text()
    assert text.startswith('[7,0,"film.mp4","')
    assert len(text) < 110
    assert not record().is_live
