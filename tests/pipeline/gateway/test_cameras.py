"""`/v1/sightings`, `/v1/cameras`, `/v1/bundles` and the pages: what operators and phones read."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import keys
from pipeline.bundles import shipped_bundle
from pipeline.camera_follower import CameraFollower
from pipeline.camera_pictures import SIDE, CameraPictures, keep_for_sighting
from pipeline.gateway import pages
from pipeline.labels import LabelStore, Stretch
from pipeline.sightings import Sighting, Sightings
from pipeline.store import Store
from tests.pipeline.gateway.conftest import Client, Make, is_problem

pytestmark = pytest.mark.redis
NOW = 1_795_700_000.0


def sighting(k: int, camera: str, video: str, start: float, open: bool = False) -> Sighting:
    return Sighting(
        f"{camera}/{round(start * 1000)}", video, video.title(), camera, start, start + 10, 5, 15, 0.99, open
    )


def put(store: Store, sightings: Sequence[Sighting]) -> None:
    pipe = store.client.pipeline()
    for one in sightings:
        Sightings(store).put(pipe, one)
    pipe.execute()


def test_sightings_are_filtered_sorted_and_paged(client: Client, store: Store) -> None:
    put(store, [sighting(k, "ab"[k % 2], ("one", "two")[k % 3 == 0], NOW + 60 * k, k == 9) for k in range(10)])
    whole = client.get("/v1/sightings").json()
    assert whole["total"] == 10 and [s["start"] for s in whole["sightings"]][:2] == [NOW + 540, NOW + 480]
    assert client.get("/v1/sightings", params={"camera": "a", "video": "two"}).json()["total"] == 2
    assert client.get("/v1/sightings", params={"open": True}).json()["sightings"][0]["id"] == f"b/{round(NOW + 540)}000"
    page = client.get("/v1/sightings", params={"sort": "video", "offset": 8, "limit": 5}).json()
    assert [s["video"] for s in page["sightings"]] == ["two", "two"]
    between: dict[str, str | float] = {"since": NOW + 65, "until": "2026-11-26T14:15:00"}
    assert client.get("/v1/sightings", params=between).json()["total"] == sum(
        NOW + 60 * k + 10 >= NOW + 65 and NOW + 60 * k <= 1_795_702_500 for k in range(10)
    )
    assert is_problem(client.get("/v1/sightings", params={"since": "yesterday"}), 422, "since", "2026-")
    assert is_problem(client.get("/v1/sightings", params={"sort": "x"}), 422, "sort")


def test_a_sighting_keeps_what_the_camera_saw(client: Client, store: Store) -> None:
    one = sighting(0, "lobby-1", "bikes", NOW)
    picture = np.full((360, 640, 3), (200, 30, 30), np.uint8)
    CameraPictures(store).put([("lobby-1", round((NOW + 1.5) * 1e9), picture)])
    pipe = store.client.pipeline(transaction=True)
    Sightings(store).put(pipe, one)
    keep_for_sighting(pipe, "lobby-1", one.id)
    pipe.execute()
    (told,) = client.get("/v1/sightings").json()["sightings"]
    assert told["frame_film_seconds"] == 6.5  # a second and a half after the film's second 5
    seen = cv2.imdecode(np.frombuffer(client.get(told["frame"]).content, np.uint8), cv2.IMREAD_COLOR)
    assert seen is not None and seen.shape == (180, SIDE, 3) and abs(int(seen[90, 160, 2]) - 200) < 10
    assert is_problem(client.get("/v1/sightings/frame", params={"id": "none"}), 404, "none")
    assert 0 < store.client.pttl(keys.sighting_frame(one.id))


def test_sightings_tell_what_the_part_of_the_film_shows(client: Client, store: Store, bikes: str) -> None:
    stretches = [Stretch("bicycle", 0.0, 10.0, 0.8), Stretch("dog", 5.0, 7.0, 0.9), Stretch("cat", 0.0, 5.0, 0.9)]
    LabelStore(store).put(client.gateway.library.get(bikes).number, stretches)
    put(store, [sighting(0, "a", bikes, NOW), sighting(1, "a", "gone", NOW + 60)])
    gone, seen = client.get("/v1/sightings").json()["sightings"]
    # of [5, 15): bicycle 0.8 for 5 of 10 seconds, dog 0.9 for 2
    assert (seen["labels"], gone["labels"]) == ([["bicycle", 0.4], ["dog", 0.18]], [])


def test_cameras_tell_in_words_what_is_on_them(client: Client, store: Store, bikes: str) -> None:
    LabelStore(store).put(client.gateway.library.get(bikes).number, [Stretch("bicycle", 14.0, 16.0, 0.8)])
    store.client.zadd(keys.CAMERAS, {"film": time.time(), "yard": time.time()})
    for camera in ("film", "yard"):
        state = CameraFollower(camera, client.gateway.matcher, client.gateway.library)
        for second in range(3):
            state._labels.add(round((NOW + second) * 1e9), [("dog", 0.9)])
        state._last_ns = round((NOW + 2) * 1e9)
        state._sighting = sighting(0, camera, bikes, NOW, open=True) if camera == "film" else None
        store.client.hset(keys.camera_state(camera), "session", state.state())
    told = {one["camera"]: one["labels"] for one in client.get("/v1/cameras").json()["cameras"]}
    assert told == {"film": [["bicycle", 0.8]], "yard": [["dog", 0.9]]}


def test_cameras_tell_what_is_on_them(client: Client, store: Store) -> None:
    store.client.zadd(keys.CAMERAS, {"lobby-1": time.time(), "yard": time.time() - 60, "gone": time.time() - 100_000})
    CameraPictures(store).put([("lobby-1", time.time_ns(), np.zeros((90, 160, 3), np.uint8))])
    state = CameraFollower("lobby-1", client.gateway.matcher, client.gateway.library)
    state._sighting = sighting(0, "lobby-1", "bikes", NOW, open=True)
    store.client.hset(keys.camera_state("lobby-1"), "session", state.state())
    cameras = client.get("/v1/cameras").json()
    assert [(camera["camera"], camera["showing"] and camera["showing"]["video"]) for camera in cameras["cameras"]] == [
        ("lobby-1", "bikes"),
        ("yard", None),
    ]
    assert client.get(cameras["cameras"][0]["frame"]).headers["content-type"] == "image/jpeg"
    assert cameras["cameras"][1]["frame"] is None
    assert client.get("/v1/cameras", params={"q": "YARD"}).json()["total"] == 1
    newest = client.get("/v1/cameras", params={"sort": "-last_seen", "limit": 1}).json()["cameras"]
    assert [camera["camera"] for camera in newest] == ["lobby-1"]
    assert is_problem(client.get("/v1/cameras/none/frame"), 404, "none")


def test_pictures_of_a_camera_are_due_once_a_second(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, now = CameraPictures(store), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    due = []
    for now[0] in (100.0, 100.5, 101.0, 101.1, 102.2):
        due.append(pictures.due("a"))
    assert due == [True, False, True, False, True] and pictures.due("b")


def test_models_are_kept_by_phones_for_ever_and_asked_for_again_without_a_hash(client: Client) -> None:
    for entry in client.get("/v1/bundles").json()["bundles"]:
        bundle = shipped_bundle(entry["kind"])
        answer = client.get(entry["url"])
        assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"] == bundle.sha256
        assert "immutable" in answer.headers["cache-control"] and len(answer.content) == entry["bytes"]
        again = client.get(f"/v1/bundles/{entry['name']}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and again.headers["cache-control"] == "no-cache" and not again.content
        assert client.get(f"/v1/bundles/{entry['name']}/card").json()["sha256"] == entry["sha256"]
    assert is_problem(client.get("/v1/bundles/encoder", params={"sha256": "0" * 64}), 404, "another sha256")
    assert is_problem(client.get("/v1/bundles/other"), 404, "encoder, detector")


def test_pages_are_served_and_nothing_beside_them(
    make_client: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pages"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>phone</title>")
    (folder / "studio.html").write_text("<title>studio</title>")
    (folder / "assets" / "a-1.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr("pipeline.gateway.server.built_pages", lambda: folder)
    client = make_client(None)
    assert "phone" in client.get("/").text and "studio" in client.get("/studio?view=x").text
    wasm = client.get("/assets/a-1.wasm")
    assert wasm.headers["content-type"] == "application/wasm" and "immutable" in wasm.headers["cache-control"]
    assert client.get("/").headers["cache-control"] == "no-cache"
    for path in ("/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/assets", "/none.js", "//etc/passwd"):
        assert is_problem(client.get(path), 404, "/docs"), path


def test_pages_that_were_not_built_say_how_to(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.gateway.server.built_pages", lambda: None)
    client = make_client(None)
    assert client.get("/").status_code == 503 and "make web" in client.get("/").text
    assert pages.PHONE not in client.get("/docs").text and client.get("/docs").status_code == 200
    assert is_problem(client.get("/x"), 404, "/docs")
