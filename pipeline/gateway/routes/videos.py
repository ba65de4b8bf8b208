"""`/v1/videos`: the catalogue."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from pipeline.details import poster_of_file
from pipeline.errors import MissingError
from pipeline.gateway.access import Managing, Parts, Querying, Watching
from pipeline.gateway.films import WIDTHS
from pipeline.gateway.listing import page_of
from pipeline.gateway.models import CueList, CueText, Language, Limit, Offset, Video, VideoChange, VideoId, VideoList
from pipeline.gateway.parts import Gateway
from pipeline.gateway.problems import Problem, answers
from pipeline.subtitles import as_webvtt, read_cues
from pipeline.videos import VideoRecord

router = APIRouter(tags=["videos"])

_SORTS = {
    "id": lambda record: record.id,
    "title": lambda record: (record.title.casefold(), record.id),
    "added_at": lambda record: (record.added_at, record.number),
    "duration_seconds": lambda record: (record.duration_seconds, record.id),
}
_TEXT = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}
_PICTURE = {
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"description": "The picture", "content": {"image/jpeg": {}}}}


@router.get("/v1/videos", response_model=VideoList, responses=answers())
def videos(
    gateway: Parts,
    _: Querying,
    q: Annotated[str, Query(max_length=200, description="A part of the id or of the title.")] = "",
    sort: Annotated[str, Query(description="id, title, added_at or duration_seconds; - before it: descending")] = "id",
    offset: Offset = 0,
    limit: Limit = 50,
) -> VideoList:
    """The videos of the catalogue."""
    wanted = q.casefold()
    found = [r for r in gateway.library.videos() if wanted in r.id.casefold() or wanted in r.title.casefold()]
    page = page_of(found, sort, _SORTS, offset, limit)
    return VideoList(videos=documents(gateway, page), total=len(found))


@router.get("/v1/videos/{video}", response_model=Video, responses=answers(404))
def video(gateway: Parts, _: Querying, video: VideoId) -> Video:
    """One video."""
    return documents(gateway, [gateway.library.get(video)])[0]


@router.patch("/v1/videos/{video}", response_model=Video, responses=answers(404))
def change(gateway: Parts, _: Managing, video: VideoId, body: VideoChange) -> Video:
    """Gives a video another title, adds, replaces or deletes subtitles; all or nothing."""
    return documents(gateway, [gateway.details.change(video, body.title, body.subtitles)])[0]


@router.delete("/v1/videos/{video}", status_code=204, responses=answers(404))
def delete(gateway: Parts, _: Managing, video: VideoId) -> Response:
    """Takes a video out of the catalogue, and deletes its film if it was uploaded here."""
    record = gateway.library.get(video)
    gateway.library.recover()
    gateway.library.remove(video)
    gateway.films.forget(record)
    return Response(status_code=204)


@router.get(
    "/v1/videos/{video}/subtitles/{language}",
    response_model=CueList,
    responses={
        **answers(404),
        200: {"model": CueList, "description": "WebVTT, or cues as JSON", "content": {"text/vtt": {}}},
    },
)
def subtitles(
    gateway: Parts,
    _: Querying,
    video: VideoId,
    language: Language,
    format: Annotated[str, Query(pattern="^(vtt|json)$", description="vtt or json")] = "vtt",
) -> Any:
    """The subtitles of a video."""
    cues = read_cues(gateway.library.subtitles(video, language))
    if format == "json":
        return CueList(language=language, cues=[CueText(start=cue.start, end=cue.end, text=cue.text) for cue in cues])
    return Response(as_webvtt(cues), media_type="text/vtt")


@router.put("/v1/videos/{video}/subtitles/{language}", status_code=204, responses=answers(404), openapi_extra=_TEXT)
async def put_subtitles(gateway: Parts, _: Managing, request: Request, video: VideoId, language: Language) -> Response:
    """Adds or replaces subtitles; the body is a WebVTT or SRT file in UTF-8."""
    text = text_of(await request.body(), "the subtitles")
    await run_in_threadpool(gateway.details.change, video, None, {language: text})
    return Response(status_code=204)


@router.delete("/v1/videos/{video}/subtitles/{language}", status_code=204, responses=answers(404))
def delete_subtitles(gateway: Parts, _: Managing, video: VideoId, language: Language) -> Response:
    """Deletes subtitles."""
    if language not in gateway.library.get(video).subtitles:
        raise MissingError(f"video {video!r} has no subtitles in {language!r}")
    gateway.details.change(video, None, {language: None})
    return Response(status_code=204)


@router.get("/v1/videos/{video}/poster", response_class=Response, responses={**answers(404), **_JPEG})
def poster(gateway: Parts, _: Querying, video: VideoId) -> Response:
    """The poster of a video."""
    found = gateway.details.poster(video)
    if found is None:
        raise Problem(404, f"video {video!r} has no poster")
    return Response(found, media_type="image/jpeg", headers={"Cache-Control": "private, no-cache"})


@router.put("/v1/videos/{video}/poster", status_code=204, responses=answers(404), openapi_extra=_PICTURE)
async def put_poster(gateway: Parts, _: Managing, request: Request, video: VideoId) -> Response:
    """Sets the poster; the body is a JPEG or PNG picture."""
    small = await run_in_threadpool(poster_of_file, await request.body())
    await run_in_threadpool(gateway.details.set_poster, video, small)
    return Response(status_code=204)


@router.delete("/v1/videos/{video}/poster", status_code=204, responses=answers(404))
def delete_poster(gateway: Parts, _: Managing, video: VideoId) -> Response:
    """Deletes the poster."""
    gateway.details.set_poster(video, None)
    return Response(status_code=204)


@router.get(
    "/v1/videos/{video}/film",
    response_class=FileResponse,
    responses={
        **answers(404),
        200: {"description": "The film", "content": {"video/*": {}}},
        206: {"description": "A part of it", "content": {"video/*": {}}},
        416: {"description": "Range Not Satisfiable"},
    },
)
def film(gateway: Parts, _: Watching, video: VideoId) -> FileResponse:
    """The film's file, or a range of it."""
    path = gateway.films.find(gateway.library.get(video))
    if path is None:
        raise Problem(404, f"the film of video {video!r} is not at hand; start the gateway with --films FOLDER")
    return FileResponse(path, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/v1/videos/{video}/frame", response_class=Response, responses={**answers(404), **_JPEG})
def frame(
    gateway: Parts,
    _: Querying,
    video: VideoId,
    at: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False, description="Moment, seconds.")] = 0.0,
    width: Annotated[int, Query(ge=WIDTHS[0], le=WIDTHS[1], description="Pixels of the longer side.")] = 320,
) -> Response:
    """The picture of a moment of a film."""
    made = gateway.films.frame(gateway.library.get(video), at, width)
    return Response(made, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def documents(gateway: Gateway, records: list[VideoRecord]) -> list[Video]:
    """Videos as JSON."""
    posters = gateway.details.with_posters(records)
    return [
        Video(
            video=record.id,
            title=record.title,
            duration_seconds=round(record.duration_seconds, 3),
            frames=record.frames,
            added_at=record.added_at,
            languages=list(record.subtitles),
            live=record.is_live,
            poster=f"{address(record.id)}/poster" if record.number in posters else None,
            film=_film(gateway, record),
        )
        for record in records
    ]


def _film(gateway: Gateway, record: VideoRecord) -> str | None:
    """Address of the film, with a ticket where a player would need a key; None when it is not at hand."""
    if gateway.films.find(record) is None:
        return None
    ticket = "" if gateway.public else f"?ticket={gateway.tickets.make(record.id)}"
    return f"{address(record.id)}/film{ticket}"


def address(video: str) -> str:
    """Of a video."""
    return f"/v1/videos/{quote(video, safe='')}"


def text_of(data: bytes, name: str) -> str:
    """UTF-8 text. Raises Problem for anything else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(422, f"{name} are not UTF-8 text; save them as UTF-8") from None


def suffix_of(name: str) -> str:
    """The ending of a file's name, as far as it is one."""
    suffix = Path(name).suffix
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 8 else ""
