from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.console import complain, in_words, print_json, progress_bar, timecode
from pipeline.drawing import OUTLINE, SeenFrame, outline_screen, save_picture, sheet
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00.00"), (59.996, "0:01:00.00"), (3725.5, "1:02:05.50"), (-1.25, "-0:00:01.25"), (-0.001, "0:00:00.00")],
)
def test_timecode_rounds_to_hundredths_and_carries(seconds: float, text: str) -> None:
    assert timecode(seconds) == text


def test_json_is_one_line_and_complaints_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"title": "Così fan tutte\nII"})
    complain("that does not work")
    printed = capsys.readouterr()
    assert printed.out == '{"title": "Così fan tutte\\nII"}\n'
    assert printed.err == "vnome: that does not work\n"


def test_progress_is_not_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("index", 10.0) as bar:
        bar.to(5.0)
    assert capsys.readouterr().err.strip() == ""


def seen(code: int) -> SeenFrame:
    screen = np.array([[10, 10], [90, 10], [90, 50], [10, 50]], np.float32)
    return SeenFrame(
        "a.png", 1.5, np.full((60, 100, 3), 128, np.uint8), screen, 0.9, code, np.full(32, 2.5, np.float32)
    )


def test_outline_is_drawn_on_a_copy() -> None:
    frame = seen(0)
    drawn = outline_screen(frame.image, frame.screen)
    assert (frame.image == 128).all()
    assert tuple(drawn[10, 50]) == OUTLINE
    assert (outline_screen(frame.image, None) == frame.image).all()


def test_sheet_has_three_columns_and_no_frame_is_lost() -> None:
    tile = sheet([seen(1)])
    assert tile.shape == (288 + 56, 480, 3)
    assert sheet([seen(1)] * 4).shape == (2 * tile.shape[0], 3 * 480, 3)
    ones, zeros = (sheet([seen(code)])[288:].astype(int) for code in (2**32 - 1, 0))
    assert ones[..., 0].sum() > zeros[..., 0].sum()  # set bits are drawn in orange
    assert zeros[..., 2].sum() > ones[..., 2].sum()


def test_labels_are_written_on_the_picture_in_letters_that_can_be_read() -> None:
    plain, labelled = sheet([seen(1)]), sheet([replace(seen(1), labels=[("Bär", 0.9), ("grass", 0.5)])])
    band = np.any(plain != labelled, axis=(1, 2))
    assert np.flatnonzero(band).min() == 288 - 22 and np.flatnonzero(band).max() == 287  # its last lines
    written = labelled[288 - 22 : 288]
    assert written.max() > 200 and written.min() < 50


def test_what_is_shown_in_words() -> None:
    assert in_words([("dog", 0.9), ("grass", 0.614)]) == "  dog 0.90, grass 0.61"
    assert in_words([]) == ""


def test_pictures_are_written_by_their_ending(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200  # red
    save_picture(image, tmp_path / "a.png")
    read = cv2.imread(str(tmp_path / "a.png"))
    assert read is not None
    assert read[0, 0].tolist() == [0, 0, 200]  # OpenCV reads blue first
    with pytest.raises(InputError, match="give such a name"):
        save_picture(image, tmp_path / "a.txt")
    with pytest.raises(InputError, match="cannot be written"):
        save_picture(image, tmp_path / "missing" / "a.png")
