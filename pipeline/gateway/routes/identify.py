"""`POST /v1/identify`: which video, and which moment, a clip shows."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from pipeline.codes import FrameCodes
from pipeline.gateway.access import Parts, Querying
from pipeline.gateway.forms import read_form
from pipeline.gateway.models import Codes, Identified
from pipeline.gateway.parts import Gateway
from pipeline.gateway.problems import Problem, answers
from pipeline.live_wire import RECORD_BYTES, pack_frame, unpack_frames
from pipeline.match_document import match_document
from pipeline.session import identify_codes
from pipeline.views import CodedFrame

router = APIRouter(tags=["identify"])
CODES = "application/vnd.vnome.codes"

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["clip"],
                    "properties": {"clip": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/Codes"}},
            CODES: {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": f"Records of {RECORD_BYTES} bytes: uint32 of time in ms (28 bits) and reading, "
                    "uint32 code, 32 margins as uint8 in 1/16 nat; little endian.",
                }
            },
        },
    }
}


@router.post(
    "/v1/identify",
    response_model=Identified,
    response_model_exclude_none=True,
    responses=answers(409, 415),
    openapi_extra=_BODY,
)
async def identify(gateway: Parts, _: Querying, request: Request) -> Any:
    """Identifies a recorded clip: a file, or its codes. No match means unknown."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with read_form(request) as form:
            clip = form.get("clip")
            if not isinstance(clip, UploadFile):
                raise Problem(422, "the form has no file `clip`; send the clip under this name")
            return await run_in_threadpool(_identify_file, gateway, clip)
    if kind == CODES:
        frames = unpack_frames(await request.body())
    elif kind == "application/json":
        frames = _frames_of(gateway, await request.body())
    else:
        raise Problem(415, f"send multipart/form-data, application/json or {CODES}")
    answer = await run_in_threadpool(identify_codes, frames, gateway.matcher)
    return await run_in_threadpool(match_document, answer, gateway.library)


def _identify_file(gateway: Gateway, clip: UploadFile) -> dict[str, Any]:
    suffix = Path(clip.filename or "").suffix[:12]
    with tempfile.NamedTemporaryFile(suffix=suffix if suffix.isascii() and "/" not in suffix else "") as file:
        while part := clip.file.read(1 << 20):
            file.write(part)
        file.flush()
        return gateway.sandbox.identify(Path(file.name))


def _frames_of(gateway: Gateway, body: bytes) -> list[CodedFrame]:
    try:
        codes = Codes.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem(422, f"body {' '.join(map(str, first['loc']))}: {first['msg']}") from None
    known = gateway.bundles["encoder"].sha256
    if codes.encoder != known:
        raise Problem(409, "these codes are of another encoder than this catalogue's; /v1/info names it")
    parts = []
    for code in sorted(codes.codes, key=lambda code: code.t):
        margins = np.array([code.margins], np.float32)
        if not np.isfinite(margins).all() or (margins < 0).any():
            raise Problem(422, "margins are numbers of at least 0")
        frame = FrameCodes(np.zeros(1), np.array([code.code], np.uint32), margins)
        parts.append(pack_frame(code.t, [(code.reading, frame)]))
    return unpack_frames(b"".join(parts))
