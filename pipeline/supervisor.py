"""Runs the private server of a data folder while commands use it, and stops it afterwards.

    python supervisor.py FOLDER SOCKET BINARY IDLE_SECONDS      started by `pipeline.embedded`

It imports little and nothing of VNOME, so that it is up within a few milliseconds. Three locks in the folder say who
is there; the kernel releases each with its holder, even after kill -9:

    users.lock        shared, by every command that uses the server
    supervisor.lock   exclusive, by the supervisor
    server.lock       exclusive, by the server itself, which inherits it: two never write the same files

A supervisor that finds a server whose own supervisor was killed takes charge of it. When the folder is deleted, the
locks of the files that were in it still tell who is there, and the server is killed once nobody uses it.
"""

import fcntl
import os
import signal
import sys
import time

USERS_LOCK = "users.lock"
SUPERVISOR_LOCK = "supervisor.lock"
SERVER_LOCK = "server.lock"  # holds the server's process id, as text
LOG = "valkey.log"
CHECKS_PER_IDLE_TIME = 8
LONGEST_CHECK_SECONDS = 0.5
STOP_SECONDS = 60.0  # for the last write to reach a slow disk; then the server is killed, and loses a second at most
STOP_POLL_SECONDS = 0.005

DONE, SERVER_DIED = 0, 1


def supervise(folder: str, socket: str, binary: str, idle_seconds: float) -> int:
    """Serves until nobody has used the server for `idle_seconds`, or it dies.

    Returns the process's exit code: `SERVER_DIED`, or `DONE`, also when another one supervises.
    """
    watching = try_lock(os.path.join(folder, SUPERVISOR_LOCK))
    if watching is None:
        return DONE
    ended = DONE
    users = os.open(os.path.join(folder, USERS_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    server_lock = os.open(os.path.join(folder, SERVER_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    server = try_lock(os.path.join(folder, SERVER_LOCK))
    if server is not None:
        ended = SERVER_DIED
        try:
            _start(folder, socket, binary, server)
        except OSError as error:
            with open(os.path.join(folder, LOG), "a", encoding="utf-8") as log:
                log.write(f"{binary}: {error.strerror}\n")
            return SERVER_DIED
        finally:
            os.close(server)
    ended = _watch(server_lock, users, idle_seconds, ended)
    if server is not None:
        os.wait()
    return ended


def try_lock(path: str) -> int | None:
    """A descriptor that holds the exclusive lock of a file, or None while somebody else has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _start(folder: str, socket: str, binary: str, lock: int) -> None:
    """Starts the server, which keeps `lock`. Raises OSError when the binary cannot run."""
    options = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "dir": folder,
        "databases": "1",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",  # what a crash cut short is dropped: the journal of the library knows of it
        "save": "",
    }
    command = [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]
    if os.path.lexists(socket):
        os.unlink(socket)
    os.set_inheritable(lock, True)
    log = os.path.join(folder, LOG)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    server = os.posix_spawn(binary, command, os.environ, file_actions=actions)
    os.ftruncate(lock, 0)
    os.write(lock, str(server).encode())


def _watch(server_lock: int, users: int, idle_seconds: float, ended: int) -> int:
    """Waits until the server dies, which gives `ended`, or has been idle; then stops it, which gives `DONE`."""
    idle_since: float | None = None
    while True:
        time.sleep(min(idle_seconds / CHECKS_PER_IDLE_TIME, LONGEST_CHECK_SECONDS))
        if _is_free(server_lock):
            return ended
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            idle_since = None
            continue
        now = time.monotonic()
        idle_since = now if idle_since is None else idle_since
        if now - idle_since >= idle_seconds or _is_deleted(server_lock):
            _stop(server_lock)  # still holding the users' lock: a new command waits, then starts another server
            return DONE
        fcntl.flock(users, fcntl.LOCK_UN)


def _stop(server_lock: int) -> None:
    """Stops the server in order: its file is written to the end and flushed."""
    deadline = time.monotonic() + STOP_SECONDS
    # of a deleted one nothing is to be kept, and in order it would remove the socket of a server that came after it
    _signal(server_lock, signal.SIGKILL if _is_deleted(server_lock) else signal.SIGTERM)
    while not _is_free(server_lock):
        if time.monotonic() > deadline:
            _signal(server_lock, signal.SIGKILL)
        time.sleep(STOP_POLL_SECONDS)


def _signal(server_lock: int, number: int) -> None:
    """Signals the server. The lock is not free, so that the process id in its file is that of a live server."""
    try:
        os.kill(int(os.pread(server_lock, 20, 0)), number)
    except ProcessLookupError:
        return


def _is_free(lock: int) -> bool:
    """Whether nobody else has the lock of an open file."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _is_deleted(file: int) -> bool:
    return os.fstat(file).st_nlink == 0


if __name__ == "__main__":
    os.setsid()  # Ctrl-C in the terminal is for the command only
    os.chdir("/")
    sys.exit(supervise(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
