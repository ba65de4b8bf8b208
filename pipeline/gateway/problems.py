"""Errors of the gateway as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pipeline.errors import CatalogueError, InputError, MissingError, ServiceError, VnomeError
from pipeline.logs import get_logger

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 2  # told to a client while a service is away

log = get_logger(__name__)


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field("about:blank", description="The status says it all, so that this is always about:blank.")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no video 'bike' in the catalogue; did you mean bikes?"])


class Problem(Exception):
    """A request that cannot be answered as asked. detail: one line for a person: what is wrong and what to do."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}

    def document(self) -> dict[str, Any]:
        """As JSON."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}

    def response(self) -> JSONResponse:
        """As an answer."""
        return JSONResponse(self.document(), self.status, self.headers, PROBLEM_JSON)


def problem_of(error: VnomeError) -> Problem:
    """What an error of VNOME is over HTTP."""
    if isinstance(error, MissingError):
        return Problem(404, str(error))
    if isinstance(error, CatalogueError):
        return Problem(409, str(error))
    if isinstance(error, InputError):
        return Problem(422, str(error))
    if isinstance(error, ServiceError):
        return Problem(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return Problem(500, str(error))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for OpenAPI; those of every route are added."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in sorted({400, 401, 403, 413, 422, 429, 503, *statuses})
    }


def add_handlers(app: FastAPI) -> None:
    """Makes every failure of an app a problem document."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(VnomeError)
    async def known(_: Request, error: VnomeError) -> JSONResponse:
        return problem_of(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return Problem(422, _in_words(error)).response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == 404:
            detail = "there is nothing at this address; /docs lists what there is"
        return Problem(error.status_code, detail, dict(error.headers or {})).response()

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", kind=type(error).__name__, exc_info=error)
        return Problem(500, "the gateway failed; its log says why").response()


def _in_words(error: RequestValidationError) -> str:
    """The first fault of a request, with the place that it is in."""
    first = error.errors()[0]
    place = " ".join(str(part) for part in first["loc"])
    return f"{place}: {' '.join(str(first['msg']).split())}"
