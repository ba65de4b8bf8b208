"""Subtitle files as people have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.subtitles import Cue, as_webvtt, check_language, read_cues


def test_webvtt_with_all_that_it_may_have() -> None:
    text = """\ufeffWEBVTT - a title
X-TIMESTAMP-MAP=LOCAL:00:00:00.000

STYLE
::cue { color: red }

NOTE 00:00:01.000 --> 00:00:09.000
not a cue

intro
00:01.500 --> 00:03.250 line:0 position:20% align:start
<v Ann>Hello <b>you</b> &amp; me
  second line

01:00:00.000 --> 01:00:01.000
An hour in
"""
    assert read_cues(text) == [
        Cue(1.5, 3.25, "Hello you & me\nsecond line"),
        Cue(3600.0, 3601.0, "An hour in"),
    ]


def test_srt_from_windows_with_styles_and_without_blank_lines() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,5\n{\\an8}<i>One</i>\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n3 men\n"
    assert read_cues(text.replace("\n", "\r\n")) == [Cue(1.0, 2.5, "One"), Cue(3.0, 4.0, "Two\n3 men")]


def test_cues_are_in_order_and_those_without_text_or_length_are_left_out() -> None:
    text = "00:05.000 --> 00:06.000\nb\n\n00:01.000 --> 00:02.000\na\n\n00:03.000 --> 00:03.000\nx\n\n"
    text += "00:07.000 --> 00:08.000\n"
    assert [cue.text for cue in read_cues(text)] == ["a", "b"]


@pytest.mark.parametrize("text", ["", "hello", "00:01 -> 00:02\nx", "WEBVTT"])
def test_what_is_no_subtitle_file(text: str) -> None:
    with pytest.raises(InputError, match="neither WebVTT nor SRT"):
        read_cues(text)


def test_a_file_without_end() -> None:
    with pytest.raises(InputError, match="2 MB"):
        read_cues("00:01.000 --> 00:02.000\n" + "x" * (3 << 20))


@pytest.mark.parametrize(
    ("language", "good"),
    [("en", True), ("pt-BR", True), ("zh-Hant-TW", True), ("", False), ("e n", False), ("../x", False)],
)
def test_languages(language: str, good: bool) -> None:
    if good:
        assert check_language(language) == language
    else:
        with pytest.raises(InputError, match="pt-BR"):
            check_language(language)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
    lambda t: "-->" not in t
)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**5), TEXT), max_size=8))
def test_what_is_written_reads_the_same(parts: list[tuple[int, int, str]]) -> None:
    cues = [Cue(ms / 1000, (ms + length) / 1000, text) for ms, length, text in parts]
    ordered = sorted(cues, key=lambda cue: (cue.start, cue.end))
    if cues:
        assert read_cues(as_webvtt(ordered)) == ordered


@given(st.text(max_size=300))
def test_any_text_is_cues_or_an_error(text: str) -> None:
    try:
        read_cues(text)
    except InputError:
        return
