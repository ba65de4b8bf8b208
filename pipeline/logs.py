"""Structured logs on stderr: lines for people where stderr is a terminal, else one JSON object a line.

`VNOME_LOG` = `json` or `text` chooses, `VNOME_LOG_LEVEL` = debug, info, warning or error sets how much.
"""

import logging
import os
import sys
import time
from typing import Any

import structlog

REPEAT_SECONDS = 10.0  # the same line of a library is told at most so often: Kafka's is noisy while a broker is away
MOST_LINES = 1000  # that are remembered; a library that writes numbers into its templates has no end of them
LIBRARIES = ("kafka", "redis", "urllib3", "httpx")
LEVELS = ("debug", "info", "warning", "error")


def get_logger(name: str) -> Any:
    """A logger whose calls take an event and fields: log.info("ready", topic="vnome.frames")."""
    return structlog.get_logger(name)


def configure(json: bool | None = None) -> None:
    """Sets logging up for this process. json: None for what `VNOME_LOG` and the terminal say."""
    chosen = os.environ.get("VNOME_LOG", "")
    as_json = json if json is not None else (chosen == "json" or (chosen != "text" and not sys.stderr.isatty()))
    level = os.environ.get("VNOME_LOG_LEVEL", "info").lower()
    number = getattr(logging, (level if level in LEVELS else "info").upper())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _ThroughStructlog()
    handler.addFilter(SameLine(REPEAT_SECONDS))
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [handler], False
        library.setLevel(max(number, logging.WARNING))


class SameLine(logging.Filter):
    """Lets a line of the same template through once in a while, and says how many it held back."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, name = time.monotonic(), (record.name, str(record.msg))
        told, held = self._seen.get(name, (-self._seconds, 0))
        if now - told < self._seconds:
            self._seen[name] = (told, held + 1)
            return False
        if len(self._seen) >= MOST_LINES:
            self._seen.clear()
        self._seen[name] = (now, 0)
        record.held_back = held
        return True


class _ThroughStructlog(logging.Handler):
    """Lines of libraries in the form of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        held = getattr(record, "held_back", 0)
        fields = {"library": record.name} | ({"held_back": held} if held else {})
        write = structlog.get_logger().error if record.levelno >= logging.ERROR else structlog.get_logger().warning
        write(" ".join(_text(record).split())[:500], **fields)


def _text(record: logging.LogRecord) -> str:
    """Also of a line whose fields do not fit it: that is no reason to end what its library was doing."""
    try:
        return record.getMessage()
    except (KeyError, TypeError, ValueError):
        return str(record.msg)
