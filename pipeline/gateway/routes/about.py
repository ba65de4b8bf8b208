"""What a client asks first: what this gateway is, and the models to code with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from pipeline.bundles import Bundle
from pipeline.gateway.access import Caller, Parts, Querying, caller_of, scopes_of
from pipeline.gateway.models import BundleInfo, BundleList, Info
from pipeline.gateway.problems import Problem, answers
from pipeline.version import VERSION

router = APIRouter(tags=["about"])
YEAR_SECONDS = 31_536_000


@router.get("/v1/info", response_model=Info, responses=answers())
def info(gateway: Parts, caller: Annotated[Caller, Depends(caller_of)]) -> Info:
    """What this gateway is, and what the caller may do."""
    return Info(
        version=VERSION,
        encoder=gateway.bundles["encoder"].sha256,
        detector=gateway.bundles["detector"].sha256,
        public=gateway.public,
        scopes=scopes_of(caller, gateway.public),
    )


@router.get("/v1/bundles", response_model=BundleList, responses=answers())
def bundles(gateway: Parts, _: Querying) -> BundleList:
    """The models for phones."""
    return BundleList(bundles=[_about(name, bundle) for name, bundle in gateway.bundles.items()])


@router.get(
    "/v1/bundles/{name}",
    response_class=FileResponse,
    responses={
        **answers(404),
        200: {"description": "The model", "content": {"application/octet-stream": {}}},
        304: {"description": "Not Modified"},
    },
)
def bundle(
    gateway: Parts,
    _: Querying,
    name: str,
    sha256: Annotated[str | None, Query(description="Of the model; then the answer may be kept for ever.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The model itself, an ONNX file."""
    found = _bundle(gateway.bundles, name)
    if sha256 is not None and sha256 != found.sha256:
        raise Problem(404, f"bundle {name} has another sha256 by now; ask /v1/bundles again")
    tag = f'"{found.sha256}"'
    private = "public" if gateway.public else "private"
    keep = f"{private}, max-age={YEAR_SECONDS}, immutable" if sha256 else "no-cache"
    headers = {"ETag": tag, "Cache-Control": keep}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return FileResponse(found.model_path, media_type="application/octet-stream", headers=headers)


@router.get("/v1/bundles/{name}/card", response_class=JSONResponse, responses=answers(404))
def card(gateway: Parts, _: Querying, name: str) -> JSONResponse:
    """What is known of a model: inputs, outputs, training, quality, licence."""
    return JSONResponse(_bundle(gateway.bundles, name).card)


@router.get("/healthz", response_class=PlainTextResponse)
def healthz() -> str:
    """Whether the process lives."""
    return "ok\n"


@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    responses={503: {"description": "Why it cannot take work now", "content": {"text/plain": {}}}},
)
def readyz(gateway: Parts) -> Response:
    """Whether it can answer: its models are loaded and Redis does."""
    with gateway.store.errors():
        gateway.store.client.ping()
    return PlainTextResponse("ok\n")


def _bundle(bundles: dict[str, Bundle], name: str) -> Bundle:
    if name not in bundles:
        raise Problem(404, f"no bundle {name!r}; there are {', '.join(bundles)}")
    return bundles[name]


def _about(name: str, bundle: Bundle) -> BundleInfo:
    return BundleInfo(
        name=name,
        kind=str(bundle.card["kind"]),
        sha256=bundle.sha256,
        bytes=bundle.model_path.stat().st_size,
        url=f"/v1/bundles/{name}?sha256={bundle.sha256}",
    )
