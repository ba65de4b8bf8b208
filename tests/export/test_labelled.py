"""The public sets, read from their files, and what is said of files that are none."""

from pathlib import Path

import numpy as np
import pytest

from export.labelled import CIFAR10_FILE, MNIST_FILE, cifar10, mnist, tiny_imagenet
from pipeline.errors import InputError
from tests.labelled_samples import CIFAR_CLASSES, write_sets, write_zip


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sets(tmp_path_factory.mktemp("sets") / "classify")


def test_shapes_types_and_classes(sets: Path) -> None:
    digits, things, many = mnist(sets, "train"), cifar10(sets, "test"), tiny_imagenet(sets, "val")
    assert digits.pictures.shape == (200, 1, 28, 28)
    assert things.pictures.shape == (20, 3, 32, 32)
    assert many.pictures.shape == (400, 3, 64, 64)
    assert all(one.pictures.dtype == np.uint8 and one.classes.dtype == np.int64 for one in (digits, things, many))
    assert things.names == CIFAR_CLASSES
    assert np.array_equal(things.classes, np.repeat(np.arange(10), 2))
    assert len(many.names) == 200


def test_colours_are_red_green_blue(sets: Path) -> None:
    automobile = cifar10(sets, "train").pictures[2].mean(axis=(1, 2))
    assert automobile == pytest.approx([151, 91, 37], abs=4)  # written as blue 37, green 91, red 151


def test_some_are_taken(sets: Path) -> None:
    taken = cifar10(sets, "train").take(np.array([4, 0]))
    assert taken.classes.tolist() == [2, 0]
    assert len(taken) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no mnist.npz in .*--data"):
        mnist(tmp_path, "train")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no", b"\x93NUMPY"])
def test_a_damaged_file_is_one_line(tmp_path: Path, data: bytes) -> None:
    for name in (MNIST_FILE, CIFAR10_FILE):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="is not MNIST"):
        mnist(tmp_path, "train")
    with pytest.raises(InputError, match="is not a zip"):
        cifar10(tmp_path, "train")


def test_pictures_of_another_size_and_an_empty_zip_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / CIFAR10_FILE, ("a", "b"), ("train", "test"), 30, 1)
    with pytest.raises(InputError, match="30 x 30"):
        cifar10(tmp_path, "train")
    write_zip(tmp_path / CIFAR10_FILE, (), ("train", "test"), 32, 1)
    with pytest.raises(InputError, match="no picture in train"):
        cifar10(tmp_path, "train")
