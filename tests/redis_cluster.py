"""A real Redis Cluster on the loopback for tests: three masters, of which one can be stopped, and slots can move."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from pipeline.buckets import CLUSTER_SLOTS
from pipeline.embedded import server_binary
from tests.ports import free_pair
from tests.redis_locks import RedisLocks

MASTERS = 3
START_SECONDS = 30.0


@dataclass
class Node:
    """One master. locks: how it is secured, default not. process: None while it is stopped."""

    port: int
    folder: Path
    locks: RedisLocks | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def client(self) -> "redis.Redis":
        """A connection to this node alone."""
        url = self.locks.url(self.port) if self.locks else f"redis://127.0.0.1:{self.port}"
        return redis.Redis.from_url(url, socket_timeout=10)

    def start(self) -> None:
        """Starts the server on what its folder holds."""
        listening = ["--port", str(self.port)]
        if self.locks:
            listening = [*self.locks.options(self.port), "--tls-cluster", "yes"]
        binary = self.locks.binary if self.locks else server_binary()
        command = [binary, *listening, "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--save", "", "--appendonly", "yes"]
        command += ["--cluster-port", str(self.port + 1), "--cluster-require-full-coverage", "no"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Cluster:
    """A running cluster. locks: how it is secured, default not."""

    def __init__(self, folder: Path, locks: RedisLocks | None = None) -> None:
        self._locks = locks
        self.nodes = [Node(free_pair(), folder / str(number), locks) for number in range(MASTERS)]

    @property
    def url(self) -> str:
        """For `VNOME_REDIS`."""
        port = self.nodes[0].port
        return self._locks.url(port, "rediss+cluster") if self._locks else f"redis+cluster://127.0.0.1:{port}"

    def start(self) -> None:
        """Starts the masters and shares out the slots. Raises TimeoutError when they do not find one another."""
        for node in self.nodes:
            node.folder.mkdir()
            node.start()
        share = -(-CLUSTER_SLOTS // MASTERS)
        for number, node in enumerate(self.nodes):
            _wait(lambda node=node: node.client.ping(), "a master does not start")  # type: ignore[misc]
            last = min((number + 1) * share, CLUSTER_SLOTS) - 1
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)  # type: ignore[no-untyped-call]
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)  # type: ignore[no-untyped-call]
        for node in self.nodes[1:]:
            node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].port + 1)  # type: ignore[no-untyped-call]
        self.await_whole()

    def await_whole(self) -> None:
        """Until every master sees all slots served."""
        _wait(lambda: all(self._sees_all(node) for node in self.nodes), "the cluster does not come together")

    def move_slot(self, slot: int, to: Node) -> None:
        """Moves a slot with its keys while it serves."""
        giver = self._owner(slot)
        if giver is to:
            return
        names = {node.port: bytes(node.client.execute_command("CLUSTER", "MYID")).decode() for node in (giver, to)}  # type: ignore[no-untyped-call]
        to.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[giver.port])  # type: ignore[no-untyped-call]
        giver.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[to.port])  # type: ignore[no-untyped-call]
        while keys := giver.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 20):  # type: ignore[no-untyped-call]
            giver.client.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)  # type: ignore[no-untyped-call]
        for node in (to, giver, *self.nodes):
            node.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[to.port])  # type: ignore[no-untyped-call]

    def _sees_all(self, node: Node) -> bool:
        info = node.client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
        text = info if isinstance(info, dict) else dict(line.split(":") for line in bytes(info).decode().split())
        known = int(text["cluster_known_nodes"])
        return text["cluster_state"] == "ok" and int(text["cluster_slots_ok"]) == CLUSTER_SLOTS and known == MASTERS

    def _owner(self, slot: int) -> Node:
        ranges = self.nodes[0].client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        port = next(owner[1] for first, last, owner, *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)


@contextmanager
def running_cluster(locks: RedisLocks | None = None) -> Iterator[Cluster]:
    """A cluster for the block."""
    folder = Path(tempfile.mkdtemp(prefix="vn-cluster-", dir="/tmp"))
    cluster = Cluster(folder, locks)
    try:
        cluster.start()
        yield cluster
    finally:
        for node in cluster.nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(condition: Callable[[], object], complaint: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if condition():
                return
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.05)
