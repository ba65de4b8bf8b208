"""The pages' sources: types are right, and what is installed for them comes from the registry that the user has set."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.bundles import shipped_bundle
from pipeline.gateway.pages import built_pages
from tests.conftest import skip_or_fail

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "edge" / "phone"
LIMIT_SECONDS = 180


def test_types_are_right() -> None:
    npm = shutil.which("npm")
    if npm is None:
        skip_or_fail("browser", "no npm on this machine")
    if not (FOLDER / "node_modules" / "typescript").is_dir():
        skip_or_fail("browser", "what the pages are made with is not installed: make web")
    checked = subprocess.run(
        [npm, "run", "--silent", "check"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_lock_file_names_no_address() -> None:
    text = (FOLDER / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert len(packages) > 1
    assert all("integrity" in package for name, package in packages.items() if name)


def test_what_a_phone_downloads_is_at_most_nine_megabytes() -> None:
    pages = built_pages()
    assert pages is not None
    shell = [path for path in pages.rglob("*") if path.is_file() and "studio" not in path.name]
    models = [shipped_bundle(kind).model_path for kind in ("encoder", "detector")]
    compressed = sum(len(gzip.compress(path.read_bytes())) for path in [*shell, *models])
    print(f"page, runtime and models: {compressed / 1e6:.2f} MB compressed")
    assert compressed <= 9e6
