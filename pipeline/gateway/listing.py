"""Sorting and paging of lists."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pipeline.gateway.problems import Problem

T = TypeVar("T")


def page_of(
    entries: Sequence[T], sort: str, fields: Mapping[str, Callable[[T], Any]], offset: int, limit: int
) -> list[T]:
    """Entries [offset, offset + limit) in the order of a field, "-" before it for descending.

    Raises Problem for a field that there is not.
    """
    name = sort.removeprefix("-")
    if name not in fields:
        raise Problem(422, f"sort {sort!r} is not one of {', '.join(fields)}, with - before it for descending")
    ordered = sorted(entries, key=fields[name], reverse=sort.startswith("-"))
    return ordered[offset : offset + limit]
