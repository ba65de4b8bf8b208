"""Messages of `vnome.frames`, and what is wrong with some."""

from typing import Any

import pytest

from pipeline.messages import (
    CODE,
    END,
    JPEG,
    MOST_BYTES,
    BadMessage,
    FrameMessage,
    Place,
    frame_headers,
    is_id,
    parse_message,
)

PLACE = Place("vnome.frames", 3, 77)


def parse(value: bytes | None = b"x", key: bytes | None = b"cam", **headers: str) -> FrameMessage:
    return parse_message(key, value, [(name, text.encode()) for name, text in headers.items()], 5, PLACE)


def test_what_is_sent_is_read() -> None:
    headers = frame_headers(123, 9, JPEG, "reference", "film")
    message = parse_message(b"cam", b"x", headers, 0, PLACE)
    assert message == FrameMessage("cam", 123, 9, JPEG, "reference", "film", b"x", PLACE)


def test_a_plain_picture_needs_no_headers() -> None:
    message = parse()
    assert (message.ts_ns, message.seq, message.type, message.role) == (5_000_000, 77, JPEG, "query")


def test_codes_name_their_readings() -> None:
    assert parse(bytes(36), type=CODE).views == (0,)
    assert parse(bytes(72), type=CODE, views="4,0").views == (4, 0)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("key", {"key": None}),
        ("key", {"key": b"a{b}"}),
        ("key", {"key": b"x" * 129}),
        ("key", {"key": b"\xff\xfe"}),
        ("schema", {"v": "2"}),
        ("header", {"ts": "soon"}),
        ("header", {"ts": "-4"}),
        ("header", {"seq": "9" * 20}),
        ("header", {"type": "image/png"}),
        ("header", {"role": "actor"}),
        ("header", {"role": "reference"}),
        ("header", {"video": "film"}),
        ("header", {"type": END}),
        ("header", {"type": CODE, "views": "8"}),
        ("header", {"type": CODE, "views": "1,1"}),
        ("header", {"type": CODE, "views": ""}),
        ("oversized", {"type": CODE, "value": bytes(5000)}),
        ("empty", {"value": b""}),
        ("empty", {"value": None}),
        ("oversized", {"value": bytes(MOST_BYTES + 1)}),
    ],
)
def test_each_fault_has_its_reason(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(**changes)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_an_end_needs_no_value() -> None:
    assert parse(None, type=END, role="reference", video="film").value == b""


@pytest.mark.parametrize(("text", "good"), [("lobby-1.a:b@c_d", True), ("", False), ("a b", False), ("a/b", False)])
def test_ids(text: str, good: bool) -> None:
    assert is_id(text) == good
