"""`/v1/videos` and `/v1/search`: the catalogue over HTTP."""

import cv2
import numpy as np
import pytest

from edge.demo import sample_films
from pipeline.library import Library
from pipeline.store import Store
from tests.commands import BIKES, BUNNY, CARPHONE
from tests.pipeline.gateway.conftest import SRT, VTT, Client, Make, add_film, is_problem

pytestmark = pytest.mark.redis


def test_a_list_is_sorted_filtered_and_paged(client: Client, store: Store) -> None:
    for film in (BUNNY, BIKES, CARPHONE):
        add_film(store, sample_films()[film])
    names = [video["video"] for video in client.get("/v1/videos").json()["videos"]]
    assert names == sorted(names) and len(names) == 3
    longest = client.get("/v1/videos", params={"sort": "-duration_seconds", "limit": 1}).json()
    assert [video["video"] for video in longest["videos"]] == ["bikes"] and longest["total"] == 3
    second = client.get("/v1/videos", params={"sort": "-duration_seconds", "limit": 1, "offset": 1}).json()
    assert [video["video"] for video in second["videos"]] == ["bigbuckbunny"]
    assert client.get("/v1/videos", params={"q": "BUCK"}).json()["total"] == 1
    assert is_problem(client.get("/v1/videos", params={"sort": "colour"}), 422, "colour", "duration_seconds")
    assert is_problem(client.get("/v1/videos", params={"limit": 0}), 422, "limit")


def test_a_video_that_is_not_there_is_told_with_near_ids(client: Client, bikes: str) -> None:
    assert is_problem(client.get("/v1/videos/bike"), 404, "bike", "did you mean bikes?")


def test_an_id_may_have_any_characters(client: Client, store: Store) -> None:
    film = sample_films()[BIKES]
    answer = client.post("/v1/videos", files={"film": (film.name, film.read_bytes())}, data={"video": "Ünï 100% #1?"})
    assert client.wait_for(answer.json())["state"] == "done"
    (video,) = client.get("/v1/videos").json()["videos"]
    assert client.get(video["poster"]).status_code == 200
    assert client.delete("/v1/videos/%C3%9Cn%C3%AF%20100%25%20%231%3F").status_code == 204
    assert client.get("/v1/videos").json()["total"] == 0


def test_title_and_subtitles_change_together_or_not_at_all(client: Client, bikes: str) -> None:
    changed = client.patch("/v1/videos/bikes", json={"title": " Two  wheels ", "subtitles": {"de": VTT, "en": None}})
    assert changed.json()["title"] == "Two wheels" and changed.json()["languages"] == ["de", "it"]
    broken = client.patch("/v1/videos/bikes", json={"title": "Other", "subtitles": {"fr": "no times"}})
    assert is_problem(broken, 422, "'fr'", "-->")
    assert client.get("/v1/videos/bikes").json()["title"] == "Two wheels"
    assert is_problem(client.patch("/v1/videos/bikes", json={"name": "x"}), 422, "name")
    assert is_problem(client.patch("/v1/videos/bikes", json={"title": " "}), 422, "title")
    assert is_problem(client.patch("/v1/videos/bikes", json={"subtitles": {"e n": VTT}}), 422, "language")


def test_what_changed_is_still_found(client: Client, bikes: str, store: Store) -> None:
    client.patch("/v1/videos/bikes", json={"title": "Two wheels"})
    clip = sample_films()[BIKES].read_bytes()
    (match,) = client.post("/v1/identify", files={"clip": ("c.mp4", clip)}).json()["matches"]
    assert (match["video"], match["title"]) == ("bikes", "Two wheels")
    assert Library(store).get("bikes").runs > 0


def test_subtitles_are_given_as_webvtt_and_as_cues(client: Client, bikes: str) -> None:
    text = client.get("/v1/videos/bikes/subtitles/it")
    assert text.headers["content-type"].startswith("text/vtt")
    assert text.text.startswith("WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nCiao biciclette\n")
    cues = client.get("/v1/videos/bikes/subtitles/en", params={"format": "json"}).json()["cues"]
    assert cues[1] == {"start": 3.5, "end": 9.0, "text": "Two & more\nlines"}
    assert is_problem(client.get("/v1/videos/bikes/subtitles/fr"), 404, "'fr'", "en, it")
    assert client.put("/v1/videos/bikes/subtitles/fr", content=SRT).status_code == 204
    assert client.get("/v1/videos/bikes").json()["languages"] == ["en", "fr", "it"]
    assert is_problem(client.put("/v1/videos/bikes/subtitles/fr", content=b"\xff\xfe"), 422, "UTF-8")
    assert client.delete("/v1/videos/bikes/subtitles/fr").status_code == 204
    assert is_problem(client.delete("/v1/videos/bikes/subtitles/fr"), 404, "'fr'")


def test_a_poster_is_made_small_and_goes_with_its_video(client: Client, bikes: str, store: Store) -> None:
    assert is_problem(client.get("/v1/videos/bikes/poster"), 404, "no poster")
    picture = np.zeros((400, 800, 3), np.uint8)
    picture[:, 400:] = 255
    png = cv2.imencode(".png", picture)[1].tobytes()
    assert client.put("/v1/videos/bikes/poster", content=png).status_code == 204
    answer = client.get("/v1/videos/bikes/poster")
    seen = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert seen is not None and seen.shape == (160, 320, 3) and seen[80, 60].max() < 20 and seen[80, 260].min() > 235
    assert is_problem(client.put("/v1/videos/bikes/poster", content=b"GIF89a"), 422, "no picture")
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1 << 30).to_bytes(4) * 2 + b"\x08\2\0\0\0"
    assert is_problem(client.put("/v1/videos/bikes/poster", content=huge), 422, "no picture")
    assert client.delete("/v1/videos/bikes").status_code == 204
    left = [key.decode() for key in store.client.scan_iter("vnome:*") if b"{1}" in key or b"poster" in key]
    assert not left


def test_a_film_at_hand_is_shown_and_played(make_client: Make, bikes: str) -> None:
    film = sample_films()[BIKES]
    client = make_client(films=(film.parent,))
    place = client.get("/v1/videos/bikes").json()["film"]
    player = client.with_key(None)  # a player sends no key; the address has a ticket
    part = player.get(place, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == film.read_bytes()[10:20]
    assert is_problem(player.get("/v1/videos/bikes/film"), 401, "API key")
    assert is_problem(player.get(place[:-1] + ("0" if place[-1] != "0" else "1")), 401, "API key")
    assert is_problem(player.get("/v1/videos/bikes/film", params={"ticket": "zz-1"}), 401, "API key")
    picture = client.get("/v1/videos/bikes/frame", params={"at": 5, "width": 200})
    seen = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert seen is not None and seen.shape[1] == 200
    assert client.get("/v1/videos/bikes/frame", params={"at": 500}).status_code == 200  # its last picture
    assert is_problem(client.get("/v1/videos/bikes/frame", params={"at": "nan"}), 422, "at")


def test_another_file_of_the_same_name_is_not_taken_for_the_film(
    make_client: Make, bikes: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("films")
    (folder / "bikes.mp4").write_bytes(sample_films()[BUNNY].read_bytes())
    client = make_client(films=(folder,))
    assert client.get("/v1/videos/bikes").json()["film"] is None
    assert is_problem(client.get("/v1/videos/bikes/film"), 404, "--films")
    assert is_problem(client.get("/v1/videos/bikes/frame"), 404, "--films")


def test_search_finds_titles_and_what_is_said(client: Client, bikes: str) -> None:
    found = client.get("/v1/search", params={"q": "BIKES"}).json()
    assert [(hit["kind"], hit["at_seconds"]) for hit in found["results"]] == [("title", 0.0), ("subtitle", 1.0)]
    said = client.get("/v1/search", params={"q": "ciao", "kind": "subtitle"}).json()["results"]
    assert [(hit["language"], hit["text"]) for hit in said] == [("it", "Ciao biciclette")]
    assert client.get("/v1/search", params={"q": "ciao", "language": "en"}).json()["total"] == 0
    assert client.get("/v1/search", params={"q": "hello bikes nothing"}).json()["total"] == 0
    assert is_problem(client.get("/v1/search", params={"q": " "}), 422, "word")
