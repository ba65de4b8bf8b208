"""A server for a benchmark: private, in memory alone."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.embedded import Answer, ask, server_binary

START_SECONDS = 10.0


@contextmanager
def memory_server() -> Iterator[str]:
    """URL of an empty server on a Unix socket, which keeps no file."""
    folder = Path(tempfile.mkdtemp(prefix="vn-bench-", dir="/tmp"))
    path = folder / "s.sock"
    command = [server_binary(), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + START_SECONDS
            while ask(path) is not Answer.READY:
                if time.monotonic() > deadline:
                    raise TimeoutError("the server does not start")
                time.sleep(0.01)
            yield f"unix://{path}"
        finally:
            server.kill()
    shutil.rmtree(folder, ignore_errors=True)
