"""The built web pages: the phone's at `/`, the studio's at `/studio`."""

from importlib import resources
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from pipeline.gateway.problems import Problem

PHONE, STUDIO = "index.html", "studio.html"
READ = ["GET", "HEAD"]
FOREVER = "public, max-age=31536000, immutable"  # names under assets/ carry a hash of what is in them
NOT_BUILT = (
    "<!doctype html><html lang=en><title>VNOME</title><h1>The pages are not built</h1>"
    "<p>The interface at <a href=/docs>/docs</a> works. For the pages type <code>make web</code> (Node.js 18 or later) "
    "and start the gateway again.</p></html>"
)


def built_pages() -> Path | None:
    """Where the pages are; None when they were not built."""
    folder = Path(str(resources.files("pipeline.bundled") / "pages"))
    return folder if (folder / PHONE).is_file() else None


def add_pages(app: FastAPI, folder: Path | None) -> None:
    """Serves the pages under every address that no other route has."""
    root = folder.resolve() if folder else None

    @app.api_route("/studio/", methods=READ, include_in_schema=False)
    def without_slash() -> Response:
        return RedirectResponse("/studio", 308)  # the page's own addresses begin where it lies

    @app.api_route("/studio", methods=READ, include_in_schema=False)
    def studio() -> Response:
        return _page(root, STUDIO)

    @app.api_route("/{name:path}", methods=READ, include_in_schema=False)
    def page(request: Request, name: str) -> Response:
        if root is None or name in ("", PHONE):
            if name in ("", PHONE, STUDIO):
                return _page(root, name or PHONE)
            raise Problem(404, "there is nothing at this address; /docs lists what there is")
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise Problem(404, "there is nothing at this address; /docs lists what there is")
        keep = FOREVER if name.startswith("assets/") else "no-cache"
        return FileResponse(path, headers={"Cache-Control": keep}, media_type=_TYPES.get(path.suffix))


def _page(root: Path | None, name: str) -> Response:
    if root is None:
        return HTMLResponse(NOT_BUILT, 503)
    return FileResponse(root / name, headers={"Cache-Control": "no-cache"})


_TYPES = {  # that the machine's own table may not know
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
