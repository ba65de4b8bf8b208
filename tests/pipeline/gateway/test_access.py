"""Keys, scopes, limits, headers: who may do what, and how often."""

import json
from pathlib import Path

import pytest

from pipeline import keys as redis_keys
from pipeline.api_keys import ADMIN, MANAGE, QUERY, ApiKeys
from pipeline.errors import InputError, MissingError
from pipeline.gateway.limits import RateLimit, SessionLimit
from pipeline.gateway.problems import Problem
from pipeline.gateway.server import Options, make_gateway
from pipeline.metrics import Metrics
from pipeline.settings import settings
from pipeline.store import Store, open_store
from tests.commands import Vnome
from tests.pipeline.gateway.conftest import Client, Make, is_problem
from tests.streaming import RedisWithFile

ROUTES = (("GET", "/v1/videos"), ("POST", "/v1/identify"), ("DELETE", "/v1/videos/x"), ("GET", "/v1/uploads"))


@pytest.mark.redis
def test_a_scope_opens_what_it_should(make_client: Make, store: Store) -> None:
    client = make_client(None)
    made = {scope: ApiKeys(store).add(scope, scope)[1] for scope in (QUERY, MANAGE, ADMIN)}
    for method, path in ROUTES:
        answer = client.request(method, path)
        assert is_problem(answer, 401, "API key") and answer.headers["www-authenticate"] == "Bearer"
    of_scope = {scope: client.with_key(key) for scope, key in made.items()}
    assert [of_scope[QUERY].request(*route).status_code for route in ROUTES] == [200, 415, 403, 403]
    for scope in (MANAGE, ADMIN):
        assert [of_scope[scope].request(*route).status_code for route in ROUTES] == [200, 415, 404, 200]
    assert of_scope[MANAGE].get("/v1/info").json()["scopes"] == [QUERY, MANAGE]


@pytest.mark.redis
def test_a_public_gateway_answers_queries_alone_without_a_key(make_client: Make) -> None:
    client = make_client(None, public=True)
    assert [client.request(*route).status_code for route in ROUTES] == [200, 415, 401, 401]
    info = client.get("/v1/info").json()
    assert info["public"] is True and info["scopes"] == [QUERY]


@pytest.mark.redis
def test_a_key_that_is_none_or_was_revoked_opens_nothing(make_client: Make, store: Store) -> None:
    client = make_client(None, public=True)
    keys = ApiKeys(store)
    key, text = keys.add("gone", ADMIN)
    assert client.with_key(text).get("/v1/uploads").status_code == 200
    keys.revoke(key.id)
    for wrong in (text, text[:-1] + "A", "vn_00000000_" + "A" * 43, "x", "'; FLUSHALL"):
        assert is_problem(client.with_key(wrong).get("/v1/videos"), 401, "not known")
    with pytest.raises(MissingError, match="vnome keys list"):
        keys.revoke(key.id)


@pytest.mark.redis
def test_only_a_hash_of_a_key_is_stored(store: Store) -> None:
    _, text = ApiKeys(store).add("me", QUERY)
    secret = text.rpartition("_")[2] if text.count("_") == 2 else text.split("_", 2)[2]
    dump = b"".join(bytes(value) for value in store.client.hvals(redis_keys.API_KEYS))  # type: ignore[arg-type]
    assert secret.encode() not in dump and b"digest" in dump
    with pytest.raises(InputError, match="query, manage, admin"):
        ApiKeys(store).add("me", "root")
    with pytest.raises(InputError, match="printable"):
        ApiKeys(store).add("a\nb", QUERY)


@pytest.mark.redis
def test_keys_on_the_command_line(
    store: Store, redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    settings.cache_clear()
    vnome = Vnome(capsys)
    text = vnome("keys", "add", "lobby", "--scope", "manage").out.strip()
    assert text.startswith("vn_")
    listed = vnome("keys", "list", "--json").document["keys"]
    assert [(key["name"], key["scope"]) for key in listed] == [("lobby", "manage")] and "digest" not in str(listed)
    assert text.split("_", 2)[2] not in vnome("keys", "list").out
    assert vnome("keys", "revoke", listed[0]["id"]).code == 0
    assert vnome("keys", "revoke", listed[0]["id"]).failed_with(2, listed[0]["id"], "vnome keys list")
    assert vnome("keys", "add", "x", "--scope", "root").failed_with(2, "root", "query, manage, admin")


def test_a_bucket_fills_with_time() -> None:
    now = 0.0
    limit = RateLimit(2.0, 4.0, lambda: now)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limit.take("b") == 0  # another caller has a bucket of its own
    now = 0.5
    assert limit.take("a") == 0 and limit.take("a") == pytest.approx(0.5)
    now = 100.0
    assert [limit.take("a", rate=4.0) for _ in range(9)].count(0.0) == 8  # a key with twice the rate: twice the burst


def test_sessions_are_counted_by_key_by_address_and_in_all() -> None:
    limit = SessionLimit(2, 3, 4)
    with limit.session("k", "1"), limit.session("k", "1"):
        with pytest.raises(Problem, match="of this key"), limit.session("k", "2"):
            pass
        with limit.session("own", "1", of_key=1):
            with pytest.raises(Problem, match="of this address"), limit.session(None, "1"):
                pass
            with (
                limit.session(None, "2"),
                pytest.raises(Problem, match="in all"),
                limit.session(None, "3"),
            ):
                pass
        assert limit.open == 2
    assert limit.open == 0 and not limit._open


@pytest.mark.redis
def test_too_many_requests_are_told_when_to_come_again(make_client: Make, store: Store) -> None:
    client = make_client(None, public=True, rate=1.0)
    answers = [client.get("/v1/videos") for _ in range(8)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert late and is_problem(late[-1], 429, "too many") and int(late[-1].headers["retry-after"]) >= 1
    assert client.get("/readyz").status_code == 200  # probes are not limited


@pytest.mark.redis
def test_every_answer_carries_the_headers_of_a_careful_site(make_client: Make) -> None:
    client = make_client(None, public=True)
    for path in ("/v1/info", "/v1/none", "/", "/docs", "/openapi.json"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
    assert "strict-transport-security" not in client.get("/v1/info").headers


@pytest.mark.redis
def test_other_origins_may_call_only_when_named(make_client: Make) -> None:
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-origin" not in make_client(None).options("/v1/info", headers=ask).headers
    named = make_client(None, origins=("https://a.example",))
    assert named.options("/v1/info", headers=ask).headers["access-control-allow-origin"] == "https://a.example"
    other = named.options("/v1/info", headers={**ask, "Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.redis
def test_redis_away_is_a_problem_that_says_so(tmp_path: Path) -> None:
    server = RedisWithFile(tmp_path)
    server.start()
    with open_store(server.url) as store:
        client = Client(make_gateway(store, Options(public=True), Metrics()), Options(public=True))
        assert client.get("/readyz").text == "ok\n"
        server.kill()
        answer = client.get("/v1/videos")
        assert is_problem(answer, 503, "Redis", str(server.port)) and answer.headers["retry-after"]
        assert is_problem(client.get("/readyz"), 503, "Redis")
        assert client.get("/healthz").text == "ok\n"
        server.start()
        assert client.get("/v1/videos").json() == {"videos": [], "total": 0}
        server.kill()
        client.gateway.close()


@pytest.mark.redis
def test_problems_are_in_the_description(make_client: Make) -> None:
    document = make_client(None).get("/openapi.json").json()
    assert "ProblemDocument" in document["components"]["schemas"] and "Codes" in document["components"]["schemas"]
    for methods in document["paths"].values():
        for route in methods.values():
            assert route["responses"] and "HTTPValidationError" not in json.dumps(route)
