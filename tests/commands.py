"""Runs the `vnome` command for tests: in this process, or in one of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.demo import sample_films
from export.edits import EDITS, write_clip
from pipeline.cli import run
from pipeline.media import read_frames

COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]
CLIP_BITRATE = 800_000
BUNNY, BIKES, CARPHONE = range(3)  # of `sample_films`


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    def failed_with(self, code: int, *parts: str) -> bool:
        """Whether it ended with this code, nothing on stdout, and one line on stderr that has all these parts."""
        one_line = self.err.startswith("vnome: ") and self.err.count("\n") == 1
        return self.code == code and not self.out and one_line and all(part in self.err for part in parts)


class Vnome:
    """The command, run in this process: its settings come from the environment of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Ran:
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        printed = self._capsys.readouterr()
        return Ran(code, printed.out, printed.err)


def run_alone(*arguments: str | Path, limit_seconds: float = 120, **environment: str) -> Ran:
    """The command in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def cut_clip(film: int, path: Path, edit: str = "copy", start: float = 3.0, seconds: float = 5.0) -> Path:
    """Writes an edited clip of a sample film."""
    stop = start + seconds * EDITS[edit].speed
    frames = read_frames(sample_films()[film], start_seconds=start, end_seconds=stop, max_side=None)
    write_clip(frames, EDITS[edit], path, CLIP_BITRATE)
    return path
