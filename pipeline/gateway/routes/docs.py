"""`/docs`: the interface as a page; the usual viewer comes from elsewhere, which the pages' policy forbids."""

import html
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Every route with its parameters and answers."""
    document = request.app.openapi()
    rows = "".join(
        _route(method, path, route) for path, methods in document["paths"].items() for method, route in methods.items()
    )
    title = html.escape(document["info"]["title"])
    about = html.escape(document["info"]["description"]).replace("\n\n", "</p><p>")
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"></head><body><main><h1>{title}</h1><p>{about}</p>'
        f'<p>For machines: <a href="/openapi.json">/openapi.json</a></p>{rows}</main></body></html>'
    )


def _route(method: str, path: str, route: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(one['name'])}</code> ({one['in']}{', needed' if one.get('required') else ''}) "
        f"{html.escape(one.get('description', one['schema'].get('description', '')))}</li>"
        for one in route.get("parameters", [])
    )
    bodies = ", ".join(html.escape(kind) for kind in route.get("requestBody", {}).get("content", {}))
    answers = ", ".join(route["responses"])
    return (
        f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(route.get('description', ''))}</p>"
        f"{f'<p>Body: {bodies}</p>' if bodies else ''}{f'<ul>{parameters}</ul>' if parameters else ''}"
        f"<p>Answers: {answers}</p>"
    )
