"""What was checked, and how it came out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from proof.engine import MissingError, say

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@dataclass
class Row:
    """One check."""

    what: str
    told: str
    outcome: str
    seconds: float


@dataclass
class Table:
    """All checks so far."""

    rows: list[Row] = field(default_factory=list)

    @contextmanager
    def check(self, what: str) -> Iterator["Note"]:
        """A check that fails where the block raises, and is skipped where something is missing for it."""
        say(what)
        note, began = Note(), time.monotonic()
        outcome = OK
        try:
            yield note
            outcome = FAILED if note.failures else OK
        except MissingError as error:
            outcome, note.told = SKIPPED, [str(error)]
        except (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            outcome = FAILED
            note.told.append(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
        told = "; ".join([*note.told, *note.failures])
        self.rows.append(Row(what, told, outcome, time.monotonic() - began))
        say(f"  {outcome}: {told}")

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(row.outcome == FAILED for row in self.rows)

    def __str__(self) -> str:
        width = max(len(row.what) for row in self.rows)
        lines = [f"{row.outcome:<8} {row.seconds:6.0f} s  {row.what:<{width}}  {row.told}" for row in self.rows]
        counts = {outcome: sum(row.outcome == outcome for row in self.rows) for outcome in (OK, FAILED, SKIPPED)}
        lines.append(f"{counts[OK]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
        return "\n".join(lines)


@dataclass
class Note:
    """What a check found out."""

    told: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """Something for the table."""
        self.told.append(text)

    def require(self, holds: bool, otherwise: str) -> None:
        """Fails the check, which goes on, where this does not hold."""
        if not holds:
            self.failures.append(f"NOT SO: {otherwise}")
