"""The gateway as a process: how it starts and stops, what it logs, TLS, proxies."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import httpx
import pytest

from edge.demo import sample_films
from tests.certificates import Authority
from tests.commands import BIKES, Ran, run_alone
from tests.gateways import RunningGateway, running_gateway
from tests.streaming import wait_until

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    """One that is not public."""
    with running_gateway("--behind", "127.0.0.1", "--rate", "1") as running:
        yield running


def ask(url: str, tls: ssl.SSLContext | None = None, **headers: str) -> tuple[int, Message]:
    """Status and headers of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, headers=named)  # noqa: S310  our own address
    try:
        with urllib.request.urlopen(request, context=tls, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_neither_path_nor_key_nor_address_is_logged(gateway: RunningGateway) -> None:
    key = gateway.vnome("keys", "add", "me")["key"]
    for path in ("/v1/videos/secret-film", "/v1/search?q=secret-word", "/secret-page"):
        ask(f"{gateway.url}{path}", Authorization=f"Bearer {key}", X_Forwarded_For="203.0.113.9")
    ask(f"{gateway.url}/v1/videos", Authorization="Bearer vn_secret-key", X_Forwarded_For="203.0.113.9")
    said = gateway.log.read_text()
    assert '"ready"' in said
    assert not any(word in said for word in ("secret", key, key.split("_", 2)[2], "203.0.113.9"))


def test_behind_a_proxy_callers_are_told_apart(gateway: RunningGateway) -> None:
    def statuses(count: int, address: str) -> list[int]:
        return [ask(f"{gateway.url}/v1/info", X_Forwarded_For=address)[0] for _ in range(count)]

    assert 429 in statuses(12, "203.0.113.1")
    assert statuses(2, "203.0.113.2") == [200, 200]
    assert ask(f"{gateway.url}/v1/info", X_Forwarded_For="203.0.113.3", X_Forwarded_Proto="https")[1][
        "Strict-Transport-Security"
    ]


def test_without_a_proxy_nobody_can_pretend_another_address() -> None:
    with running_gateway("--public", "--rate", "1") as alone:
        answers = [ask(f"{alone.url}/v1/info", X_Forwarded_For=f"203.0.113.{k}")[0] for k in range(12)]
        assert 429 in answers
        assert alone.stop() == 0  # SIGTERM is a way to end it


def test_tls_by_certificate_files(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    signed = authority.sign("gateway")
    with running_gateway("--public", "--tls-cert", str(signed.certificate), "--tls-key", str(signed.key)) as gateway:
        trusted = ssl.create_default_context(cafile=str(authority.file))
        status, headers = ask(f"{gateway.url}/v1/info", trusted)
        assert status == 200 and headers["Strict-Transport-Security"]
        with pytest.raises(urllib.error.URLError, match="certificate"):
            ask(f"{gateway.url}/v1/info", ssl.create_default_context())


def serve(*arguments: str) -> Ran:
    return run_alone("serve", *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--films", "/none"), 2, ("/none", "not a folder")),
        (("--tls-cert", "/none.pem"), 2, ("--tls-key", "both")),
        (("--tls-cert", "/none.pem", "--tls-key", "/none.key"), 2, ("no such file", "/none.pem")),
        (("--origin", "example.org"), 2, ("example.org", "https://")),
        (("--host", "192.0.2.1"), 3, ("192.0.2.1", "--port")),
        (("--metrics", "x:y"), 2, ("x:y", "HOST:PORT")),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert serve(*arguments).failed_with(code, *words)


def test_a_port_that_is_taken_is_told(gateway: RunningGateway) -> None:
    assert serve("--port", str(gateway.port)).failed_with(3, str(gateway.port), "another --port")


def test_an_upload_outlives_a_kill() -> None:
    film = sample_films()[BIKES]
    with running_gateway() as gateway:
        key = gateway.vnome("keys", "add", "editor", "--scope", "manage")["key"]
        with httpx.Client(base_url=gateway.url, headers={"Authorization": f"Bearer {key}"}) as client:
            sent = client.post("/v1/videos", files={"film": (film.name, film.read_bytes())})
            assert sent.status_code == 202
            gateway.kill()
            gateway.start()
            wait_until(lambda: client.get("/v1/videos/bikes").json().get("film"), "the film of the upload")
        assert gateway.vnome("match", film)["matches"][0]["video"] == "bikes"
