"""The wheel, away from the checkout and without the packages that only training and tests need."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge.demo import sample_films
from pipeline.gateway.pages import built_pages

ROOT = Path(__file__).parents[2]
NOT_NEEDED = ("torch", "onnx", "onnxscript", "pdqhash", "pytest")
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED!r}))"  # importing one of them fails


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (built,) = out.glob("vnome-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, to stand before the checkout on the path."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    return target


def vnome(installed: Path, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    code = f"{WITHOUT}; from pipeline.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(installed), "VNOME_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_wheel_holds_code_and_bundle_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"pipeline", "export", "edge"}
    assert "pipeline/bundled/encoder/model.onnx" in names
    assert "pipeline/bundled/encoder/card.json" in names
    assert "pipeline/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("node_modules" in name or name.endswith(".ts") for name in names)
    if built_pages() is not None:
        assert {"pipeline/bundled/pages/index.html", "pipeline/bundled/pages/studio.html"} <= set(names)
        assert any(name.startswith("pipeline/bundled/pages/assets/") and name.endswith(".wasm") for name in names)
    assert wheel.stat().st_size < 12 << 20  # of which 4 MB are the runtime of the phone


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("pipeline", "export", "edge"):
        modules = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert modules <= names


@pytest.mark.redis
def test_installed_wheel_indexes_and_matches_without_torch(installed: Path, home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import pipeline; print(pipeline.__file__)"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.startswith(str(installed))
    film = sample_films()[0]
    assert vnome(installed, home, "index", str(film)).returncode == 0
    ran = vnome(installed, home, "match", str(film), "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["matches"][0]["video"] == "bigbuckbunny"


def test_training_without_torch_says_what_to_install(installed: Path, home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    ran = vnome(installed, home, "train", "--films", "x", "--out", "y")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == 'vnome: this command needs torch; run pip install "vnome[train]"\n'
