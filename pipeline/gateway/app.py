"""The gateway as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from pipeline.gateway.models import Codes
from pipeline.gateway.pages import add_pages
from pipeline.gateway.parts import Gateway
from pipeline.gateway.problems import ProblemDocument, add_handlers
from pipeline.gateway.routes import about, docs, identify, live, search, sightings, uploads, videos
from pipeline.gateway.shield import Shield
from pipeline.version import VERSION

DESCRIPTION = """Identifies live video: which video is on a screen, and at which moment.

Errors are problem documents (RFC 9457). Keys go into `Authorization: Bearer KEY`.

**WebSocket `/v1/live`**: subprotocols `vnome.v1` and, with a key, `vnome.key.KEY`. First a text message
`{"type": "start", "sends": "codes", "encoder": SHA-256}`, then binary messages of 40 bytes a reading of a frame: uint32
(bits 0 to 27 time in ms, 28 to 31 the reading), uint32 code, 32 margins as uint8 in 1/16 nat; little endian. With
`"sends": "jpeg"` a binary message is the time as uint32 and a JPEG picture. The answers are JSON: `searching`, `found`,
`moved`, `still`, `lost`, `follow`, `screen`, `error`; `t` is the sender's clock in ms, and the moment at any time is
`at_seconds + speed * (now - t) / 1000`."""


def make_app(gateway: Gateway, body_limits: dict[str, int], origins: list[str]) -> FastAPI:
    """The application around a gateway's parts.

    body_limits: see `Shield`. origins: of pages elsewhere that may call it; none by default.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gateway.close()

    app = FastAPI(
        title="VNOME gateway",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.gateway = gateway
    add_handlers(app)
    for part in (about, docs, identify, videos, uploads, search, sightings, live):
        app.include_router(part.router)
    add_pages(app, gateway.pages)
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=5)
    app.add_middleware(Shield, body_limits=body_limits, metrics=gateway.metrics)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["authorization", "content-type"]
        )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description of all routes, with the schemas that routes name by hand."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            license_info=app.license_info,
            routes=app.routes,
        )
        schemas = document["components"]["schemas"]
        for model in (ProblemDocument, Codes):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        app.openapi_schema = document
    return app.openapi_schema
