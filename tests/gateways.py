"""The gateway as its users run it: a process of `vnome serve` with a data folder of its own."""

import json
import os
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import COMMAND, run_alone
from tests.ports import free_port

START_SECONDS = 60.0
_UNCHECKED = ssl.create_default_context()  # only for whether it answers; who it is, is the tests' business
_UNCHECKED.check_hostname, _UNCHECKED.verify_mode = False, ssl.CERT_NONE


@dataclass
class RunningGateway:
    """A gateway that was started. home: its data folder. log: what it said."""

    port: int
    home: Path
    log: Path
    arguments: tuple[str, ...]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """http://HOST:PORT, or https where it has a certificate."""
        return f"{'https' if '--tls-cert' in self.arguments else 'http'}://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """ws://HOST:PORT."""
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "VNOME_HOME": str(self.home), "VNOME_LOG": "json", **self.environment},
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the gateway does not start"
            time.sleep(0.1)

    def stop(self) -> int:
        """Asks it to stop and returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """Pulls the plug."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def vnome(self, *arguments: str | Path) -> Any:
        """Runs a command on the same catalogue, and returns its JSON document."""
        ran = run_alone(*arguments, "--json", VNOME_HOME=str(self.home), **self.environment)  # type: ignore[arg-type]
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    def rss_mb(self) -> float:
        """Resident memory of the process, MB."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2, context=_UNCHECKED) as answer:  # noqa: S310  our own address
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def running_gateway(*arguments: str, **environment: str) -> Iterator[RunningGateway]:
    """A gateway with an empty catalogue."""
    with tempfile.TemporaryDirectory(prefix="vn-gw-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "h"
        home.mkdir()
        gateway = RunningGateway(free_port(), home, Path(folder) / "log", arguments, environment)
        gateway.start()
        try:
            yield gateway
        finally:
            if gateway.process is not None and gateway.process.poll() is None:
                gateway.kill()
