"""Limits of callers: requests a second as token buckets, and live sessions at once. They are those of this process."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.gateway.problems import Problem

MOST_CALLERS = 20_000  # remembered; the one that was idle for longest is forgotten, its bucket was full again anyway


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A token bucket for each caller: `rate` requests a second over some time, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, rate: float = 0.0) -> float:
        """Takes a token. Returns 0, or after how many seconds there is one.

        rate: the caller's own, 0 for that of all; its burst is larger in the same proportion.
        """
        own = rate or self.rate
        burst = max(self.burst * own / self.rate, 1.0)
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(bucket.tokens + (now - bucket.at) * own, burst)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / own
        bucket.tokens -= 1
        return 0.0


class SessionLimit:
    """How many live sessions there may be at once: of one key, of one address, and in all."""

    def __init__(self, a_key: int, an_address: int, in_all: int) -> None:
        self.a_key, self.an_address, self.in_all = a_key, an_address, in_all
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Sessions that are open."""
        return self._open["all"]

    @contextmanager
    def session(self, key: str | None, address: str, of_key: int = 0) -> Iterator[None]:
        """A session while the block runs.

        of_key: the key's own limit, 0 for that of all keys. Raises Problem when there is no room for it.
        """
        bounds = {"all": self.in_all, f"address {address}": self.an_address}
        if key is not None:
            bounds[f"key {key}"] = of_key or self.a_key
        full = next((name for name, most in bounds.items() if self._open[name] >= most), None)
        if full is not None:
            whose = "in all" if full == "all" else f"of this {full.split()[0]}"
            raise Problem(429, f"{self._open[full]} live sessions {whose} are open; close one or try again later")
        self._open.update(bounds.keys())
        try:
            yield
        finally:
            self._open.subtract(bounds.keys())
            for name in bounds:
                if self._open[name] <= 0:
                    del self._open[name]


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to come again."""
    return {"Retry-After": str(max(math.ceil(seconds), 1))}
