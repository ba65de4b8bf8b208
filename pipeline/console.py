"""What commands print: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def print_json(document: dict[str, Any], *, flush: bool = False) -> None:
    """One JSON document on one line of stdout."""
    print(json.dumps(document, ensure_ascii=False), flush=flush)


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"vnome: {message}", file=sys.stderr)


def timecode(seconds: float) -> str:
    """h:mm:ss.hh of a moment, for people; a minus sign before the film's start."""
    hundredths = round(abs(seconds) * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 and hundredths + minutes + hours else ""
    return f"{sign}{hours}:{minutes:02d}:{hundredths / 100:05.2f}"


def in_words(labels: Sequence[tuple[str, float]]) -> str:
    """What is shown, to be put behind a line: "  dog 0.90, grass 0.61"; nothing for none."""
    return "  " + ", ".join(f"{label} {share:.2f}" for label, share in labels) if labels else ""


@contextmanager
def progress_bar(description: str, total: float | None) -> Iterator["Bar"]:
    """A bar on stderr while the block runs; nothing is drawn where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, total, description)


class Bar:
    """Moves a progress bar to an absolute place."""

    def __init__(self, progress: Progress, total: float | None, description: str) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total)

    def to(self, place: float) -> None:
        """place: in the unit of the bar's total."""
        self._progress.update(self._task, completed=place)
