"""How large the index is and how full the memory of its servers, told to Prometheus once a minute."""

import threading
from collections.abc import Iterator

import redis
from redis.cluster import RedisCluster

from pipeline.errors import StoreError
from pipeline.library import Library
from pipeline.logs import get_logger
from pipeline.metrics import Metrics

EVERY_SECONDS = 60.0

log = get_logger(__name__)


class IndexWatch:
    """Measures one catalogue and the servers that hold it."""

    def __init__(self, library: Library, metrics: Metrics) -> None:
        self._library, self._metrics = library, metrics

    def run(self, stop: threading.Event) -> None:
        """Measures until told to stop; while Redis is away the last figures stay."""
        while True:
            try:
                self.measure()
            except StoreError as error:
                log.debug("the index is not measured", error=str(error))
            if stop.wait(EVERY_SECONDS):
                return

    def measure(self) -> None:
        """Sets the gauges. Raises StoreError."""
        self._metrics.index_postings.set(self._library.posting_count())
        self._metrics.index_videos.set(len(self._library.numbers()))
        with self._library.store.errors():
            for node, server in self._servers():
                memory, stats = server.info("memory"), server.info("stats")
                # Without a limit of its own a server may take what its machine has.
                limit = memory.get("maxmemory") or memory.get("total_system_memory", 0)
                self._metrics.redis_memory_bytes.labels(node).set(memory["used_memory"])
                self._metrics.redis_memory_max_bytes.labels(node).set(limit)
                self._metrics.redis_evicted_keys.labels(node).set(stats["evicted_keys"])

    def _servers(self) -> Iterator[tuple[str, "redis.Redis"]]:
        """The one server, or every master of a Cluster, by HOST:PORT."""
        client = self._library.store.client
        if isinstance(client, RedisCluster):
            for node in client.get_primaries():
                yield node.name, client.get_redis_connection(node)
            return
        at = client.connection_pool.connection_kwargs
        yield f"{at['host']}:{at['port']}" if "host" in at else "local", client
