from pathlib import Path

import cv2
import numpy as np
import pytest

from export.membranes import Membranes, load_membranes
from pipeline.errors import InputError
from tests.membrane_samples import write_stack

ISBI = Path(__file__).parents[3] / "shared" / "data" / "classify" / "isbi2012"


def write(folder: Path, slices: int = 12) -> None:
    """Slice k is grey value k, with a membrane down column k."""
    pictures = np.zeros((slices, 16, 20), np.uint8) + np.arange(slices, dtype=np.uint8)[:, None, None]
    membrane = np.repeat((np.arange(slices)[:, None] == np.arange(20))[:, None], 16, axis=1)
    write_stack(Membranes(pictures, membrane), folder)


def test_slices_come_in_the_order_of_the_stack(tmp_path: Path) -> None:
    write(tmp_path)
    stack = load_membranes(tmp_path)
    assert stack.pictures.shape == (12, 16, 20)
    assert stack.pictures[:, 0, 0].tolist() == list(range(12))  # 10 after 9, not after 1
    assert [row.nonzero()[0].tolist() for row in stack.membrane[:, 0]] == [[number] for number in range(12)]


def test_the_last_slices_are_held_out(tmp_path: Path) -> None:
    write(tmp_path)
    training, unseen = load_membranes(tmp_path).split(5)
    assert training.pictures[:, 0, 0].tolist() == list(range(7))
    assert unseen.pictures[:, 0, 0].tolist() == list(range(7, 12))
    assert unseen.membrane[0, 0].nonzero()[0].tolist() == [7]
    for held_out in (0, 12, 13):
        with pytest.raises(InputError, match="12 slices cannot spare"):
            load_membranes(tmp_path).split(held_out)


def test_exception_for_a_folder_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no slices 0.png, 1.png, ... in .*train_image"):
        load_membranes(tmp_path)
    write(tmp_path, 2)
    (tmp_path / "train_label" / "1.png").unlink()
    with pytest.raises(InputError, match="hold different files"):
        load_membranes(tmp_path)
    (tmp_path / "train_label" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1.png is not a picture"):
        load_membranes(tmp_path)
    cv2.imwrite(str(tmp_path / "train_label" / "1.png"), np.zeros((16, 21), np.uint8))
    with pytest.raises(InputError, match=r"1.png is not as large"):
        load_membranes(tmp_path)
    cv2.imwrite(str(tmp_path / "train_label" / "1.png"), np.full((16, 20), 9, np.uint8))
    with pytest.raises(InputError, match=r"1.png is not black and white"):
        load_membranes(tmp_path)


def test_exception_for_marks_of_another_size() -> None:
    with pytest.raises(ValueError, match="one mark a pixel"):
        Membranes(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3, 4), bool))


@pytest.mark.skipif(not ISBI.is_dir(), reason="the slices of ISBI 2012 are not on this machine: see export/README.md")
def test_the_challenges_own_stack() -> None:
    training, unseen = load_membranes(ISBI).split()
    assert training.pictures.shape == (24, 512, 512)
    assert unseen.pictures.shape == (6, 512, 512)
    for part in (training, unseen):
        assert 0.15 < part.membrane.mean() < 0.3
        inside = part.pictures[~part.membrane].mean()
        assert part.pictures[part.membrane].mean() < inside - 20  # membranes are darker than cells
