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


def test_the_settings_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default_recogniser.cache_clear()
    assert default_recogniser() is None
    monkeypatch.setenv("VNOME_RECOGNISER", str(colour_bundle(tmp_path / "b")))
    settings.cache_clear()
    default_recogniser.cache_clear()
    named = default_recogniser()
    assert named is not None
    assert named.labels == ["red", "green", "blue"]
    default_recogniser.cache_clear()
