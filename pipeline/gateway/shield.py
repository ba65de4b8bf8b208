"""What stands before every route: limits of bodies, security headers, one count a request."""

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.gateway.problems import Problem
from pipeline.metrics import Metrics

PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # WebAssembly, for the models on the phone
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
SECURE_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class Shield:
    """An ASGI layer around an app.

    body_limits: bytes that a body may have, by the beginning of the path, the longest that fits counts.
    """

    def __init__(self, app: ASGIApp, body_limits: Mapping[str, int], metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._limits = sorted(body_limits.items(), key=lambda entry: -len(entry[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = HEADERS | (SECURE_ONLY if scope.get("scheme") == "https" else {})
        packed = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                route: Any = scope.get("route")
                name = getattr(route, "path", "other")
                self._metrics.requests_total.labels(name, str(message["status"])).inc()
                own = {name for name, _ in message.get("headers", [])}
                message["headers"] = [*message.get("headers", []), *(pair for pair in packed if pair[0] not in own)]
            await send(message)

        most = next(limit for start, limit in self._limits if scope["path"].startswith(start))
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            await _too_large(most).response()(scope, receive, answer)
            return
        await self._app(scope, _Counted(receive, most), answer)


class _Counted:
    """A body that may not grow beyond what is allowed, whatever its header declared."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._bytes = receive, most, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise _too_large(self._most)
        return message


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body has more than the {most} bytes that are taken here; send less")
