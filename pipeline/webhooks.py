"""Match events to a web address, signed as the Standard Webhooks specification (standardwebhooks.com) says."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from pipeline.errors import InputError
from pipeline.relay import DeliveryError

CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
LONGEST_AFTER_SECONDS = 60.0
MOST_BYTES = 65536  # of an answer's body, which nobody needs
AGAIN = frozenset({408, 425, 429})  # and every 5xx
SECRET_PREFIX = "whsec_"  # noqa: S105  it is public


class Webhook:
    """Posts one event. secret: `whsec_` and base64, or plain text; empty: nothing is signed.

    shown: the address without user, password and query.
    Raises InputError for an address or a secret that cannot be used.
    """

    def __init__(self, url: str, secret: str) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            raise InputError("--webhook: not an address that can be read; give https://HOST/PATH") from None
        if parsed.scheme not in ("http", "https") or not _is_host(parsed.host):  # not shown: it may hold a password
            raise InputError("--webhook: not http:// or https:// with a host; give https://HOST/PATH")
        if parsed.userinfo and b"@" in parsed.raw_path.partition(b"?")[0]:
            # A slash in the password ended it: the rest of it is in the path.
            raise InputError("--webhook: write / in the password as %2F, and @ in the path as %40")
        self.shown = f"{parsed.scheme}://{parsed.netloc.decode()}{parsed.path}"
        self._url, self._key = url, _key(secret)
        self._client = httpx.Client(
            timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS), follow_redirects=False
        )

    def __call__(self, event: dict[str, Any]) -> None:
        """Raises DeliveryError when it was not taken: to be tried again, or not (a 4xx means that it never will be)."""
        body = json.dumps(event, ensure_ascii=False).encode()
        headers, deadline = self._headers(str(event["id"]), body), time.monotonic() + TOTAL_SECONDS
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                _read_out(answer, deadline)
        except httpx.HTTPError as error:
            raise DeliveryError(f"{self.shown}: {type(error).__name__}", retry=True) from None
        if answer.is_success:
            return
        retry = answer.status_code in AGAIN or answer.status_code >= 500
        raise DeliveryError(f"{self.shown} answers {answer.status_code}", retry, _after(answer))

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        headers = {"content-type": "application/json", "webhook-id": id, "webhook-timestamp": stamp}
        if self._key:
            headers["webhook-signature"] = signature(self._key, id, stamp, body)
        return headers


def signature(key: bytes, id: str, stamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id.stamp.body."""
    mac = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:  # an empty one would sign nothing, without a word
        raise InputError("VNOME_WEBHOOK_SECRET begins with whsec_, but is no base64 after it")
    return key


def _is_host(host: str) -> bool:
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _read_out(answer: httpx.Response, deadline: float) -> None:
    """Reads a short body, so that the connection can be used again; a long or slow one is left, its status counts."""
    size = 0
    with suppress(httpx.HTTPError):
        for part in answer.iter_raw():
            size += len(part)
            if size > MOST_BYTES or time.monotonic() > deadline:
                return


def _after(answer: httpx.Response) -> float:
    """Seconds that Retry-After asks for, as a number or a date."""
    text = answer.headers.get("retry-after", "")
    if text.isdecimal():
        return min(float(text), LONGEST_AFTER_SECONDS)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_AFTER_SECONDS)
