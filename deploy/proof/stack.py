"""The compose stack under proof: a project of its own, ports that are free, passwords made for it."""

import base64
import json
import os
import shutil
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from proof.engine import ROOT, Engine, run

T = TypeVar("T")
INSIDE = Path(__file__).parent / "inside"
FILMS = "/opt/vnome/share/films"
NOT_OURS = ("kafka", "redis", "prometheus", "grafana")  # beginnings of the names of services
HEAL_SECONDS = 120.0


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(what: str, look: Callable[[], T | None], seconds: float = HEAL_SECONDS, every: float = 0.5) -> T:
    """The first answer of `look` that is not None or False. Raises RuntimeError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


class Stack:
    """A stack that is up for the block; nothing of it is left after."""

    def __init__(self, engine: Engine, files: Sequence[str], profiles: Sequence[str]) -> None:
        self.engine = engine
        self.project = f"vnome-proof-{os.getpid()}-{len(files)}"
        self.port = free_port()
        self._files = [option for name in files for option in ("-f", str(ROOT / "deploy" / name))]
        self._profiles = [option for name in profiles for option in ("--profile", name)]
        self._folder = Path(tempfile.mkdtemp(prefix="vn-proof-"))
        self.key = ""
        self.environment = {
            "VNOME_SECRETS": str(self._folder / "secrets"),
            "VNOME_PORT": str(self.port),
            "GRAFANA_PORT": str(free_port()),
        }

    def __enter__(self) -> "Stack":
        run([ROOT / "deploy" / "new-secrets", self._folder / "secrets"])
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        shutil.rmtree(self._folder)

    def down(self) -> None:
        """Takes it down, with its volumes and what was run beside it."""
        left = self.engine("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        if left:
            self.engine("rm", "-f", "-v", *left)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def left(self) -> list[str]:
        """What the engine still has of it: containers, volumes, networks."""
        own = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "-a"), ("volume", "ls"), ("network", "ls"))
        return [line for kind in kinds for line in self.engine(*kind, "-q", "--filter", own).split()]

    def compose(self, *arguments: str, text: str | None = None, check: bool = True, **environment: str) -> str:
        """What `docker compose ARGUMENTS` printed."""
        command = [*self.engine.compose, "-p", self.project, *self._files, *self._profiles, *arguments]
        done = run(command, text, check, variables={**self.environment, **environment})
        return done.stdout if done.stdout.strip() or check else done.stderr

    def up(self, *services: str) -> None:
        """Starts services, as far as they are not running, and waits until they are healthy."""
        self.compose("up", "--detach", "--no-build", *services)
        for service in services:
            for name in self.containers(service):
                wait_for(f"{name} to be healthy", partial(self.is_well, name))

    def services(self) -> list[str]:
        """The names of all services of these profiles."""
        return self.compose("config", "--services").split()

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, running or not, without those of `start_inside`."""
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [
            part for name, value in labels.items() for part in ("--filter", f"label=com.docker.compose.{name}={value}")
        ]
        return self.engine("ps", "--all", "--quiet", *filters).split()

    def state(self, container: str) -> dict[str, Any]:
        """As the engine tells it."""
        return dict(self.engine.inspect(container)[0]["State"])

    def is_well(self, container: str) -> bool:
        """Running and healthy, or done as it should. Raises RuntimeError for one that ended in failure for good."""
        state = self.state(container)
        if state["Status"] == "exited":
            if state["ExitCode"] == 0:
                return True
            raise RuntimeError(f"{container[:12]}: {self.engine('logs', '--tail', '3', container)}")
        health = state.get("Health", {}).get("Status", "healthy")
        return bool(state["Status"] == "running" and health == "healthy")

    def crash(self, container: str) -> float:
        """Kills its first process as a crash would; seconds until it is well again.

        Not `docker kill`, after which the engine takes a container for stopped on purpose and lets it lie.
        """
        before = self.state(container)
        began = time.monotonic()
        os.kill(before["Pid"], signal.SIGKILL)

        def healed() -> bool:
            return self.state(container)["StartedAt"] != before["StartedAt"] and self.is_well(container)

        wait_for(f"{container[:12]} to heal", healed)
        return time.monotonic() - began

    def vnome(self, *arguments: str, service: str = "gateway") -> str:
        """What `vnome ARGUMENTS` printed, run where the gateway runs."""
        return self.compose("exec", "-T", service, "vnome", *arguments).strip()

    def python(self, text: str, service: str = "gateway") -> str:
        """What a program printed that ran in a container."""
        return self.compose("exec", "-T", service, "python", "-", text=text).strip()

    def film(self, name: str) -> bytes:
        """One of the sample films of the image."""
        script = f"import base64;print(base64.b64encode(open('{FILMS}/{name}','rb').read()).decode())"
        return base64.b64decode(self.python(script))

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """The gateway's answer, as a user of its key gets it from outside."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  the stack's own address
            return json.load(answer)

    def identify(self, film: bytes) -> list[dict[str, Any]]:
        """What the gateway says a clip shows."""
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="clip"; filename="clip.mp4"\r\n\r\n'
        body = head.encode() + film + f"\r\n--{edge}--\r\n".encode()
        return list(self.ask("/v1/identify", body, f"multipart/form-data; boundary={edge}")["matches"])

    def seen(self, camera: str, video: str, since: float) -> dict[str, Any] | None:
        """A sighting of the video on the camera that goes on after this moment; None while there is none."""
        try:
            found = self.ask(f"/v1/sightings?camera={camera}&video={video}&limit=1")["sightings"]
        except (OSError, urllib.error.URLError, ValueError):
            return None
        return found[0] if found and found[0]["end"] > since else None

    def prometheus(self, path: str) -> Any:
        """An answer of Prometheus, asked from within, as it is not to be seen from outside."""
        script = f"import urllib.request;print(urllib.request.urlopen('http://prometheus:9090{path}').read().decode())"
        return json.loads(self.python(script))["data"]

    def start_inside(self, name: str, program: str, *arguments: str) -> "Inside":
        """Runs a program of the folder `inside` in a container that has the camera's settings."""
        text = (INSIDE / program).read_text(encoding="utf-8")
        options = ["--detach", "--no-deps", "--name", f"{self.project}-{name}", "--entrypoint", "python"]
        self.compose("run", *options, "camera", "-c", text, *arguments)
        return Inside(self.engine, f"{self.project}-{name}")


class Inside:
    """A program that was started."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name

    def finish(self) -> dict[str, Any]:
        """Tells it to end; what it printed. Raises RuntimeError when it failed."""
        self._engine("kill", "--signal", "TERM", self._name)
        code = int(self._engine("wait", self._name))
        done = run([self._engine.docker, "logs", self._name])
        self._engine("rm", "-v", self._name)
        if code:
            raise RuntimeError(f"{self._name} failed ({code}): {done.stderr[-500:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))
