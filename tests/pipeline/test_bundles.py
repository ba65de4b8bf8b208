from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.bundling import copy_bundle
from pipeline.bundles import CARD_FILE, INT8_FILE, MODEL_FILE, load_bundle, shipped_bundle
from pipeline.detector import DETECTOR
from pipeline.encoder import ENCODER, Encoder, batches_of_one_size, default_encoder, mirrored, whole_picture
from pipeline.errors import BundleError
from pipeline.frames import Frame
from tests.bundle_samples import copy_of_shipped, edit_card, put_model


def test_copied_bundle_is_the_shipped_one(tmp_path: Path) -> None:
    bundle = load_bundle(copy_of_shipped(tmp_path), ENCODER)
    assert bundle.sha256 == shipped_bundle(ENCODER).sha256
    assert "background" not in repr(bundle)  # the card is not printed


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (copy_of_shipped(tmp_path) / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(tmp_path, ENCODER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("sha256"), "lacks sha256"),
        (lambda card: card.update(format=99), "card format 99, this version reads 1"),
        (lambda card: card.update(kind="detector"), "'detector' bundle, not 'encoder'"),
        (lambda card: card.update(sha256="0" * 64), "does not have the sha256"),
    ],
)
def test_wrong_card_is_one_line(tmp_path: Path, change: Callable[[dict[str, object]], object], message: str) -> None:
    edit_card(copy_of_shipped(tmp_path), change)
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path, ENCODER)


def test_8_bit_variant_is_the_one_of_the_card(tmp_path: Path) -> None:
    assert load_bundle(copy_of_shipped(tmp_path), ENCODER).int8_path is None
    shipped = shipped_bundle(DETECTOR)
    assert shipped.int8_path == shipped.folder / INT8_FILE
    copy_bundle(shipped, tmp_path / "copy")
    copy = load_bundle(tmp_path / "copy", DETECTOR)
    assert copy.int8_path is not None
    for damage in (lambda path: path.write_bytes(b"x"), Path.unlink):
        damage(tmp_path / "copy" / INT8_FILE)
        with pytest.raises(BundleError, match=r"model\.int8\.onnx is not the one of its card"):
            _ = copy.int8_path


@pytest.mark.parametrize("text", ["{not json", "[]", "\xff"])
def test_damaged_card_is_one_line(tmp_path: Path, text: str) -> None:
    (copy_of_shipped(tmp_path) / CARD_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match="export the bundle again"):
        load_bundle(tmp_path, ENCODER)


def test_model_that_is_none(tmp_path: Path) -> None:
    put_model(tmp_path, b"this is not a model")
    with pytest.raises(BundleError, match="ONNX Runtime cannot load it"):
        Encoder(load_bundle(tmp_path, ENCODER))


@pytest.mark.parametrize("where", ["input", "output"])
def test_model_with_another_contract(tmp_path: Path, where: str) -> None:
    model = onnx.load(str(shipped_bundle(ENCODER).model_path))
    entries = model.graph.input if where == "input" else model.graph.output
    old = entries[0].name
    for node in model.graph.node:
        node.input[:] = ["other" if name == old else name for name in node.input]
        node.output[:] = ["other" if name == old else name for name in node.output]
    entries[0].name = "other"
    put_model(tmp_path, model.SerializeToString())
    with pytest.raises(BundleError, match=f"{where}s .* are not those of a bundle of kind 'encoder'"):
        Encoder(load_bundle(tmp_path, ENCODER))


def frames(count: int, height: int = 90, width: int = 160) -> list[Frame]:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 9, 16, 3), dtype=np.uint8)
    images = np.repeat(np.repeat(coarse, height // 9, 1), width // 16, 2)
    return [Frame(image, k / 10) for k, image in enumerate(images)]


def test_a_frame_has_the_same_code_in_any_batch() -> None:
    encoder, pictures = default_encoder(), frames(11)
    corners = [whole_picture(frame.image) for frame in pictures]
    together = encoder.encode_views(pictures, [corners])[0]
    for k, frame in enumerate(pictures):
        alone = encoder.encode_views([frame], [[corners[k]]])[0]
        sure = alone.margins[0] > 1e-3
        assert not ((int(alone.codes[0]) ^ int(together.codes[k])) >> np.flatnonzero(sure) & 1).any()
        np.testing.assert_allclose(alone.margins[0], together.margins[k], atol=1e-3)
    assert together.pts_seconds.tolist() == [frame.pts_seconds for frame in pictures]


def test_a_mirrored_view_of_a_mirrored_picture_is_the_picture() -> None:
    encoder, pictures = default_encoder(), frames(4)
    flipped = [Frame(np.ascontiguousarray(frame.image[:, ::-1]), frame.pts_seconds) for frame in pictures]
    plain = encoder.encode_views(pictures, [[whole_picture(frame.image) for frame in pictures]])[0]
    view = encoder.encode_views(flipped, [[mirrored(whole_picture(frame.image)) for frame in flipped]])[0]
    as_it_is = encoder.encode_views(flipped, [[whole_picture(frame.image) for frame in flipped]])[0]
    assert np.bitwise_count(plain.codes ^ view.codes).max() <= 1
    assert np.bitwise_count(plain.codes ^ as_it_is.codes).mean() > 4


def test_the_screen_in_a_larger_picture_has_the_code_of_the_film() -> None:
    encoder, (film,) = default_encoder(), frames(1, 180, 320)
    room = np.full((400, 700, 3), 90, np.uint8)
    room[100:280, 200:520] = film.image
    screen = np.array([[200, 100], [520, 100], [520, 280], [200, 280]], np.float32)
    plain, _ = encoder.encode_batch(film.image[None], whole_picture(film.image)[None])
    seen, _ = encoder.encode_batch(room[None], screen[None])
    assert int(plain[0] ^ seen[0]).bit_count() <= 1


def test_batches_hold_one_size_and_no_more_than_the_limit() -> None:
    small, large = frames(3), frames(2, 180, 320)
    sizes = [len(batch) for batch in batches_of_one_size([*small, *large, *small], 2)]
    assert sizes == [2, 1, 2, 2, 1]
    assert list(batches_of_one_size([], 2)) == []
