"""The endpoints of the music tab, as programs call them."""

from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from core.media import probe
from tests.apps.conftest import Server
from tests.music_matching.makers import ffmpeg_loudness, film, groove_file, spoken


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "trip.mp4", 6, (2.0, 4.0), spoken(6, 0.5))


@pytest.fixture(scope="module")
def ids(client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two pieces of music are all there is in the library; title to id. A file that is none was refused."""
    for track in client.predict("", 1000, api_name="/music_matching_list")["results"]:
        client.predict(track["id"], api_name="/music_matching_remove")
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
