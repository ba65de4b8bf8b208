"""A task: something a network can learn and be scored at, by `vnome train --task` and `vnome score`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.report import interval
from export.training import Trainer
from pipeline.errors import InputError

Scores = dict[str, Any]


@dataclass(frozen=True)
class Sources:
    """Folders that tasks learn from, as they were given. data: with the public sets. films: with films."""

    data: Path | None = None
    films: Path | None = None

    def need_data(self) -> Path:
        """Raises InputError when --data was not given."""
        if self.data is None:
            raise InputError("this task needs --data, the folder of its set; see vnome train --help")
        return self.data

    def need_films(self) -> Path:
        """Raises InputError when --films was not given."""
        if self.films is None:
            raise InputError("this task needs --films, a folder of films; see vnome train --help")
        return self.films


@dataclass(frozen=True)
class Task(ABC):
    """name: as it is given on the command line. published: the figure to compare with, and whose it is."""

    name: str
    published: str

    @abstractmethod
    def trainer(self, sources: Sources, preset: str, steps: int | None, seed: int, device: str, out: Path) -> Trainer:
        """A run that learns it. preset: "cpu" or "gpu". steps: instead of the preset's. Raises InputError."""

    @abstractmethod
    def score(self, runs: Sequence[Path], sources: Sources) -> Scores:
        """How well runs do on what no run saw, each on its own and as a committee. Raises InputError."""


def scored(
    task: str, runs: Sequence[Path], wrong: Sequence[npt.NDArray[np.bool_]], together: npt.NDArray[np.bool_]
) -> Scores:
    """Scores of a task whose answers are right or wrong.

    wrong: for each run, whether it errs on each of the N test cases. together: whether the committee does.
    """
    return {
        "task": task,
        "runs": [{"run": str(run), **error_rate(one)} for run, one in zip(runs, wrong, strict=True)],
        "committee": {"of": len(runs), **error_rate(together)},
    }


def error_rate(wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Share of errors among N cases with its 95 % interval, all in percent."""
    cases, errors = len(wrong), int(wrong.sum())
    low, high = interval(errors, cases)
    return {
        "errors": errors,
        "cases": cases,
        "error_percent": round(100 * errors / cases, 3),
        "interval_percent": [round(100 * low, 3), round(100 * high, 3)],
    }


def score_table(scores: Scores) -> str:
    """Scores as text, a line a run and one for the committee, the published figure last."""
    rows = [(Path(one["run"]).name, one) for one in scores["runs"]]
    if len(rows) > 1:
        rows.append((f"committee of {len(rows)}", scores["committee"]))
    width = max(len(name) for name, _ in rows)
    lines = [f"{scores['task']}, by {scores.get('metric', 'error')}"]
    lines += [f"  {name:{width}}  {_figures(one)}" for name, one in rows]
    return "\n".join([*lines, f"  published: {scores['published']}"])


def _figures(one: dict[str, Any]) -> str:
    if "error_percent" in one:
        low, high = one["interval_percent"]
        return (
            f"{one['error_percent']:.2f} % ({one['errors']} of {one['cases']}; 95 % interval {low:.2f} to {high:.2f})"
        )
    return ", ".join(f"{name} {value:.4g}" for name, value in one.items() if isinstance(value, int | float))
