"""`/v1/sightings` and `/v1/cameras`: what was seen, and what is on now."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from pipeline.camera_pictures import CameraPictures
from pipeline.gateway.access import Parts, Querying
from pipeline.gateway.listing import page_of
from pipeline.gateway.models import (
    CameraInfo,
    CameraList,
    Limit,
    Offset,
    Showing,
    SightingInfo,
    SightingList,
)
from pipeline.gateway.problems import Problem, answers
from pipeline.recogniser import Labels
from pipeline.sightings import Sighting, labels_of

router = APIRouter(tags=["sightings"])
NS = 1_000_000_000
_NUMBER = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_SORTS = {
    "start": lambda sighting: (sighting.start, sighting.id),
    "end": lambda sighting: (sighting.end, sighting.id),
    "camera": lambda sighting: (sighting.camera, sighting.start),
    "video": lambda sighting: (sighting.video, sighting.start),
    "confidence": lambda sighting: (sighting.confidence, sighting.start),
}
_CAMERA_SORTS = {"camera": lambda entry: entry[0], "last_seen": lambda entry: (entry[1], entry[0])}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"description": "The picture", "content": {"image/jpeg": {}}}}
Time = Annotated[str | None, Query(max_length=40, description="Epoch seconds, or ISO 8601 (UTC without a zone).")]


@router.get("/v1/sightings", response_model=SightingList, responses=answers())
def sightings(
    gateway: Parts,
    _: Querying,
    id: Annotated[str | None, Query(max_length=300, description="This one alone.")] = None,
    video: str | None = None,
    camera: str | None = None,
    since: Time = None,
    until: Time = None,
    open: bool | None = None,
    sort: Annotated[str, Query(description="start, end, camera, video or confidence")] = "-start",
    offset: Offset = 0,
    limit: Limit = 50,
) -> SightingList:
    """Which video was on which camera, from when to when, and which part of it."""
    if id is not None:
        found = gateway.sightings.get([id])
    else:
        found = gateway.sightings.find(video, camera, _epoch(since, "since"), _epoch(until, "until"))
    found = [sighting for sighting in found if open is None or sighting.open == open]
    page = page_of(found, sort, _SORTS, offset, limit)
    times = CameraPictures(gateway.store).sighting_times([sighting.id for sighting in page])
    labels = labels_of(page, gateway.library, gateway.labels)
    return SightingList(sightings=list(map(_document, page, times, labels)), total=len(found))


@router.get("/v1/sightings/frame", response_class=Response, responses={**answers(404), **_JPEG})
def sighting_frame(gateway: Parts, _: Querying, id: Annotated[str, Query(max_length=300)]) -> Response:
    """What the camera saw when a sighting began."""
    picture = CameraPictures(gateway.store).of_sighting(id)
    if picture is None:
        raise Problem(404, f"no picture is kept of sighting {id!r}")
    return Response(picture.jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/v1/cameras", response_model=CameraList, responses=answers())
def cameras(
    gateway: Parts,
    _: Querying,
    q: Annotated[str, Query(max_length=128, description="A part of the camera's id.")] = "",
    sort: Annotated[str, Query(description="camera or last_seen")] = "camera",
    offset: Offset = 0,
    limit: Limit = 50,
) -> CameraList:
    """The cameras of the last day, with what each shows now."""
    pictures = CameraPictures(gateway.store)
    known = [(camera, seen) for camera, seen in pictures.cameras() if q.casefold() in camera.casefold()]
    page = page_of(known, sort, _CAMERA_SORTS, offset, limit)
    now = gateway.sightings.open_on([camera for camera, _ in page])
    records = gateway.library.named(sighting.video for sighting, _ in now.values() if sighting)
    kept = pictures.kept([camera for camera, _ in page])
    entries = []
    for (camera, seen), has_picture in zip(page, kept, strict=True):
        frame = f"/v1/cameras/{quote(camera, safe='')}/frame" if has_picture else None
        sighting, labels = now.get(camera, (None, []))
        if sighting is not None and sighting.video in records:
            labels = gateway.labels.at(records[sighting.video].number, sighting.film_end) or labels
        showing = _showing(sighting)
        entries.append(CameraInfo(camera=camera, last_seen=seen, showing=showing, labels=labels, frame=frame))
    return CameraList(cameras=entries, total=len(known))


@router.get("/v1/cameras/{camera}/frame", response_class=Response, responses={**answers(404), **_JPEG})
def camera_frame(gateway: Parts, _: Querying, camera: str) -> Response:
    """The newest picture of a camera, small."""
    picture = CameraPictures(gateway.store).of_camera(camera)
    if picture is None:
        raise Problem(404, f"no picture is kept of camera {camera!r}")
    return Response(picture.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _document(sighting: Sighting, ts_ns: int | None, labels: Labels) -> SightingInfo:
    moment = None
    if ts_ns is not None:
        moment = round(max(sighting.film_start + (ts_ns / NS - sighting.start), 0.0), 3)
    frame = f"/v1/sightings/frame?id={quote(sighting.id, safe='')}" if ts_ns is not None else None
    return SightingInfo(**sighting.document(), frame=frame, frame_film_seconds=moment, labels=labels)


def _showing(sighting: Sighting | None) -> Showing | None:
    if sighting is None:
        return None
    return Showing(
        video=sighting.video,
        title=sighting.title,
        at_seconds=round(sighting.film_end, 3),
        since=round(sighting.start, 3),
        confidence=round(sighting.confidence, 6),
    )


def _epoch(text: str | None, name: str) -> float | None:
    if text is None or text == "":
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Problem(422, f"{name} {text!r} is no time; give epoch seconds or 2026-11-26T20:15") from None
