"""The private server: real processes, real kills, a real full disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import embedded, supervisor
from pipeline.embedded import IDLE_VARIABLE, Answer, EmbeddedServer, ask, last_words, socket_path
from pipeline.errors import StoreError
from pipeline.store import Store, open_store
from tests.conftest import skip_or_fail

pytestmark = pytest.mark.redis

TMPFS_BYTES = 3 << 20


@pytest.fixture(autouse=True)
def short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDLE_VARIABLE, "0.2")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose server is gone at the end of the test."""
    folder = tmp_path / "h"
    yield folder
    lock = folder / "redis" / supervisor.SERVER_LOCK
    if lock.is_file():
        await_that(lambda: is_free(lock))


def open_in(folder: Path) -> Store:
    return open_store("embedded", home=folder)


def is_free(lock: Path) -> bool:
    descriptor = supervisor.try_lock(str(lock))
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def await_that(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def server_process(folder: Path) -> int:
    return int((folder / "redis" / supervisor.SERVER_LOCK).read_text())


def supervisor_of(folder: Path) -> int:
    """Process id of the supervisor: the parent of the server."""
    return int(Path(f"/proc/{server_process(folder)}/stat").read_text().rpartition(")")[2].split()[1])


def test_data_stays_between_commands_and_the_server_stops(place: Path) -> None:
    with open_in(place) as store:
        store.client.set("k", b"v")
        store.confirm()
    path = EmbeddedServer(place).socket_path
    await_that(lambda: ask(path) is Answer.NONE)
    await_that(lambda: is_free(place / "redis" / supervisor.SUPERVISOR_LOCK))
    with open_in(place) as store:
        assert store.client.get("k") == b"v"


def test_only_this_user_can_reach_it(place: Path) -> None:
    with open_in(place) as store:
        assert store.client.config_get("port")["port"] == "0"
    assert (place / "redis").stat().st_mode & 0o777 == 0o700
    assert (place / "redis" / "valkey.sock").stat().st_mode & 0o777 == 0o700


CHILD = """
import json, sys
from pathlib import Path
from pipeline.store import open_store
with open_store("embedded", home=Path(sys.argv[1])) as store:
    value = store.client.incr("k")
    store.confirm()
    print(json.dumps([value, store.client.info("server")["process_id"]]))
"""


def test_four_processes_start_it_at_once(place: Path) -> None:
    script = CHILD + "    sys.stdout.flush(); sys.stdin.read()\n"  # none leaves before all have come
    command = [sys.executable, "-c", script, str(place)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    results = [json.loads(child.stdout.readline()) for child in children if child.stdout is not None]
    for child in children:
        child.communicate(timeout=30)
    assert sorted(value for value, _ in results) == [1, 2, 3, 4]
    assert len({process for _, process in results}) == 1


def test_users_keep_it_alive_and_a_killed_one_does_not(place: Path) -> None:
    script = CHILD + "    import time; sys.stdout.flush(); time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.6)  # three times the idle limit
        path = EmbeddedServer(place).socket_path
        assert ask(path) is Answer.READY
        child.kill()
    await_that(lambda: ask(path) is Answer.NONE)


def test_killed_server_is_back_for_the_next_command(place: Path) -> None:
    with open_in(place) as store:
        store.client.set("k", b"v")
        store.confirm()
        os.kill(server_process(place), signal.SIGKILL)
        with pytest.raises(StoreError, match="the private server has stopped; run the command again"), store.errors():
            store.client.get("k")
        with open_in(place) as again:
            assert again.client.get("k") == b"v"


def test_killed_supervisor_is_replaced_and_never_two_servers(place: Path) -> None:
    with open_in(place) as store:
        store.client.set("k", b"v")
        first = server_process(place)
        os.kill(supervisor_of(place), signal.SIGKILL)
        await_that(lambda: is_free(place / "redis" / supervisor.SUPERVISOR_LOCK))
        with open_in(place) as again:
            assert again.client.get("k") == b"v"
            assert server_process(place) == first
            await_that(lambda: not is_free(place / "redis" / supervisor.SUPERVISOR_LOCK))
    await_that(lambda: is_free(place / "redis" / supervisor.SERVER_LOCK))  # the new one stopped it
    with open_in(place) as store:
        assert store.client.get("k") == b"v"


def test_server_of_a_deleted_folder_stops(place: Path) -> None:
    with open_in(place) as store:
        first = server_process(place)
        shutil.rmtree(place)
        with open_in(place) as again:  # another server, in a new folder
            again.client.set("k", b"v")
            assert server_process(place) != first
        assert store.client.ping() is True  # while it is used, the old one stays
    await_that(lambda: not Path(f"/proc/{first}").exists())
    with open_in(place) as again:
        assert again.client.get("k") == b"v"


def test_write_cut_short_by_a_crash_costs_only_itself(place: Path) -> None:
    with open_in(place) as store:
        store.client.set("k", b"v")
        store.client.set("last", b"w" * 100)
        store.confirm()
    await_that(lambda: is_free(place / "redis" / supervisor.SERVER_LOCK))
    (log,) = (place / "redis" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 60)
    with open_in(place) as store:
        assert (store.client.get("k"), store.client.get("last")) == (b"v", None)


def test_damage_in_the_middle_is_told(place: Path) -> None:
    with open_in(place) as store:
        for i in range(50):
            store.client.set(f"k{i}", b"v" * 100)
        store.confirm()
    await_that(lambda: is_free(place / "redis" / supervisor.SERVER_LOCK))
    (log,) = (place / "redis" / "appendonlydir").glob("*.incr.aof")
    data = log.read_bytes()
    middle = data.index(b"*3", len(data) // 2)
    log.write_bytes(data[:middle] + b"garbage" + data[middle + 7 :])
    with pytest.raises(StoreError, match=r"does not start: .*Bad file format") as caught:
        open_in(place)
    assert "\n" not in str(caught.value)


def test_long_paths_get_a_private_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = home.parent.parent
    monkeypatch.setattr("tempfile.tempdir", str(short))
    deep = tmp_path / ("long" * 30)
    path = socket_path(deep / "redis")
    assert path.parent.parent == short
    assert path.parent.stat().st_mode & 0o777 == 0o700
    try:
        with open_in(deep) as store:
            assert store.client.ping() is True
        await_that(lambda: is_free(deep / "redis" / supervisor.SERVER_LOCK))
        path.parent.chmod(0o755)
        with pytest.raises(StoreError, match="is not a private folder of yours"):
            open_in(deep)
    finally:
        shutil.rmtree(path.parent)


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="lies on a file; set VNOME_HOME to a folder"):
            open_in(home)


def test_folder_that_cannot_be_made() -> None:
    with pytest.raises(StoreError, match="the data folder /proc/vnome/redis cannot be used"):
        open_in(Path("/proc/vnome"))


def test_binary_that_cannot_run(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken-server"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    monkeypatch.setattr(embedded, "server_binary", lambda: str(broken))
    with pytest.raises(StoreError, match=r"does not start: .*broken-server: Exec format error"):
        open_in(place)


def test_platform_without_a_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    with pytest.raises(StoreError, match=r"Unsupported architecture: sparc64.*; set VNOME_REDIS"):
        open_in(place)


def test_server_that_dies_at_start_is_told_with_its_last_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "server_binary", lambda: shutil.which("false"))
    with pytest.raises(StoreError, match="does not start: it left no log"):
        open_in(place)
    (place / "redis" / supervisor.LOG).write_text("1:M 24 Nov 2026 14:45:22.123 # Fatal error, it fell\n")
    assert last_words(place / "redis").startswith("Fatal error, it fell (log in ")


def test_user_folder_named_like_a_module_is_not_run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline").mkdir()
    for name in ("pipeline/__init__.py", "fcntl.py", "signal.py"):
        (tmp_path / name).write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with open_in(place) as store:
        assert store.client.ping() is True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MB."""
    folder = tmp_path / "d"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "vnome", folder]).returncode:
        skip_or_fail("redis", "mounting a small disk is not permitted here")
    yield folder
    lock = folder / "redis" / supervisor.SERVER_LOCK
    if lock.is_file():
        await_that(lambda: is_free(lock) and is_free(folder / "redis" / supervisor.SUPERVISOR_LOCK))
    subprocess.run([shutil.which("umount") or "umount", folder], check=True)


def test_full_disk_is_told_and_heals(small_disk: Path) -> None:
    with open_in(small_disk) as store:
        store.client.set("k", b"v")
        store.confirm()
        filler = small_disk / "filler"
        with pytest.raises(StoreError, match="no room on the disk") as caught:
            with filler.open("wb") as file:
                file.write(b"x" * (TMPFS_BYTES - (600 << 10)))
            with store.errors():
                store.client.set("big", os.urandom(1 << 20))
            store.confirm()
        assert "\n" not in str(caught.value)
        assert store.client.get("k") == b"v"
        with open_in(small_disk) as other:  # reading goes on, also for a new command
            assert other.client.get("k") == b"v"
        filler.unlink()
        await_that(lambda: store.client.info("persistence")["aof_last_write_status"] == "ok")
        store.client.set("k2", b"v2")
        store.confirm()
    await_that(lambda: is_free(small_disk / "redis" / supervisor.SERVER_LOCK))
    with open_in(small_disk) as store:
        assert (store.client.get("k"), store.client.get("k2")) == (b"v", b"v2")


def test_start_on_a_full_disk_is_told(small_disk: Path) -> None:
    try:
        with (small_disk / "filler").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
    except OSError:
        pass
    with pytest.raises(StoreError, match=r"no room on the disk|No space left"):
        open_in(small_disk)
