"""Sequential identification: evidence is weighed as frames arrive, and an answer is given as soon as it holds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.codes import FrameCodes
from pipeline.detector import ScreenFinder
from pipeline.encoder import BATCH_FRAMES, FrameEncoder, batches_of_one_size
from pipeline.frames import Frame
from pipeline.matching import SAME_MOMENT_SECONDS, Match, Matcher
from pipeline.query import Query
from pipeline.views import CodedFrame, ViewWindow

CLIP_WINDOW_SECONDS = 10.0  # of a recorded clip weighed together
CLIP_STEP_SECONDS = 1.0  # of clip between two decisions
ENOUGH_SECONDS = 6.0  # an accepted answer is still refined until so much of the clip is weighed
SURE_NATS, SURE_SECONDS = 30.0, 1.5  # odds as long as these after this much of the clip need no refinement

LIVE_WINDOW_SECONDS = 6.0  # shorter than a clip's: what was on before must be forgotten soon
LIVE_STEP_SECONDS = 0.5
WIDE_EVERY_SECONDS = 1.4  # every third decision
CONFIRM_FOR_SECONDS = 4.0  # what is held is only confirmed for so long, then searched for anew
NEW_SECONDS = 1.8  # an answer is searched for anew after so long: the second it was found from hardly tells its speed
SWITCH_SECONDS = 1.0  # of frames that do not confirm what is held: enough to look whether something else is on
LOST_AFTER_SECONDS = 3.0  # without an accepted answer; a dark or blurred scene may take two
STILL_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class ClipAnswer:
    """What a recorded clip was found to be.

    match: None for "unknown". query_seconds: how much of the clip was seen when the answer first held.
    frames: coded. seconds: of clip seen.
    """

    match: Match | None
    query_seconds: float
    frames: int
    seconds: float


@dataclass(frozen=True)
class LiveEvent:
    """A change, or a sign of life, of a live source.

    at: time of the source in seconds. match: the answer that holds, or, for "lost", the one that held.
    """

    event: Literal["found", "still", "lost"]
    at: float
    match: Match


@dataclass(frozen=True)
class Decision:
    """What was known of a clip at one time of it.

    at: seconds of clip seen. match: the answer that holds. first_seen: when it first held. guess: the likeliest answer,
    accepted or not; None when nothing got a vote. frames: coded so far. final: the answer needs no more of the clip.
    """

    at: float
    match: Match | None
    first_seen: float
    guess: Match | None
    frames: int
    final: bool


def identify_clip(
    frames: Iterable[Frame], encoder: FrameEncoder, matcher: Matcher, detector: ScreenFinder | None = None
) -> ClipAnswer:
    """Identifies a clip, reading no more of it than the answer needs.

    An unknown clip is read to its end, the last `CLIP_WINDOW_SECONDS` at a time.
    """
    answer = ClipAnswer(None, 0.0, 0, 0.0)
    for decision in decisions(frames, Query(encoder, CLIP_WINDOW_SECONDS, detector), matcher):
        answer = ClipAnswer(decision.match, decision.first_seen, decision.frames, decision.at)
        if decision.final:
            break
    return answer


def identify_codes(frames: Sequence[CodedFrame], matcher: Matcher) -> ClipAnswer:
    """Identifies a clip that came as codes, as `identify_clip` does one of pictures."""
    window = ViewWindow(CLIP_WINDOW_SECONDS)
    best: Match | None = None
    first_seen, clock = 0.0, _Clock()
    for k, frame in enumerate(frames):
        window.add([frame])
        seen = frame.pts_seconds
        if seen < clock.due_seconds and k < len(frames) - 1:
            continue
        clock.due_seconds = (seen // CLIP_STEP_SECONDS + 1) * CLIP_STEP_SECONDS
        guess = matcher.best_guess(window.views(), window.hopeful())
        best, first_seen = _revised(best, _accepted(guess, matcher), first_seen, seen)
        window.follow_only(best.view if best else None)
        if best is not None and (seen >= ENOUGH_SECONDS or (best.odds.both >= SURE_NATS and seen >= SURE_SECONDS)):
            break
    return ClipAnswer(best, first_seen, window.frames, window.last_pts_seconds)


def decisions(frames: Iterable[Frame], query: Query, matcher: Matcher) -> Iterator[Decision]:
    """The decisions about a clip as it is read, one a second and one at its end."""
    best: Match | None = None
    guess: Match | None = None
    first_seen, seen, decided = 0.0, 0.0, True
    for batch, due in _until_due(frames):
        query.add(batch)
        seen, decided = query.last_pts_seconds, due
        if not due:
            continue
        guess = matcher.best_guess(query.views(), query.hopeful())
        best, first_seen = _revised(best, _accepted(guess, matcher), first_seen, seen)
        query.follow_only(best.view if best else None)
        sure = best is not None and best.odds.both >= SURE_NATS and seen >= SURE_SECONDS
        enough = best is not None and seen >= ENOUGH_SECONDS
        yield Decision(seen, best, first_seen, guess, query.frames, sure or enough)
    if not decided:
        guess = matcher.best_guess(query.views(), query.hopeful())
        best, first_seen = _revised(best, _accepted(guess, matcher), first_seen, seen)
        yield Decision(seen, best, first_seen, guess, query.frames, True)


def _until_due(frames: Iterable[Frame]) -> Iterator[tuple[list[Frame], bool]]:
    """Batches to code, and whether a decision is due after them; the frame at which it is due ends its batch."""
    clock = _Clock()
    for batch in batches_of_one_size(frames, BATCH_FRAMES, clock.is_due):
        passed = clock.is_due(batch[-1])
        if passed:
            clock.due_seconds = (batch[-1].pts_seconds // CLIP_STEP_SECONDS + 1) * CLIP_STEP_SECONDS
        yield batch, passed


@dataclass
class _Clock:
    """due_seconds: time of the clip at which the next decision is due."""

    due_seconds: float = CLIP_STEP_SECONDS

    def is_due(self, frame: Frame) -> bool:
        """Whether a decision is due after this frame."""
        return frame.pts_seconds >= self.due_seconds


def _accepted(guess: Match | None, matcher: Matcher) -> Match | None:
    return guess if guess and matcher.accepts(guess) else None


def _revised(best: Match | None, new: Match | None, first_seen: float, now: float) -> tuple[Match | None, float]:
    """The answer after one more decision, and when it first held.

    While the whole clip is weighed, the last decision has seen all that the earlier ones saw, and stands. Later, what
    has left the window still counts: then the answer with the longer odds stands.
    """
    if now > CLIP_WINDOW_SECONDS and (new is None or (best is not None and new.odds.both <= best.odds.both)):
        return best, first_seen
    if new is None:
        return None, 0.0
    if best is not None and _same_place(best, new, now):
        return new, first_seen
    return new, now


def _same_place(a: Match, b: Match, at: float) -> bool:
    return a.number == b.number and abs(a.film_seconds(at) - b.film_seconds(at)) < SAME_MOMENT_SECONDS


class Evidence(Protocol):
    """What is weighed: a `Query`, or a `ViewWindow` of codes that came from elsewhere."""

    @property
    def last_pts_seconds(self) -> float:
        """Time of the newest frame, seconds."""

    def views(self) -> list[FrameCodes]:
        """What to match."""

    def hopeful(self) -> list[int]:
        """The views for which a wider search is worth its cost."""

    def follow_only(self, view: int | None) -> None:
        """From now on weigh this view alone; None: all of them again."""

    def forget_before(self, start_seconds: float) -> None:
        """Leaves out what came before a time."""


class LiveDecider:
    """Decides twice a second what is on a live source.

    current: the answer that holds, None for "unknown". held_at: when a decision last confirmed it, source seconds.
    """

    def __init__(self, evidence: Evidence, matcher: Matcher, current: Match | None = None, at: float = 0.0) -> None:
        self._evidence = evidence
        self._matcher = matcher
        self.current = current
        self.held_at = self._decided_at = self._reported_at = self._searched_at = self._matched_at = at
        self._confirmed_at = self._found_at = at

    def decide(self) -> list[LiveEvent]:
        """What changed with the frames that were added; nothing when the last decision is too recent."""
        now = self._evidence.last_pts_seconds
        if now - self._decided_at < LIVE_STEP_SECONDS * 0.9:
            return []
        self._decided_at = now
        views = self._evidence.views()
        if self.current is not None and self._matcher.confirms(views[self.current.view], self.current):
            self._confirmed_at = now
            new = self._matched_at - self._found_at < NEW_SECONDS
            if now - self._matched_at < (NEW_SECONDS if new else CONFIRM_FOR_SECONDS):
                return self._matched(self.current, now)
        match = self._switched(views, now) or self._matcher.match(views, self._worth_searching(now))
        self._matched_at = now
        return self._nothing_matched(now) if match is None else self._matched(match, now)

    def _switched(self, views: Sequence[FrameCodes], now: float) -> Match | None:
        """What the frames show that came since the answer was last confirmed, when that is something else.

        What came before, which speaks for the old answer, is forgotten then.
        """
        if self.current is None or now - self._confirmed_at < SWITCH_SECONDS:
            return None
        match = self._matcher.match([view.since(self._confirmed_at) for view in views], [])
        if match is None or _same_place(self.current, match, now):
            return None
        self._evidence.forget_before(self._confirmed_at)
        return match

    def end(self) -> list[LiveEvent]:
        """The source is over: what is held is lost."""
        if self.current is None:
            return []
        lost, self.current = self.current, None
        self._evidence.follow_only(None)
        return [LiveEvent("lost", self._decided_at, lost)]

    def _worth_searching(self, now: float) -> list[int]:
        """The views for a wider search: now and then, for a camera on which nothing is found costs the most."""
        if now - self._searched_at < WIDE_EVERY_SECONDS:
            return []
        self._searched_at = now
        return self._evidence.hopeful()

    def _nothing_matched(self, now: float) -> list[LiveEvent]:
        return self.end() if now - self.held_at >= LOST_AFTER_SECONDS else []

    def _matched(self, match: Match, now: float) -> list[LiveEvent]:
        self.held_at = now
        self._evidence.follow_only(match.view)
        if self.current is None or not _same_place(self.current, match, now):
            self.current, self._reported_at, self._confirmed_at, self._found_at = match, now, now, now
            return [LiveEvent("found", now, match)]
        self.current = match  # the newest says best where the film is by now
        if now - self._reported_at >= STILL_EVERY_SECONDS * 0.95:
            self._reported_at = now
            return [LiveEvent("still", now, match)]
        return []


class LiveSession:
    """Follows one live source and says what is on it."""

    def __init__(self, encoder: FrameEncoder, matcher: Matcher) -> None:
        self._query = Query(encoder, LIVE_WINDOW_SECONDS)
        self._decider = LiveDecider(self._query, matcher)

    def follow(self, frames: Iterable[Frame]) -> Iterator[LiveEvent]:
        """Events of a source, as its frames come; at the end of the source what is held is lost."""
        for batch in batches_of_one_size(frames, int(LIVE_STEP_SECONDS * 10)):
            self._query.add(batch)
            yield from self._decider.decide()
        yield from self._decider.end()
