"""Sessions of ONNX Runtime, and what is said when a bundle does not fit."""

import os
from pathlib import Path

import onnxruntime
import pytest

from pipeline import inference
from pipeline.bundles import load_bundle, shipped_bundle
from pipeline.detector import DETECTOR
from pipeline.encoder import ENCODER
from pipeline.errors import BundleError, InputError
from pipeline.inference import CPU_PROVIDER, cpu_workers, multiplies_bytes, open_session, providers, usable_cpus
from pipeline.settings import settings
from tests.bundle_samples import put_model

INPUTS = {"frames": "tensor(uint8)", "corners": "tensor(float)"}
OUTPUTS = {"codes": "tensor(uint32)", "margins": "tensor(float)"}


def test_session_of_a_bundle_with_the_right_signature() -> None:
    session = open_session(shipped_bundle(ENCODER), 1, INPUTS, OUTPUTS)
    assert [entry.name for entry in session.get_inputs()] == list(INPUTS)
    assert session.get_session_options().intra_op_num_threads == 1


@pytest.mark.parametrize(
    ("inputs", "outputs", "noun"),
    [
        ({**INPUTS, "frames": "tensor(float)"}, OUTPUTS, "inputs"),
        ({"frames": "tensor(uint8)"}, OUTPUTS, "inputs"),
        ({**INPUTS, "scale": "tensor(float)"}, OUTPUTS, "inputs"),
        (INPUTS, {"codes": "tensor(uint32)"}, "outputs"),
        (INPUTS, {**OUTPUTS, "codes": "tensor(int64)"}, "outputs"),
    ],
)
def test_another_signature_is_one_line_that_names_what_was_found(
    inputs: dict[str, str], outputs: dict[str, str], noun: str
) -> None:
    with pytest.raises(BundleError, match=f"{noun} .* are not those of a bundle of kind 'encoder'") as raised:
        open_session(shipped_bundle(ENCODER), 1, inputs, outputs)
    found = INPUTS if noun == "inputs" else OUTPUTS
    assert str(found) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_damaged_model_is_one_line(tmp_path: Path, cut: int) -> None:
    put_model(tmp_path, shipped_bundle(ENCODER).model_path.read_bytes()[:cut])
    with pytest.raises(BundleError, match=r"ONNX Runtime cannot load it|are not those of a bundle") as raised:
        open_session(load_bundle(tmp_path, ENCODER), 1, INPUTS, OUTPUTS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "faster"),
    [
        ("flags : fpu avx2 avx512f avx512_vnni\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("Features : fp asimd asimddp\n", True),
        ("flags : fpu avx2 avx512f my_avx512_vnni_not\n", False),
    ],
)
def test_processors_that_multiply_bytes_say_so(tmp_path: Path, text: str, faster: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert multiplies_bytes(tmp_path / "cpuinfo") is faster
    assert multiplies_bytes(tmp_path / "none") is False


@pytest.mark.parametrize(
    ("choice", "byte_units", "int8"),
    [("on", False, True), ("off", True, False), ("auto", True, True), ("auto", False, False)],
)
def test_which_variant_of_a_bundle_runs(
    monkeypatch: pytest.MonkeyPatch, choice: str, byte_units: bool, int8: bool
) -> None:
    monkeypatch.setenv("VNOME_INT8", choice)
    settings.cache_clear()
    monkeypatch.setattr(inference, "multiplies_bytes", lambda: byte_units)
    monkeypatch.setattr(inference, "providers", lambda: [CPU_PROVIDER])
    bundle = shipped_bundle(DETECTOR)
    assert inference._model_of(bundle, None) == (bundle.int8_path if int8 else bundle.model_path)
    assert inference._model_of(shipped_bundle(ENCODER), None) == shipped_bundle(ENCODER).model_path  # it has none
    monkeypatch.setattr(inference, "providers", lambda: ["CUDAExecutionProvider", CPU_PROVIDER])
    assert inference._model_of(bundle, None) == bundle.model_path


def test_another_choice_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNOME_INT8", "perhaps")
    settings.cache_clear()
    with pytest.raises(InputError, match="VNOME_INT8=perhaps is no choice; give auto, on or off"):
        open_session(shipped_bundle(ENCODER), 1, INPUTS, OUTPUTS)


def test_the_processor_is_always_there_and_comes_last() -> None:
    assert providers()[-1] == CPU_PROVIDER
    assert set(providers()) <= set(onnxruntime.get_available_providers())


def test_only_a_processor_shares_a_batch_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU_PROVIDER])
    assert (cpu_workers(3), cpu_workers(1)) == (3, 1)
    assert cpu_workers(None) >= 1
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU_PROVIDER])
    assert cpu_workers(3) == 1


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000\n", None), ("150000 100000\n", 2), ("10000 100000\n", 1), ("?", None)]
)
def test_a_container_that_may_use_less_runs_fewer_threads(
    quota: str, cpus: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cpus(tmp_path / "cpu.max") == (cpus or 64)
    assert usable_cpus(tmp_path / "none") == 64


def test_the_number_of_threads_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU_PROVIDER])
    monkeypatch.setenv("VNOME_THREADS", "3")
    assert cpu_workers(None) == 3
    assert cpu_workers(5) == 5
    settings.cache_clear()
    monkeypatch.setenv("VNOME_THREADS", "-1")
    with pytest.raises(InputError, match="VNOME_THREADS=-1 is no number"):
        cpu_workers(None)
