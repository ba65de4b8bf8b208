"""Labels by any classifier with a card: here one that knows red, green and blue."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.bundles import CARD_FILE, MODEL_FILE, load_bundle
from pipeline.encoder import whole_picture
from pipeline.errors import BundleError
from pipeline.frames import Frame
from pipeline.messages import JPEG, QUERY, FrameMessage, Place
from pipeline.recogniser import RECOGNISER, Recogniser, default_recogniser
from pipeline.settings import settings
from pipeline.stages.recognise import Recognise
from pipeline.stages.work import CameraFrame, SourceMemory


def colour_bundle(folder: Path, **changes: object) -> Path:
    """The probability of a colour is its share of the light."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("ReduceSum", ["mean", "last"], ["sum"], keepdims=1),
        helper.make_node("Div", ["mean", "sum"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    folder.mkdir(exist_ok=True)
    (folder / MODEL_FILE).write_bytes(data)
    card = {
        "format": 1, "kind": RECOGNISER, "name": "colours", "sha256": hashlib.sha256(data).hexdigest(), "inputs": {},
        "outputs": {}, "licence": "Apache-2.0", "labels": ["red", "green", "blue"], "size": [8, 16], **changes,
    }  # fmt: skip
    (folder / CARD_FILE).write_text(json.dumps(card))
    return folder


def coloured(*light: int, size: tuple[int, int] = (60, 100)) -> np.ndarray:
    return np.full((*size, 3), light, np.uint8)


@pytest.fixture
def recogniser(tmp_path: Path) -> Recogniser:
    return Recogniser(load_bundle(colour_bundle(tmp_path / "b"), RECOGNISER))


def test_the_likeliest_labels_of_each_picture(recogniser: Recogniser) -> None:
    images = [coloured(240, 10, 10), coloured(0, 100, 90, size=(33, 44))]
    red, mixed = recogniser.recognise(images, [whole_picture(image) for image in images])
    assert [label for label, _ in red] == ["red"]
    assert [label for label, _ in mixed] == ["green", "blue"]
    assert mixed[0][1] == pytest.approx(100 / 190, abs=0.01)
    assert recogniser.recognise([], []) == []


def test_only_the_screen_is_looked_at(recogniser: Recogniser) -> None:
    image = coloured(255, 0, 0)
    image[20:40, 30:70] = (0, 0, 255)
    screen = np.array([[30, 20], [70, 20], [70, 40], [30, 40]], np.float32)
    ((label, probability), *_) = recogniser.recognise([image], [screen])[0]
    assert label == "blue"
    assert probability == pytest.approx(1.0, abs=0.1)


def test_the_stage_labels_a_source_once_a_second(recogniser: Recogniser) -> None:
    stage, memory, other = Recognise(recogniser), SourceMemory(), SourceMemory()
    frames = []
    for k in range(25):
        message = FrameMessage("c", 10**18 + k * 100_000_000, k, JPEG, QUERY, "", b"", Place("t", 0, k))
        frames.append(CameraFrame(message, memory, Frame(coloured(0, 200, 0), 0.0)))
    code = CameraFrame(frames[0].message, other)  # came as a code, without a picture
    stage.work([*frames[:12], code])
    stage.work(frames[12:])
    assert [k for k, one in enumerate(frames) if one.labels is not None] == [0, 10, 20]
    assert frames[0].labels and frames[0].labels[0][0] == "green"
    assert code.labels is None


@pytest.mark.parametrize("changes", [{"labels": []}, {"labels": None}, {"size": [8]}, {"size": None}])
def test_a_card_without_labels_or_size_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="labels"):
        Recogniser(load_bundle(colour_bundle(tmp_path / "b", **changes), RECOGNISER))


def test_a_label_is_told_from_its_threshold_on(tmp_path: Path) -> None:
    card = {"thresholds": {"green": 0.6}, "threshold": 0.1, "parents": {"green": "blue"}}
    knows = Recogniser(load_bundle(colour_bundle(tmp_path / "b", **card), RECOGNISER))
    image = coloured(120, 500 // 4, 5)  # 0.48, 0.5 and 0.02 of the light
    assert [label for label, _ in knows.recognise([image], [whole_picture(image)])[0]] == ["red"]
    assert [label for label, _ in knows.recognise([image], [whole_picture(image)], share=0.8)[0]] == ["green", "red"]
    assert [label for label, _ in knows.recognise([image], [whole_picture(image)], share=0.1, most=1)[0]] == ["green"]
    assert knows.parents == {"green": "blue"}
    assert (knows.threshold("green"), knows.threshold("red")) == (0.6, 0.1)


def test_none_of_these_is_never_told(tmp_path: Path) -> None:
    knows = Recogniser(load_bundle(colour_bundle(tmp_path / "b", none="red"), RECOGNISER))
    image = coloured(200, 0, 100)
    assert [label for label, _ in knows.recognise([image], [whole_picture(image)])[0]] == ["blue"]


@pytest.mark.parametrize(
    "changes",
    [
        {"thresholds": {"pink": 0.5}}, {"thresholds": [0.5]}, {"thresholds": {"red": "high"}}, {"threshold": 2},
        {"parents": {"pink": "red"}},
    ],
)  # fmt: skip
def test_a_card_that_speaks_of_other_labels_or_numbers_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"threshold|parents"):
        Recogniser(load_bundle(colour_bundle(tmp_path / "b", **changes), RECOGNISER))


def test_a_large_picture_is_made_small_without_skipping_pixels(recogniser: Recogniser) -> None:
    stripes = np.zeros((640, 1280, 3), np.uint8)
    stripes[:, ::4] = (255, 0, 0)  # one column of four: 80 columns are made one
    stripes[:, 1::4] = stripes[:, 2::4] = stripes[:, 3::4] = (0, 0, 255)
    (labels,) = recogniser.recognise([stripes], [whole_picture(stripes)])
    assert dict(labels)["red"] == pytest.approx(0.25, abs=0.02)


def test_the_settings_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(setting: str | None) -> Recogniser | None:
        if setting is not None:
            monkeypatch.setenv("VNOME_RECOGNISER", setting)
        settings.cache_clear()
        default_recogniser.cache_clear()
        return default_recogniser()

    shipped = chosen(None)
    assert shipped is not None
    assert "dog" in shipped.labels
    assert shipped.parents["dog"] == "animal"
    named = chosen(str(colour_bundle(tmp_path / "b")))
    assert named is not None
    assert named.labels == ["red", "green", "blue"]
    assert chosen("none") is None
    default_recogniser.cache_clear()


def test_the_shipped_one_says_nothing_of_what_shows_nothing() -> None:
    default_recogniser.cache_clear()
    shipped = default_recogniser()
    assert shipped is not None
    flat = [coloured(0, 0, 0), coloured(255, 255, 255)]
    assert shipped.recognise(flat, [whole_picture(image) for image in flat]) == [[], []]
