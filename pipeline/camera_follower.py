"""One camera followed live: codes in, match events and sightings out, all its state small enough for Redis."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.camera_labels import CameraLabels
from pipeline.channels import aired_at
from pipeline.code_stream import NS, StoredFrame
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.matching import Match, Matcher, Odds
from pipeline.query import QUERY_FPS
from pipeline.recogniser import Labels
from pipeline.session import LIVE_WINDOW_SECONDS, LiveDecider, LiveEvent
from pipeline.sightings import Sighting
from pipeline.views import ViewWindow

LEAST_STEP_SECONDS = 0.9 / QUERY_FPS  # frames that follow closer say nothing new
JUMP_SECONDS = 30.0  # without a frame, or back in time: another stream, which begins anew
SHOWN_NS = 10 * NS  # between two tellings of what a camera shows by recognition


@dataclass(frozen=True)
class MatchEvent:
    """What changed on a camera. event: found, moved or lost. time: capture time of the frame that decided, epoch s.

    at_seconds: the film's moment then. id: the same when the event is told again. aired_at: of a channel, when that
    moment was on the air, UTC. labels: what is on the camera now, most probable first: of what is found, what the film
    shows at that moment; else, and where nothing is stored of it, what recognition says of the camera's pictures.
    """

    id: str
    event: str
    camera: str
    video: str
    title: str
    time: float
    at_seconds: float
    speed: float
    confidence: float
    aired_at: str | None = None
    labels: Sequence[tuple[str, float]] = ()

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rounded = {"time": round(self.time, 3), "at_seconds": round(self.at_seconds, 3), "speed": round(self.speed, 4)}
        fields = {**asdict(self), **rounded, "confidence": round(self.confidence, 6)}
        return {name: value for name, value in fields.items() if name != "aired_at" or value}


@dataclass(frozen=True)
class ShownEvent:
    """What a camera shows on which nothing is found, by recognition, when that changes. time: epoch seconds."""

    id: str
    camera: str
    time: float
    labels: Sequence[tuple[str, float]]
    event: str = "shows"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "time": round(self.time, 3)}


@dataclass
class Changes:
    """What following some frames led to, to be written together."""

    events: list[MatchEvent | ShownEvent] = field(default_factory=list)
    sightings: dict[str, Sighting] = field(default_factory=dict)  # by id, the newest state of each

    def __bool__(self) -> bool:
        return bool(self.events or self.sightings)


class CameraFollower:
    """state: what `state()` gave to whoever followed the camera before, None for a new one.

    films: what films show. tells_shown: whether there are events `shows`.
    """

    def __init__(
        self,
        camera: str,
        matcher: Matcher,
        library: Library,
        state: str | None = None,
        films: FilmLabels | None = None,
        tells_shown: bool = False,
    ) -> None:
        self.camera = camera
        self._matcher, self._library = matcher, library
        self._films = films or FilmLabels(library.store)
        known: dict[str, Any] = json.loads(state) if state else {}
        self._origin_ns = int(known.get("origin_ns", 0))
        self._last_ns = int(known.get("last_ns", 0))
        self._sighting = Sighting(**known["sighting"]) if known.get("sighting") else None
        match = _match_of(known["match"]) if known.get("match") else None
        self._labels = CameraLabels(known.get("labelled"))
        self._tells_shown = tells_shown
        self._shown: list[str] = known.get("shown", [])  # names of the labels that were told last
        self._shown_ns = int(known.get("shown_ns", 0))
        self._begin(match)

    @property
    def follow(self) -> int | None:
        """The view that matched, which is enough to code from now on; None: all of them."""
        return self._window.only

    @property
    def holds(self) -> bool:
        """Whether something is found and not lost."""
        return self._decider.current is not None

    def state(self) -> str:
        """What whoever follows the camera next must know, but for the codes of the last seconds."""
        return json.dumps(
            {
                "origin_ns": self._origin_ns,
                "last_ns": self._last_ns,
                "match": asdict(self._decider.current) if self._decider.current else None,
                "sighting": asdict(self._sighting) if self._sighting else None,
                "labelled": self._labels.state(),
                "shown": self._shown,
                "shown_ns": self._shown_ns,
            }
        )

    def remember(self, frames: Sequence[StoredFrame]) -> None:
        """The codes that came before those that will be followed."""
        if self._origin_ns:
            self._window.add([frame.coded(self._origin_ns) for frame in frames if frame.ts_ns <= self._last_ns])

    def advance(self, frames: Sequence[StoredFrame]) -> Changes:
        """Follows the next frames, in their order."""
        changes = Changes()
        for frame in frames:
            gap = (frame.ts_ns - self._last_ns) / NS
            begins = not self._origin_ns or not 0 <= gap < JUMP_SECONDS
            if begins:
                self._note(self._decider.end(), changes)
                self._origin_ns, self._labels = frame.ts_ns, CameraLabels()
                self._begin(None)
            self._see_labels(frame)
            if not begins and gap < LEAST_STEP_SECONDS:
                continue
            self._last_ns = frame.ts_ns
            self._window.add([frame.coded(self._origin_ns)])
            events = self._decider.decide()
            if not events:
                self._hold()
            self._note(events, changes)
            self._tell_shown(changes)
        return changes

    def end(self) -> Changes:
        """The camera is silent: what is found counts as lost."""
        changes = Changes()
        self._note(self._decider.end(), changes)
        return changes

    def _begin(self, match: Match | None) -> None:
        self._window = ViewWindow(LIVE_WINDOW_SECONDS)
        at = (self._last_ns - self._origin_ns) / NS if match else 0.0
        self._decider = LiveDecider(self._window, self._matcher, match, at)
        if match is not None:
            self._window.follow_only(match.view)

    def _note(self, events: Sequence[LiveEvent], changes: Changes) -> None:
        for event in events:
            video, title = self._named(event.match.number)
            if event.event == "lost":
                self._lose(event, changes, video, title)
            elif event.event == "still" and self._sighting is not None:
                self._hold()
                changes.sightings[self._sighting.id] = self._sighting
            elif self._sighting is not None and self._sighting.video == video:
                self._close(changes)
                self._open(event, changes, video, title, "moved")
            else:
                if self._sighting is not None:
                    self._lost_by(self._sighting, event, changes)
                self._open(event, changes, video, title, "found")

    def _open(self, event: LiveEvent, changes: Changes, video: str, title: str, name: str) -> None:
        time, moment = self._epoch(event.at), event.match.film_seconds(event.at)
        self._sighting = Sighting(
            id=sighting_id(self.camera, time),
            video=video,
            title=title,
            camera=self.camera,
            start=time,
            end=time,
            film_start=moment,
            film_end=moment,
            confidence=event.match.confidence,
            open=True,
        )
        changes.sightings[self._sighting.id] = self._sighting
        self._tell(name, event, changes, video, title)

    def _hold(self) -> None:
        """The sighting reaches as far as the last decision that confirmed it."""
        match = self._decider.current
        if self._sighting is None or match is None:
            return
        self._sighting = replace(
            self._sighting,
            end=self._epoch(self._decider.held_at),
            film_end=match.film_seconds(self._decider.held_at),
            confidence=max(self._sighting.confidence, match.confidence),
        )

    def _lose(self, event: LiveEvent, changes: Changes, video: str, title: str) -> None:
        self._close(changes)
        self._tell("lost", event, changes, video, title)

    def _lost_by(self, old: Sighting, event: LiveEvent, changes: Changes) -> None:
        """Another video takes the place of the one that was on."""
        self._close(changes)
        self._tell("lost", event, changes, old.video, old.title)

    def _close(self, changes: Changes) -> None:
        if self._sighting is not None:
            changes.sightings[self._sighting.id] = replace(self._sighting, open=False)
            self._sighting = None

    def _tell(self, name: str, event: LiveEvent, changes: Changes, video: str, title: str) -> None:
        time, match = self._epoch(event.at), event.match
        labels = self._labels_of(name, match.number, match.film_seconds(event.at))
        if name == "lost":
            self._remember_shown(labels)
        changes.events.append(
            MatchEvent(
                id=f"{self.camera}/{round(time * 1000)}/{name}",
                event=name,
                camera=self.camera,
                video=video,
                title=title,
                time=time,
                at_seconds=match.film_seconds(event.at),
                speed=match.speed,
                confidence=match.confidence,
                aired_at=self._aired_at(match.number, match.film_seconds(event.at)),
                labels=labels,
            )
        )

    # What is on, in words

    def _see_labels(self, frame: StoredFrame) -> None:
        labels = frame.labels()
        if labels is not None:
            self._labels.add(frame.ts_ns, labels)

    def _labels_of(self, name: str, number: int, at_seconds: float) -> Labels:
        """Of the film that is on, where it has some; else of what the camera shows."""
        shown = self._labels.now(self._last_ns)
        return shown if name == "lost" else self._films.at(number, at_seconds) or shown

    def _remember_shown(self, shown: Sequence[tuple[str, float]]) -> None:
        """Notes what was told of the camera, so that it is not told again."""
        self._shown, self._shown_ns = _names(shown), self._last_ns

    def _tell_shown(self, changes: Changes) -> None:
        """Where nothing is found, tells what the camera shows when that has changed, though not all the time."""
        if not self._tells_shown or self.holds or 0 <= self._last_ns - self._shown_ns < SHOWN_NS:
            return
        shown = self._labels.now(self._last_ns)
        if _names(shown) != self._shown:
            self._remember_shown(shown)
            time = self._last_ns / NS
            changes.events.append(ShownEvent(f"{self.camera}/{round(time * 1000)}/shows", self.camera, time, shown))

    def _epoch(self, at: float) -> float:
        return self._origin_ns / NS + at

    def _aired_at(self, number: int, at_seconds: float) -> str | None:
        record = self._library.resolve([number]).get(number)
        return aired_at(record, at_seconds) if record else None

    def _named(self, number: int) -> tuple[str, str]:
        record = self._library.resolve([number]).get(number)
        return (record.id, record.title) if record else ("(removed)", "(removed)")


def sighting_id(camera: str, start: float) -> str:
    """Of the sighting that begins on a camera at a time, epoch seconds."""
    return f"{camera}/{round(start * 1000)}"


def _names(labels: Sequence[tuple[str, float]]) -> list[str]:
    return sorted(name for name, _ in labels)


def _match_of(known: dict[str, Any]) -> Match:
    return Match(**{**known, "odds": Odds(**known["odds"])})
