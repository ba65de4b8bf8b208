"""Match events to a web address, signed as the Standard Webhooks specification (standardwebhooks.com) says."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from pipeline.errors import InputError
from pipeline.relay import DeliveryError

CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
LONGEST_AFTER_SECONDS = 60.0
AGAIN = frozenset({408, 425, 429})  # and every 5xx
SECRET_PREFIX = "whsec_"  # noqa: S105  it is public


class Webhook:
    """Posts one event. secret: `whsec_` and base64, or plain text; empty: nothing is signed.

    shown: the address without a password. Raises InputError for an address or a secret that cannot be used.
    """

    def __init__(self, url: str, secret: str) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            raise InputError("--webhook: not an address that can be read; give https://HOST/PATH") from None
        self.shown = f"{parsed.scheme}://{parsed.host}{parsed.path}"
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise InputError(f"--webhook {self.shown}: not http:// or https:// with a host")
        self._url, self._key = url, _key(secret)
        self._client = httpx.Client(
            timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS), follow_redirects=False
        )

    def __call__(self, event: dict[str, Any]) -> None:
        """Raises DeliveryError when it was not taken: to be tried again, or not (a 4xx means that it never will be)."""
        body = json.dumps(event, ensure_ascii=False).encode()
        try:
            answer = self._client.post(self._url, content=body, headers=self._headers(str(event["id"]), body))
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
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise InputError("VNOME_WEBHOOK_SECRET begins with whsec_, but is no base64 after it") from None


def _after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_AFTER_SECONDS) if text.isdecimal() else 0.0
