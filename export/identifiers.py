"""Ways to identify a clip, all given the same frames and the same screens: ours, the baselines, and unrectified."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pdqhash

from pipeline.codes import FrameCodes
from pipeline.detector import SURE, ScreenFinder, Sighting
from pipeline.encoder import Corners, FrameEncoder, whole_picture
from pipeline.evidence import EvidenceModel
from pipeline.frames import Frame, RgbImage
from pipeline.indexing import code_film, fingerprint, open_film
from pipeline.letterbox import ActiveArea
from pipeline.library import Library
from pipeline.matching import DecisionRule, Match, Matcher, Odds
from pipeline.media import read_frames
from pipeline.query import QUERY_FPS, Query
from pipeline.reference import CatalogueReference
from pipeline.screen import ScreenTracker
from pipeline.session import CLIP_WINDOW_SECONDS, Decision, decisions
from pipeline.videos import VideoFields

NO_ODDS = Odds(-20.0, 0.0)  # of a clip for which nothing got a vote
SLACK_SECONDS = 0.15  # a decision so much later than a length is still that length's
PDQ_SIDE = 256  # pixels of a rectified picture
PDQ_RADIUS = 31  # bits of 256, the distance that PDQ's makers recommend
PDQ_VOTES = 3  # frames that must agree on film and offset
PDQ_BIN_SECONDS = 0.5
PDQ_MOMENT_ODDS = 100.0  # no other moment is weighed; more than a clip's votes, so that those alone rank the answers


@dataclass(frozen=True)
class Guess:
    """What was answered to the first `seconds` of a clip.

    film: stem of its file, None when nothing got a vote. at_seconds: the film's moment at the clip's start.
    confidence: 0..1, for PDQ the votes as a share of the frames. accepted: whether it was let out.
    first_seen: when the accepted answer first held, seconds of clip.
    """

    seconds: float
    film: str | None
    at_seconds: float
    speed: float
    odds: Odds
    confidence: float
    accepted: bool
    first_seen: float


@dataclass(frozen=True)
class SeenClip:
    """A clip, decoded and searched for screens once for all identifiers.

    frames: at `QUERY_FPS`. sightings: of each frame, as the detector sees it alone. screens: followed, or None.
    """

    frames: list[Frame] = field(repr=False)
    sightings: list[Sighting] = field(repr=False)
    screens: list[Sighting | None] = field(repr=False)

    @staticmethod
    def of_file(path: Path, detector: ScreenFinder) -> "SeenClip":
        """Reads a clip."""
        frames = list(read_frames(path, max_fps=QUERY_FPS))
        sightings = detector.detect([frame.image for frame in frames])
        tracker = ScreenTracker()
        screens = [
            tracker.add(seen, frame.image.shape[:2], frame.pts_seconds)
            for seen, frame in zip(sightings, frames, strict=True)
        ]
        return SeenClip(frames, sightings, screens)


class Identifier(ABC):
    """One way to identify clips, with a catalogue of its own."""

    name: str

    @abstractmethod
    def index(self, film: Path) -> float:
        """Adds a film and returns its length in seconds."""

    @abstractmethod
    def identify(self, clip: SeenClip, lengths: Sequence[float]) -> list[Guess]:
        """What is answered to the clip's first seconds, for each length."""


class HashIdentifier(Identifier):
    """An encoder of 32 bits and VNOME's index and matcher. rectified: False codes the camera's whole picture."""

    def __init__(
        self, name: str, encoder: FrameEncoder, evidence: EvidenceModel, rule: DecisionRule, library: Library, *,
        rectified: bool = True,
    ) -> None:  # fmt: skip
        self.name, self.encoder, self.library = name, encoder, library
        self._matcher = Matcher(CatalogueReference(library), evidence, rule)
        self._rectified = rectified

    def index(self, film: Path) -> float:
        if film.stem in {record.id for record in self.library.videos()}:
            return 0.0  # two identifiers may share a catalogue
        coded = code_film(film, self.encoder, lambda _: None)
        fields = VideoFields(film.stem, film.stem, film.name, fingerprint(film), self.name)
        self.library.add(fields, coded.track, coded.duration_seconds, coded.frames, {}, coded.motion)
        return coded.duration_seconds

    def identify(self, clip: SeenClip, lengths: Sequence[float]) -> list[Guess]:
        finder = _Remembered(clip)
        kind = Query if self._rectified else _WholePictureQuery
        query = kind(self.encoder, CLIP_WINDOW_SECONDS, finder)
        made: list[Decision] = []
        for decision in decisions(iter(clip.frames), query, self._matcher):
            made.append(decision)
            if decision.final:
                break
        return [self._guess(made, seconds) for seconds in lengths]

    def _guess(self, made: list[Decision], seconds: float) -> Guess:
        """What a clip that ends after `seconds` is answered."""
        seen = [decision for decision in made if decision.at <= seconds + SLACK_SECONDS]
        last = seen[-1] if seen else None
        match: Match | None = (last.match or last.guess) if last else None
        if last is None or match is None:
            return Guess(seconds, None, 0.0, 1.0, NO_ODDS, 0.0, False, 0.0)
        film = self.library.resolve([match.number])[match.number].id
        return Guess(
            seconds, film, match.at_seconds, match.speed, match.odds, match.confidence, last.match is not None,
            last.first_seen,
        )  # fmt: skip


class PdqIdentifier(Identifier):
    """PDQ (256 bits) on the rectified frames, with a vote for the offset: hits within `PDQ_RADIUS` bits.

    Facebook, "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm", 2019.
    """

    name = "PDQ-256"

    def __init__(self) -> None:
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._seconds: list[npt.NDArray[np.float64]] = []
        self._films: list[str] = []

    def index(self, film: Path) -> float:
        frames, inside = open_film(film)
        kept = [(_pdq(frame.image, inside), frame.pts_seconds) for frame in frames]
        self._hashes.append(np.stack([code for code, _ in kept]))
        self._seconds.append(np.array([seconds for _, seconds in kept]))
        self._films.append(film.stem)
        return float(kept[-1][1])

    def identify(self, clip: SeenClip, lengths: Sequence[float]) -> list[Guess]:
        area = ActiveArea()
        for frame in clip.frames:
            area.add(frame.image)
        inside = area.corners()
        codes = [
            _pdq(frame.image, screen.corners if screen and screen.confidence > SURE else inside)
            for frame, screen in zip(clip.frames, clip.screens, strict=True)
        ]
        times = np.array([frame.pts_seconds for frame in clip.frames])
        return [self._vote(np.stack(codes)[times <= seconds], times[times <= seconds], seconds) for seconds in lengths]

    def _vote(self, codes: npt.NDArray[np.uint64], times: npt.NDArray[np.float64], seconds: float) -> Guess:
        best, film, at = 0, None, 0.0
        for stem, hashes, moments in zip(self._films, self._hashes, self._seconds, strict=True):
            distance = np.bitwise_count(codes[:, None] ^ hashes[None]).sum(axis=2)  # (N, M)
            query, place = np.nonzero(distance <= PDQ_RADIUS)
            bins = np.floor((moments[place] - times[query]) / PDQ_BIN_SECONDS).astype(np.int64)
            votes = {(int(b), int(q)) for b, q in zip(bins, query, strict=True)}  # a frame votes once for an offset
            if not votes:
                continue
            offsets, counts = np.unique([b for b, _ in votes], return_counts=True)
            if int(counts.max()) > best:
                best, film = int(counts.max()), stem
                near = bins == offsets[int(counts.argmax())]
                at = float(np.median((moments[place] - times[query])[near]))
        share = best / max(len(codes), 1)
        return Guess(seconds, film, at, 1.0, Odds(float(best), PDQ_MOMENT_ODDS), share, best >= PDQ_VOTES, seconds)


class _Remembered(ScreenFinder):
    """Says of a clip's frames what the detector already said of them."""

    def __init__(self, clip: SeenClip) -> None:
        self._seen = {id(frame.image): seen for frame, seen in zip(clip.frames, clip.sightings, strict=True)}

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        return [self._seen[id(image)] for image in images]


class _WholePictureQuery(Query):
    """A query that looks for no screen."""

    def views(self) -> list[FrameCodes]:
        return super().views()[:1]


def _pdq(image: RgbImage, corners: Corners | None) -> npt.NDArray[np.uint64]:
    """PDQ's 256 bits of the screen, or of the whole picture, as uint64 (4,)."""
    place = whole_picture(image) if corners is None else corners
    edges = np.array([[0, 0], [PDQ_SIDE, 0], [PDQ_SIDE, PDQ_SIDE], [0, PDQ_SIDE]], np.float32)
    warp = cv2.getPerspectiveTransform(place.astype(np.float32), edges)
    bits, _ = pdqhash.compute(cv2.warpPerspective(image, warp, (PDQ_SIDE, PDQ_SIDE), flags=cv2.INTER_AREA))
    return np.packbits(np.asarray(bits, np.uint8)).view(np.uint64)
