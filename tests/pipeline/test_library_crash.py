"""kill -9 at every moment of every change: the old state or the new one, whole, and after recovery nothing else."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from pipeline import keys
from pipeline.library import Library
from pipeline.postings import Postings
from pipeline.store import Store, open_store
from tests.crash_child import ACTIONS, motion
from tests.pipeline.test_library import fields, found, holds, left_behind, track

pytestmark = pytest.mark.redis

RUNS = 50
BEFORE = {"add": None, "replace": 1, "remove": 1}  # seed of the film before each change, None without one
AFTER = {"add": 1, "replace": 2, "remove": None}

LEAST_MOMENTS = 10  # of any action; with fewer, the kills would not be where they should


class Act(Protocol):
    """Does an action in a process of its own, killed at a moment; None: not killed."""

    def __call__(self, action: str, kill_at: int | None = None) -> int | str:
        """The number of moments that the action had, or "killed"."""


@pytest.fixture
def server(home: Path) -> Iterator[Store]:
    """A private server, where each step is confirmed; it syncs at once, not once a second."""
    with open_store("embedded") as store:
        store.client.config_set("appendfsync", "always")
        yield store


@pytest.fixture
def act(server: Store) -> Iterator[Act]:
    """Does an action in another process, killed at a moment."""
    command = [sys.executable, "-m", "tests.crash_child", "embedded"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as child:
        stdin, stdout = child.stdin, child.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(action: str, kill_at: int | None = None) -> int | str:
            stdin.write(json.dumps({"action": action, "kill_at": kill_at}) + "\n")
            stdin.flush()
            answer: int | str = json.loads(stdout.readline())
            deadline = time.monotonic() + 10
            while server.client.info("clients")["connected_clients"] > 1:  # what the dead has sent is being done
                assert time.monotonic() < deadline
            return answer

        yield ask
        stdin.close()


def prepare(server: Store, action: str) -> Library:
    """A catalogue with a bystander, whose codes are those of the film's first version, and what the action needs."""
    server.client.flushdb()
    library = Library(server)
    library.add(fields("bystander"), track(1), 25.0, 300, {})
    if BEFORE[action]:
        ACTIONS["add"](library)
    return library


def seed_seen(library: Library) -> int | None:
    """Which version of the film is visible, None without one; whole, and nothing of another."""
    record = library.find("film")
    seed = int(record.fingerprint[1:]) if record else None
    assert [video.id for video in library.videos()] == (["bystander", "film"] if seed else ["bystander"])
    for version in (1, 2):
        starts = track(version).start_ms.tolist()
        names = (["bystander"] if version == 1 else []) + (["film"] if version == seed else [])
        assert found(library, track(version).codes) == {(name, start) for name in names for start in starts}
    assert library.posting_count() == RUNS * (2 if seed else 1)
    if record and seed:
        whole, stored = library.whole_track(record.number)
        assert np.array_equal(whole.codes, track(seed).codes)
        assert stored is not None
        assert np.array_equal(stored.steps, motion(seed).steps)
        assert library.subtitles("film", "en") == str(seed)
    return seed


def check_nothing_left(library: Library) -> None:
    """Only what belongs to visible videos is stored."""
    store = library.store
    wanted = {keys.VIDEOS, keys.NUMBERS}
    for record in library.videos():
        wanted.add(keys.track(record.number, 0))
        if record.id == "film":
            wanted |= {keys.motion(record.number), keys.subtitles(record.number)}
    buckets = set(store.client.keys(keys.LUT))
    leases = set(store.client.keys(f"{keys.CATALOGUE}lease:*"))
    assert left_behind(store) - buckets - leases == {key.encode() for key in wanted}
    assert sum(len(contents.mixed) for contents in library.lut.scan()) == library.posting_count()
    assert all(store.client.pttl(key) > 0 for key in leases)  # taken, and nothing written yet: it runs out by itself


@pytest.mark.parametrize("action", ["add", "replace", "remove"])
def test_kill_at_every_moment_of_a_change(server: Store, act: Act, action: str) -> None:
    prepare(server, action)
    seen, recovered = [], []
    for moment in itertools.count():
        library = prepare(server, action)
        if act(action, moment) != "killed":
            break
        seen.append(seed_seen(library))
        assert isinstance(act("recover"), int)
        recovered.append(seed_seen(library))
        check_nothing_left(library)
        assert not server.client.hlen(keys.PENDING)
    assert len(seen) > LEAST_MOMENTS
    changes = [before != after for before, after in itertools.pairwise(seen)]
    assert (seen[0], seen[-1], sum(changes)) == (BEFORE[action], AFTER[action], 1)  # in one step, and never back
    assert all(later in (earlier, AFTER[action]) for earlier, later in zip(seen, recovered, strict=True))
    assert recovered == sorted(recovered, key=lambda seed: seed == AFTER[action])


def moment_when(server: Store, act: Act, action: str, condition: Callable[[Library], bool]) -> int:
    """The first moment of an action at which a kill leaves a state of this kind."""
    for moment in range(300):
        library = prepare(server, action)
        assert act(action, moment) == "killed"
        if condition(library):
            return moment
    raise AssertionError("there is no such moment")


def has_some_postings(library: Library) -> bool:
    """Whether a kill left the film's postings stored in part."""
    count = sum(len(contents.mixed) for contents in library.lut.scan())
    return library.posting_count() < count < library.posting_count() + RUNS


@pytest.mark.parametrize("action", ["add", "replace"])
def test_kill_at_every_moment_of_recovery(server: Store, act: Act, action: str) -> None:
    half_stored = moment_when(server, act, action, has_some_postings)
    kill_recovery_everywhere(server, act, action, half_stored)


def test_kill_at_every_moment_of_recovery_of_a_removal(server: Store, act: Act) -> None:
    retired = moment_when(server, act, "remove", lambda library: library.find("film") is None)
    kill_recovery_everywhere(server, act, "remove", retired)


def kill_recovery_everywhere(server: Store, act: Act, action: str, moment: int) -> None:
    """A change killed at a moment, its recovery killed at each moment, and recovered then."""
    for kill_at in itertools.count():
        library = prepare(server, action)
        assert act(action, moment) == "killed"
        if act("recover", kill_at) != "killed":
            assert kill_at > LEAST_MOMENTS
            return
        assert seed_seen(library) in (BEFORE[action], AFTER[action])
        assert isinstance(act("recover"), int)
        assert seed_seen(library) == AFTER[action]
        check_nothing_left(library)
        assert not server.client.hlen(keys.PENDING)


def test_living_writer_is_left_alone(server: Store) -> None:
    """Recovery by one process does not touch what another is working on."""
    library = prepare(server, "add")
    stopped: list[int] = []
    add = library.lut.add

    def recover_meanwhile(postings: Postings) -> None:
        stopped.append(Library(server).recover())
        add(postings)

    library.lut.add = recover_meanwhile  # type: ignore[method-assign]
    ACTIONS["add"](library)
    assert stopped == [0]
    assert seed_seen(library) == 1
    assert holds(library, "film", 1) is False  # the bystander has the same codes
    check_nothing_left(library)
