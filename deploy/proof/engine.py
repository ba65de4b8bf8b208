"""The docker engine and its tools: found, or made where this machine lets us."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vnome" / "deploy-test"
COMPOSE_MODULE = "github.com/docker/compose/v2@v2.40.3"  # the newest that speaks to Debian's engine, 20.10
START_SECONDS = 60.0


class MissingError(Exception):
    """Something that the proof needs cannot be had here; one line says what and why."""


def say(text: str) -> None:
    """A line of progress, on stderr."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    text: str | None = None,
    check: bool = True,
    seconds: float = 900,
    variables: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program. Raises RuntimeError with its last words when it fails and `check` is set."""
    done = subprocess.run(
        list(map(str, command)), input=text, capture_output=True, text=True, check=False, timeout=seconds,
        env={**os.environ, **(variables or {})},
    )  # fmt: skip
    if check and done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-8:]
        raise RuntimeError(f"{' '.join(map(str, command))[:200]} failed ({done.returncode}): " + " / ".join(words))
    return done


class Engine:
    """A running docker engine. Stopped at the end if it was started here."""

    def __init__(self) -> None:
        self._started: subprocess.Popen[bytes] | None = None
        self.docker = ""
        self.compose: list[str] = []

    def __enter__(self) -> "Engine":
        self._ensure()
        self.docker = self._builder()
        self.compose = self._find_compose()
        return self

    def __exit__(self, *_: object) -> None:
        if self._started is not None:
            say("stopping the engine that was started here")
            self._started.terminate()
            self._started.wait(60)

    def __call__(self, *arguments: str | Path, text: str | None = None, check: bool = True) -> str:
        """What `docker ARGUMENTS` printed."""
        return run([self.docker, *arguments], text, check).stdout.strip()

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """Of containers or images."""
        return list(json.loads(self("inspect", *names))) if names else []

    def has(self, image: str) -> bool:
        """Whether the engine has the image."""
        return run([self.docker, "image", "inspect", image], check=False).returncode == 0

    def pull(self, image: str) -> bool:
        """Whether the image could be fetched."""
        return run([self.docker, "pull", "--quiet", image], check=False).returncode == 0

    def build(self, image: str, context: str | Path, *options: str, text: str | None = None) -> None:
        """Builds with BuildKit, at low priority; the image that had the name goes."""
        before = run([self.docker, "image", "inspect", "--format", "{{.Id}}", image], check=False).stdout.strip()
        command = ["nice", "-n", "10", self.docker, "build", "--quiet", "--network=host", "-t", image, *options]
        built = run([*command, context], text, seconds=3600, variables={"DOCKER_BUILDKIT": "1"}).stdout.strip()
        if before not in ("", built):
            run([self.docker, "image", "rm", before], check=False)

    def _ensure(self) -> None:
        if self._answers():
            return
        if shutil.which("dockerd") is None:
            install("docker.io")
        if os.getuid() or shutil.which("dockerd") is None:
            raise MissingError("no docker engine runs here, and none can be started without root and dockerd")
        say("starting a docker engine")
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "dockerd.log").open("ab") as log:
            self._started = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._started.poll() is not None or time.monotonic() > deadline:
                last = (CACHE / "dockerd.log").read_text(errors="replace").splitlines()[-1:]
                self._started.terminate()
                raise MissingError(f"no docker engine can start here: {' '.join(last)[:300]}")
            time.sleep(0.5)

    def _answers(self) -> bool:
        docker = shutil.which("docker")
        return docker is not None and run([docker, "info"], check=False, seconds=30).returncode == 0

    def _builder(self) -> str:
        """A docker command that builds with BuildKit: with buildx beside it, or so old that it needs none."""
        found = dict.fromkeys([shutil.which("docker") or "docker", "/usr/bin/docker"])
        for docker in found:
            if not Path(docker).exists():
                continue
            if run([docker, "buildx", "version"], check=False).returncode == 0:
                return docker
            version = run([docker, "version", "--format", "{{.Client.Version}}"], check=False).stdout
            if 18 < int(version.split(".")[0] or 0) < 23:
                return docker
        raise MissingError("docker has no buildx here; install it (docker-buildx-plugin)")

    def _find_compose(self) -> list[str]:
        if run([self.docker, "compose", "version"], check=False).returncode == 0:
            return [self.docker, "compose"]
        own = CACHE / "docker-compose"
        if not own.exists():
            build_compose(own)
        return [str(own)]


def install(*packages: str) -> None:
    """Debian packages, where this is Debian and we are root; else nothing."""
    if shutil.which("apt-get") is None or os.getuid():
        return
    say(f"installing {' '.join(packages)}")
    run(["apt-get", "update", "-qq"])
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        variables={"DEBIAN_FRONTEND": "noninteractive"},
    )


def build_compose(target: Path) -> None:
    """Docker Compose from its Go module. Raises MissingError without Go."""
    if shutil.which("go") is None:
        raise MissingError("docker has no compose here, and no Go to build it; install docker-compose-plugin")
    say(f"building {COMPOSE_MODULE}, which takes minutes")
    told = json.loads(run(["go", "mod", "download", "-json", COMPOSE_MODULE]).stdout)
    source = CACHE / "compose"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(told["Dir"], source, copy_function=shutil.copyfile)  # the module's own files cannot be written
    for folder in (source, *(path for path in source.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    version = COMPOSE_MODULE.rpartition("@")[2]
    flags = f"-s -w -X github.com/docker/compose/v2/internal.Version={version}"
    command = ["nice", "-n", "10", "go", "-C", str(source), "build", "-ldflags", flags, "-o", str(target), "./cmd"]
    run(command, seconds=3600)
    shutil.rmtree(source)
