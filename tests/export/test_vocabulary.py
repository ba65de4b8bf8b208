"""The vocabulary and its tables."""

import numpy as np
import pytest

from export.vocabulary import NOT_SHOWN, SHOWN, UNKNOWN, class_targets, film_targets, vocabulary


def of(text: str) -> dict[str, int]:
    return dict(zip(vocabulary().labels, vocabulary().targets(text).tolist(), strict=True))


def test_parents_come_before_their_children_and_have_none() -> None:
    words = vocabulary()
    for child, parent in words.parents.items():
        assert words.labels.index(parent) < words.labels.index(child)
        assert parent not in words.parents
    assert len(set(words.labels)) == len(words.labels)


def test_a_child_brings_its_parent_and_nothing_else() -> None:
    marks = of("dog")
    assert (marks["dog"], marks["animal"]) == (SHOWN, SHOWN)
    assert sum(mark != NOT_SHOWN for mark in marks.values()) == 2


def test_unknown_is_neither() -> None:
    marks = of("?drink,car,?vehicle")
    assert (marks["drink"], marks["food"]) == (UNKNOWN, UNKNOWN)
    assert marks["vehicle"] == SHOWN  # a car is one
    assert of("?car,truck")["vehicle"] == SHOWN
    assert of("") == dict.fromkeys(vocabulary().labels, NOT_SHOWN)


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="'dragon' is no label"):
        vocabulary().targets("dog,dragon")


def test_every_label_is_shown_by_some_class_and_every_class_says_something() -> None:
    classes = np.stack(list(class_targets().values()))
    assert len(classes) == 210
    assert (classes == SHOWN).any(axis=0).all()
    assert (np.stack(list(film_targets().values())) == SHOWN).any(axis=1).sum() > 200
