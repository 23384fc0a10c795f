"""The music tab: its endpoints as programs call them, and the tab as people use it in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect, sync_playwright

from core.media import probe
from tests.apps.conftest import LOOPBACK, Server
from tests.apps.visitor import FLAGS, PATIENCE_MS, SCREENSHOTS
from tests.music_matching.makers import ffmpeg_loudness, film, groove_file, spoken


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "trip.mp4", 6, (2.0, 4.0), spoken(6, 0.5))


@pytest.fixture(scope="module")
def ids(client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two pieces of music are in the library; title to id. A file that is none was refused."""
    folder = tmp_path_factory.mktemp("music")
    files = [groove_file(folder / "SlowRiver.wav", 14, 70), groove_file(folder / "CityRush.ogg", 14, 150)]
    bad = folder / "letter.mp3"
    bad.write_text("Dear all,\nthis is not music.\n" * 50)
    answer = client.predict(
        [handle_file(str(path)) for path in (*files, bad)], "CC0", "", api_name="/music_matching_add"
    )
    (error,) = answer["errors"]
    assert "letter.mp3 is not a film, picture or sound" in error["error"]
    return {Path(row["file"]).stem: row["id"] for row in answer["results"]}


def test_a_film_gets_ranked_tracks_and_a_laid_film(
    server: Server, client: Client, ids: dict[str, str], video: Path
) -> None:
    answer = client.predict(handle_file(str(video)), 5, "fast", api_name="/music_matching_match")
    best, second = answer["results"]
    assert best["id"] == ids["CityRush"] and best["licence"] == "CC0" and best["reasons"]
    assert best["score"] >= second["score"] and len(best["wave"]) == 160 and answer["query"]["cuts_s"] == [2.0, 4.0]
    fetched = httpx.get(f"{server.url}/gradio_api/file={best['playable']}", headers={"Range": "bytes=0-99"})
    assert fetched.status_code == 206 and fetched.headers["content-type"].startswith(("audio/", "application/ogg"))

    start = best["window_s"][0]
    laid = client.predict(
        handle_file(str(video)), best["id"], start, "duck", -6, -12, 1, api_name="/music_matching_lay"
    )
    assert laid["mode"] == "duck" and laid["ducked_s"] and laid["start_s"] == start
    assert probe(laid["file"]).duration_s == probe(video).duration_s
    integrated, peak = ffmpeg_loudness(Path(laid["file"]))
    assert integrated == pytest.approx(-14, abs=0.5) and peak <= -1


def test_the_library_is_listed_filtered_and_tracks_are_removed(
    client: Client, ids: dict[str, str], tmp_path: Path
) -> None:
    extra = groove_file(tmp_path / "Harbour.wav", 5)
    (row,) = client.predict([handle_file(str(extra))], "", "", api_name="/music_matching_add")["results"]
    listed = client.predict("harbour", 10, api_name="/music_matching_list")
    assert [track["id"] for track in listed["results"]] == [row["id"]]
    client.predict(row["id"], api_name="/music_matching_remove")
    assert client.predict("harbour", 10, api_name="/music_matching_list")["total"] == 0


def test_bad_requests_get_their_sentence(client: Client, ids: dict[str, str], not_media: Path, video: Path) -> None:
    with pytest.raises(AppError, match=r"letter\.mp4 is not a film"):
        client.predict(handle_file(str(not_media)), 5, "", api_name="/music_matching_match")
    with pytest.raises(AppError, match="has no unknown"):
        client.predict(handle_file(str(video)), "unknown", -1, "mix", 0, 0, 0, api_name="/music_matching_lay")


@pytest.fixture
def page(server: Server, chromium: str) -> Iterator[Page]:
    hosts: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: hosts.append(request.url.partition("//")[2].partition("/")[0]))
        page.goto(server.url)
        page.get_by_role("tab", name="Music").click()
        yield page
        browser.close()
    assert all(not host or host.startswith(LOOPBACK) for host in hosts), hosts


def choose_file(page: Page, label: str, path: Path) -> None:
    zone = page.locator(".block", has_text=label).last
    zone.locator("input[type=file]").first.set_input_files(str(path))
    expect(zone.locator(f'a[download="{path.name}"]')).to_be_visible()


@pytest.mark.browser
def test_a_person_finds_previews_and_renders(page: Page, ids: dict[str, str], video: Path) -> None:
    expect(page.locator("#music-matching-library")).to_contain_text("CityRush")
    choose_file(page, "Film that needs music", video)
    page.get_by_label("In words").fill("fast")
    page.get_by_role("button", name="Find music").click()
    cards = page.locator(".card.track")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("CityRush")
    expect(cards.first.locator(".wave .cuts line")).to_have_count(2)
    page.get_by_role("button", name="Preview with CityRush").click()
    players = page.locator("#music-matching-preview video")
    expect(players).to_have_count(2)
    ready: Any = "v => new Promise(done => { if (v.readyState > 1) done(true); v.onloadeddata = () => done(true);"
    ready += " v.onerror = () => done(false); })"
    assert all(players.nth(index).evaluate(ready) for index in range(2))
    page.get_by_role("button", name="Use CityRush").click()
    expect(page.locator("#music-matching-chosen")).to_contain_text("CityRush")
    page.get_by_role("button", name="Render the film").click()
    expect(page.locator("#music-matching-told")).to_contain_text("LUFS")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / "music.png"), full_page=True)
    expect(page.get_by_role("button", name="Download the film")).to_be_enabled()
