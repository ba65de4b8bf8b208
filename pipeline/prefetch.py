"""Reading ahead: an iterator that works in a thread of its own."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_WAIT_SECONDS = 0.1  # how soon the thread notices that nobody reads any more


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, up to `depth` of them made ahead in a thread.

    An error of `items` is raised here, after the items before it. Closing this iterator ends the thread.
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
    closed = threading.Event()

    def put(entry: tuple[Item | None, BaseException | None]) -> bool:
        while not closed.is_set():
            try:
                ready.put(entry, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                if not put((item, None)):
                    break
        except BaseException as error:  # noqa: BLE001  it is raised again where the items are read
            failure = error
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        put((None, failure or StopIteration()))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, failure = ready.get()
            if isinstance(failure, StopIteration):
                return
            if failure is not None:
                raise failure
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
