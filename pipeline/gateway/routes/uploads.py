"""Films that are sent to be indexed: `POST /v1/videos` and `/v1/uploads`."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from pipeline.details import check_title, poster_of_file
from pipeline.gateway.access import Managing, Parts
from pipeline.gateway.forms import read_form
from pipeline.gateway.listing import page_of
from pipeline.gateway.models import Limit, Offset, UploadList, UploadState
from pipeline.gateway.parts import Gateway
from pipeline.gateway.problems import Problem, answers
from pipeline.gateway.routes.videos import address, suffix_of, text_of
from pipeline.gateway.uploads import Upload
from pipeline.subtitles import MOST_BYTES, check_language, read_cues

router = APIRouter(tags=["uploads"])
SUBTITLES = "subtitles."
_ID = re.compile(r"[^\s/\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,127}")

_SORTS = {
    "started_at": lambda upload: upload.started_at,
    "video": lambda upload: (upload.video, upload.started_at),
    "state": lambda upload: (upload.state, upload.started_at),
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["film"],
                    "properties": {
                        "film": {"type": "string", "format": "binary"},
                        "video": {"type": "string", "description": "Its id; default the file's name without ending."},
                        "title": {"type": "string", "description": "Default the id."},
                        "poster": {"type": "string", "format": "binary", "description": "JPEG or PNG."},
                        "subtitles.en": {
                            "type": "string",
                            "format": "binary",
                            "description": "WebVTT or SRT; one field a language.",
                        },
                    },
                }
            }
        },
    }
}


@router.post("/v1/videos", status_code=202, response_model=UploadState, responses=answers(), openapi_extra=_FORM)
async def upload(gateway: Parts, _: Managing, request: Request, response: Response) -> UploadState:
    """Takes a film; it is coded in the background. Once this is answered, it is kept over a restart of the gateway."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem(422, "send multipart/form-data with the file `film`")
    async with read_form(request) as form:
        accepted = await run_in_threadpool(_accept, gateway, form)
    response.headers["Location"] = f"/v1/uploads/{accepted.id}"
    return document(accepted)


@router.get("/v1/uploads", response_model=UploadList, responses=answers())
def uploads(
    gateway: Parts,
    _: Managing,
    q: Annotated[str, Query(max_length=200, description="A part of the video's id or title.")] = "",
    state: Annotated[str | None, Query(max_length=20, description="Only those in this state.")] = None,
    sort: Annotated[str, Query(description="started_at, video or state; - before it: descending")] = "-started_at",
    offset: Offset = 0,
    limit: Limit = 50,
) -> UploadList:
    """Uploads of this gateway."""
    wanted = q.casefold()
    found = [one for one in gateway.uploads.all() if wanted in f"{one.video}\n{one.title}".casefold()]
    found = [one for one in found if state in (None, one.state)]
    return UploadList(uploads=[document(one) for one in page_of(found, sort, _SORTS, offset, limit)], total=len(found))


@router.get("/v1/uploads/{upload}", response_model=UploadState, responses=answers(404))
def one(gateway: Parts, _: Managing, upload: str) -> UploadState:
    """How far an upload is."""
    return _found(gateway.uploads.get(upload), upload)


@router.delete("/v1/uploads/{upload}", response_model=UploadState, responses=answers(404))
def cancel(gateway: Parts, _: Managing, upload: str) -> UploadState:
    """Gives an upload up; one that is over, or is being stored, stays what it is."""
    return _found(gateway.uploads.cancel(upload), upload)


def document(upload: Upload) -> UploadState:
    """As JSON."""
    return UploadState(**upload.document(), video_url=address(upload.video) if upload.state == "done" else None)


def _found(upload: Upload | None, id: str) -> UploadState:
    if upload is None:
        raise Problem(404, f"no upload {id!r} of this gateway")
    return document(upload)


def _accept(gateway: Gateway, form: FormData) -> Upload:
    film = form.get("film")
    if not isinstance(film, UploadFile) or not film.filename:
        raise Problem(422, "the form has no file `film`; send the film under this name")
    suffix = suffix_of(film.filename)
    stem = film.filename.replace("\\", "/").rpartition("/")[2].removesuffix(suffix)
    video = str(form.get("video") or stem).strip()
    if not _ID.fullmatch(video):
        raise Problem(422, "an id has 1 to 128 characters without slashes; give one in the field `video`")
    title = check_title(str(form.get("title") or video))
    poster = form.get("poster")
    small = poster_of_file(poster.file.read()) if isinstance(poster, UploadFile) and poster.size else None
    texts = {name[len(SUBTITLES) :]: value for name, value in form.multi_items() if name.startswith(SUBTITLES)}
    subtitles = {check_language(language): _text(language, value) for language, value in texts.items()}
    return gateway.uploads.accept(video, title, f"{stem or video}{suffix}", film.file, subtitles, small)


def _text(language: str, value: Any) -> str:
    data = value.file.read(MOST_BYTES + 1) if isinstance(value, UploadFile) else str(value).encode()
    text = text_of(data, f"the subtitles in {language!r}")
    read_cues(text, f"the subtitles in {language!r}")
    return text
