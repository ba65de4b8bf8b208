"""Documents of the gateway's HTTP interface, as OpenAPI tells them."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from pipeline.gateway.parts import LIST_LIMIT
from pipeline.live_wire import LAST_MS

VideoId = Annotated[str, Path(max_length=200, description="Id of the video.", examples=["bikes"])]
Language = Annotated[str, Path(max_length=40, description="Language tag.", examples=["en"])]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Entries to skip.")]
Limit = Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Entries to give at most.")]


def _example(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Info(BaseModel):
    """What a client must know before it does anything."""

    model_config = _example(version="0.1.0", encoder="1f0c…", detector="90ab…", public=True, scopes=["query"])
    version: str
    encoder: str = Field(description="SHA-256 of the model whose codes this catalogue understands.")
    detector: str
    public: bool = Field(description="Whether scope query needs no key.")
    scopes: list[str] = Field(description="What the caller may do.")


class BundleInfo(BaseModel):
    """A model for phones."""

    name: str
    kind: str
    sha256: str
    bytes: int
    url: str = Field(description="Of the model; what it gives never changes.")


class BundleList(BaseModel):
    """All models for phones."""

    bundles: list[BundleInfo]


Shown = list[tuple[str, float]]  # labels and their probabilities, the most probable first


class Code(BaseModel):
    """A frame as code."""

    t: int = Field(ge=0, le=LAST_MS, description="Time of the frame, ms on the sender's clock.")
    code: int = Field(ge=0, lt=1 << 32)
    margins: list[float] = Field(min_length=32, max_length=32, description="Of each bit, lowest first, nats.")
    reading: int = Field(0, ge=0, le=7, description="0 whole picture, 4 screen; see `pipeline.views.VIEWS`.")


class Codes(BaseModel):
    """A clip as codes."""

    model_config = _example(encoder="1f0c…", codes=[{"t": 0, "code": 2391032259, "margins": [2.5] * 32}])
    encoder: str = Field(description="SHA-256 of the model that made them, as /v1/info says.")
    codes: list[Code] = Field(min_length=1, max_length=8000)


class FoundMatch(BaseModel):
    """A video, and the moment of it at the start of the clip."""

    video: str
    title: str
    at_seconds: float
    query_seconds: float = Field(description="How much of the clip was needed.")
    confidence: float
    speed: float = Field(description="Film seconds a clip second.")
    labels: Shown = Field(description="What the film shows at that moment, most probable first.")
    aired_at: str | None = Field(None, description="Of a channel: when that moment was on the air, UTC.")


class Identified(BaseModel):
    """What a clip shows; no match for unknown."""

    model_config = _example(
        matches=[
            {
                "video": "bikes",
                "title": "Bikes",
                "at_seconds": 3.37,
                "query_seconds": 1.0,
                "confidence": 0.999998,
                "speed": 1.0,
                "labels": [["bicycle", 0.93]],
            }
        ],
        frames=21,
        seconds=2.0,
    )
    matches: list[FoundMatch]
    frames: int
    seconds: float


class Video(BaseModel):
    """A video of the catalogue. poster, film: addresses, null where there is none."""

    model_config = _example(
        video="bikes",
        title="Bikes",
        duration_seconds=10.0,
        frames=125,
        added_at="2026-11-26T17:40:00+00:00",
        languages=["en", "it"],
        live=False,
        poster="/v1/videos/bikes/poster",
        film="/v1/videos/bikes/film",
    )
    video: str
    title: str
    duration_seconds: float
    frames: int
    added_at: str
    languages: list[str]
    live: bool = Field(description="A channel that is indexed as it airs.")
    poster: str | None
    film: str | None = Field(description="The film's file, where it is at hand.")


class VideoList(BaseModel):
    """A page of the catalogue."""

    videos: list[Video]
    total: int


class VideoChange(BaseModel):
    """What to change of a video."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"title": "Bikes", "subtitles": {"it": "WEBVTT\n\n00:01.000 --> 00:02.000\nCiao\n", "de": None}}
            ]
        },
    )
    title: str | None = None
    subtitles: dict[str, str | None] | None = Field(None, description="By language: WebVTT or SRT; null deletes.")


class CueText(BaseModel):
    """A subtitle over [start, end), seconds of the film."""

    start: float
    end: float
    text: str


class CueList(BaseModel):
    """The subtitles of a video in one language."""

    language: str
    cues: list[CueText]


class UploadState(BaseModel):
    """A film on its way into the catalogue. progress: 0 to 1 of the film coded."""

    model_config = _example(
        upload="5b0c9d3e7f1a4b2c",
        video="bikes",
        title="Bikes",
        state="coding",
        progress=0.4,
        detail=None,
        started_at=1795714800.0,
        video_url=None,
    )
    upload: str
    video: str
    title: str
    state: Literal["waiting", "coding", "storing", "done", "failed", "cancelled"]
    progress: float
    detail: str | None = Field(description="Why it failed.")
    started_at: float = Field(description="Epoch seconds.")
    video_url: str | None


class UploadList(BaseModel):
    """Uploads of this gateway, the newest first."""

    uploads: list[UploadState]
    total: int


class SearchResult(BaseModel):
    """A video, or a moment of one."""

    kind: Literal["title", "subtitle", "label"]
    video: str
    title: str
    at_seconds: float
    until_seconds: float
    text: str
    language: str | None = None
    score: float | None = Field(None, description="Of a label: its probability.")


class SearchResults(BaseModel):
    """A page of what was found."""

    results: list[SearchResult]
    total: int
    near: list[str] = Field([], description="Where nothing is found: labels that are written like it, or the usual.")


class SightingInfo(BaseModel):
    """A video on a camera. start, end: epoch seconds; film_start, film_end: seconds of the film."""

    id: str
    video: str
    title: str
    camera: str
    start: float
    end: float
    film_start: float
    film_end: float
    confidence: float
    open: bool = Field(description="It is still on.")
    frame: str | None = Field(description="Address of what the camera saw.")
    frame_film_seconds: float | None = Field(description="The film's moment in that picture.")
    labels: Shown = Field(description="What that part of the film shows, each label by how much of the part it fills.")


class SightingList(BaseModel):
    """A page of sightings."""

    sightings: list[SightingInfo]
    total: int


class Showing(BaseModel):
    """What a camera shows. since: epoch seconds."""

    video: str
    title: str
    at_seconds: float
    since: float
    confidence: float


class CameraInfo(BaseModel):
    """A camera. last_seen: time of its newest frame, epoch seconds."""

    camera: str
    last_seen: float
    showing: Showing | None
    labels: Shown = Field(description="What is on it now: of a film its labels, else what recognition sees.")
    frame: str | None


class CameraList(BaseModel):
    """A page of cameras."""

    cameras: list[CameraInfo]
    total: int
