"""The recogniser's words: its labels with their parents, and what the material it learns from shows of them.

Three tables lie beside this module: `vocabulary.tsv` (label, parent), `class_labels.tsv` (what pictures of a class of
Tiny ImageNet or CIFAR-10 show) and `film_labels.tsv` (what clips show, judged by eye). In the last two a label with a
question mark is one of which nothing is known.
"""

# L labels

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

SHOWN, NOT_SHOWN, UNKNOWN = 1, 0, -1

Targets = npt.NDArray[np.int8]  # (L,): SHOWN, NOT_SHOWN or UNKNOWN


@dataclass(frozen=True)
class Vocabulary:
    """labels: in the order of the model's outputs, parents before their children. parents: of those that have one."""

    labels: tuple[str, ...]
    parents: dict[str, str]

    def targets(self, text: str) -> Targets:
        """What "dog,?person" says of each label: dog and its parent are shown, of person nothing is known.

        All others are not shown, children of what is shown or unknown included. Raises ValueError for another word.
        """
        marks = np.zeros(len(self.labels), np.int8)
        for word in (part for part in text.split(",") if part):
            label, mark = word.removeprefix("?"), UNKNOWN if word.startswith("?") else SHOWN
            if label not in self.labels:
                raise ValueError(f"{label!r} is no label of the vocabulary")
            for name in (label, self.parents.get(label)):
                if name and marks[self.labels.index(name)] != SHOWN:
                    marks[self.labels.index(name)] = mark
        return marks


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary of the shipped recogniser."""
    rows = _rows("vocabulary.tsv")
    return Vocabulary(tuple(row[0] for row in rows), {row[0]: row[1] for row in rows if row[1]})


@cache
def class_targets() -> dict[str, Targets]:
    """What pictures of each class show, by the name of its folder."""
    return {row[0]: vocabulary().targets(row[1]) for row in _rows("class_labels.tsv")}


@cache
def film_targets() -> dict[str, Targets]:
    """What clips show, by file name. Clips that are not in it were not judged."""
    return {row[0]: vocabulary().targets(row[1]) for row in _rows("film_labels.tsv")}


def _rows(name: str) -> list[list[str]]:
    text = (resources.files("export") / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
