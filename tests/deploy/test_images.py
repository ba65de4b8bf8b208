"""The images, as far as no engine is needed: what goes into each, the Dockerfile by its linter, the build's context."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_spec = importlib.util.spec_from_file_location("requirements", ROOT / "deploy" / "requirements.py")
assert _spec is not None and _spec.loader is not None
wanted: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wanted)


def names(target: str) -> set[str]:
    return {wanted.name_of(line) for line in wanted.requirements(target, PROJECT)}


def test_each_image_has_one_onnx_runtime() -> None:
    runtimes = {"onnxruntime", "onnxruntime-gpu"}
    found = {target: names(target) & runtimes for target in ("cpu", "gpu", "edge")}
    assert found == {"cpu": {"onnxruntime"}, "gpu": {"onnxruntime-gpu"}, "edge": {"onnxruntime"}}


def test_no_image_has_what_trains() -> None:
    for target in ("cpu", "gpu", "edge"):
        assert not names(target) & {"torch", "onnx", "scipy", "scikit-video", "pytest"}


def test_the_cpu_image_has_all_that_the_project_asks_for() -> None:
    asked = {wanted.name_of(line) for line in PROJECT["dependencies"]}
    assert asked - names("cpu") == {"scikit-video"}
    assert names("edge") < names("cpu")


def test_what_is_left_out_at_the_edge_is_there_to_be_left_out() -> None:
    assert wanted.NOT_AT_THE_EDGE < {wanted.name_of(line) for line in PROJECT["dependencies"]}


def test_markers_and_versions_are_no_part_of_a_name() -> None:
    assert wanted.name_of("uvloop>=0.21; sys_platform != 'win32'") == "uvloop"
    assert wanted.name_of("onnxruntime-gpu[cuda,cudnn]>=1.31") == "onnxruntime-gpu"
    with pytest.raises(SystemExit, match="no target 'tpu'"):
        wanted.requirements("tpu", PROJECT)


def test_the_agent_runs_without_what_the_edge_image_lacks() -> None:
    modules = {"python-multipart": "multipart"}
    blocked = [modules.get(name, name) for name in sorted(wanted.NOT_AT_THE_EDGE)]
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import edge.ingest, pipeline.cli, pipeline.commands.health\n"
        "edge.ingest._models()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-500:]


def test_hadolint_finds_nothing() -> None:
    tool = Path(sys.executable).with_name("hadolint")
    files = [DOCKERFILE, *(ROOT / "deploy" / "proof" / "stand_ins").glob("*.Dockerfile")]
    done = subprocess.run(
        [str(tool), "--config", str(ROOT / "deploy" / ".hadolint.yaml"), *map(str, files)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_what_the_dockerfile_copies_is_in_the_context() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.startswith("COPY ") and "--from" not in line]
    assert lines
    for line in lines:
        for source in line.split()[1:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == entry or source.startswith(entry + "/") for entry in allowed), source


def test_everything_runs_as_nobody() -> None:
    text = DOCKERFILE.read_text()
    stages = text.split("\nFROM ")
    final = [stage for stage in stages if stage.splitlines()[0].endswith((" AS cpu", " AS gpu", " AS edge"))]
    assert len(final) == 3
    for stage in final:
        assert "\nUSER 65532:65532\n" in stage
        assert "org.opencontainers.image.revision" in stage
