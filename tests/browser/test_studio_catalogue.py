"""The studio's catalogue: uploading, finding, and changing films."""

from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from edge.demo import sample_films
from tests.browser.conftest import Reels
from tests.browser.driving import Chromiums, says, until
from tests.browser.studio import EPISODES, SAID, SPOKEN, Studio, lists
from tests.commands import BUNNY

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ROWS = "[data-testid^=row-]"
UPLOADED_TIMES = 5  # so that it takes a while to code
HELLO = "WEBVTT\n\n00:01.000 --> 00:03.500\nHello, rabbit\n"
_RECORD = """() => {
  window.progress = [];
  const note = () => {
    const row = document.querySelector("[data-testid=upload-state]")?.closest("li");
    const bar = row?.querySelector("progress");
    if (bar && bar.value !== progress.at(-1)) progress.push(bar.value);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


def test_upload_is_followed_until_the_film_is_in_the_catalogue(
    browsers: Chromiums, studio: Studio, reels: Reels, tmp_path: Path
) -> None:
    repeated(sample_films()[BUNNY], tmp_path / "rabbit.mp4", UPLOADED_TIMES)
    beside = {"en.vtt": HELLO.encode(), "it.srt": SAID.encode("cp1252"), "jpg": reels.bunny.pictures[0]}
    for ending, content in beside.items():
        (tmp_path / f"rabbit.{ending}").write_bytes(content)
    with studio.page(browsers, studio.manage, "upload") as page:
        page.get_by_test_id("upload-file").set_input_files(sorted(tmp_path.iterdir()))
        until(page, lambda: page.get_by_test_id("draft").count() == 1)
        page.get_by_test_id("draft-title").fill("A big rabbit")
        page.evaluate(_RECORD)
        page.get_by_test_id("upload-start").click()
        page.get_by_test_id("upload-state").wait_for()
        browsers.shoot(page, "studio-uploading")
        says(page.get_by_test_id("upload-state"), "In the catalogue")
        progress = page.evaluate("progress")
        assert progress == sorted(progress)
        assert any(0 < share < 1 for share in progress), progress
        page.get_by_role("link", name="Open the video").click()
        dialog = page.get_by_test_id("video-dialog")
        says(dialog.locator("h2"), "A big rabbit")
        dialog.get_by_test_id("subtitles-en").wait_for()
        dialog.get_by_test_id("subtitles-it").wait_for()
        until(page, "document.querySelector('dialog .poster img')?.naturalWidth > 0")
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Download the subtitles in Italian").click()
        assert "Perché no? La bicicletta è mia" in Path(download.value.path()).read_text()


def repeated(film: Path, path: Path, times: int) -> None:
    """Writes a longer film: this one again and again, not coded anew."""
    with av.open(str(path), "w") as out, av.open(str(film)) as first:
        to = out.add_stream_from_template(first.streams.video[0])
        for again in range(times):
            with av.open(str(film)) as source:
                stream = source.streams.video[0]
                whole = round(float(source.duration or 0) / av.time_base / float(stream.time_base or 1))
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + again * whole, packet.dts + again * whole
                    packet.stream = to
                    out.mux(packet)


def titles(page: "Page") -> list[str]:
    """Of the videos that the table shows."""
    return page.locator(f"{ROWS} td:first-child").all_inner_texts()


def test_catalogue_is_searched_sorted_and_paged_by_its_address(browsers: Chromiums, studio: Studio) -> None:
    with studio.page(browsers, studio.query, "catalogue") as page:
        page.get_by_test_id("row-bikes").wait_for()
        browsers.shoot(page, "studio-catalogue")
        page.get_by_test_id("shown-as").select_option("table")
        page.get_by_test_id("page-size").select_option("24")
        page.get_by_test_id("search").fill("episode")
        lists(page, 1, 24, EPISODES)
        page.get_by_test_id("sort-duration_seconds").click()
        until(page, lambda: titles(page)[:1] == ["Episode 00"])
        page.get_by_test_id("sort-duration_seconds").click()
        until(page, lambda: titles(page)[:1] == [f"Episode {EPISODES - 1}"])
        page.get_by_test_id("next").click()
        lists(page, 25, 48, EPISODES)
        until(page, lambda: titles(page)[:1] == [f"Episode {EPISODES - 25}"])
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("Duration")
        page.reload()
        lists(page, 25, 48, EPISODES)
        until(page, lambda: titles(page)[:1] == [f"Episode {EPISODES - 25}"])
        assert page.get_by_test_id("search").input_value() == "episode"
        page.go_back()
        lists(page, 1, 24, EPISODES)
        page.get_by_test_id("search").fill("no such film")
        says(page.locator(".empty"), "No video has “no such film” in its title or ID")


def test_title_and_subtitles_are_changed(browsers: Chromiums, studio: Studio, tmp_path: Path) -> None:
    vtt, srt = tmp_path / "a.vtt", tmp_path / "b.srt"
    vtt.write_text(SPOKEN)
    srt.write_bytes(SAID.encode("cp1252"))
    with studio.page(browsers, studio.manage, "catalogue", q="episode-07") as page:
        page.get_by_test_id("row-episode-07").locator("a").click()
        page.get_by_test_id("title").fill("The seventh")
        page.get_by_test_id("save-title").click()
        says(page.locator("dialog h2"), "The seventh")
        says(page.get_by_test_id("row-episode-07"), "The seventh")  # in the list behind it
        page.get_by_test_id("subtitles-language").fill("DE")
        page.get_by_test_id("subtitles-file").set_input_files(vtt)
        page.get_by_test_id("subtitles-de").wait_for()
        page.get_by_test_id("replace-subtitles-de").set_input_files(srt)
        says(page.locator(".announcement"), "Subtitles in German are replaced.")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the subtitles in German").click()
        assert "Perché no?" in Path(download.value.path()).read_text()
        browsers.shoot(page, "studio-video")
        page.get_by_test_id("delete-subtitles-de").click()
        page.get_by_test_id("confirm").click()
        until(page, lambda: page.get_by_test_id("subtitles-de").count() == 0)
        page.get_by_test_id("subtitles-language").fill("fr")
        vtt.write_text("WEBVTT\n\nnothing")
        page.get_by_test_id("subtitles-file").set_input_files(vtt)
        until(page, "[...document.querySelectorAll('dialog [role=alert]')].some((one) => one.textContent)")
        page.keyboard.press("Escape")
        until(page, lambda: page.get_by_test_id("video-dialog").count() == 0)
        assert "video=" not in page.url


def test_video_is_deleted_after_a_question(browsers: Chromiums, studio: Studio) -> None:
    with studio.page(browsers, studio.manage, "catalogue", q="episode-09", video="episode-09") as page:
        page.get_by_test_id("delete-video").click()
        page.locator("dialog").get_by_role("button", name="Cancel").click()
        page.get_by_test_id("delete-video").click()
        page.get_by_test_id("confirm").click()
        says(page.locator(".empty"), "No video has “episode-09”")
        says(page.locator(".announcement"), "“Episode 09” is deleted.")
