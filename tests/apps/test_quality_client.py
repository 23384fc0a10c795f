"""The endpoints of the quality score as programs call them, with the Gradio Python client, on real files."""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from core.media import write_video
from tests.apps.conftest import Server
from tests.factories import moving_clip, still_picture

PATIENCE_S = 120


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


def grey(path: Path, *shades: int) -> Path:
    """A film of one second of each grey."""
    write_video(path, (np.full((64, 96, 3), shade, np.uint8) for shade in shades for _ in range(10)), Fraction(10))
    return path


def score(client: Client, *files: Path, display_height: int = 0) -> Any:
    return client.predict([handle_file(str(f)) for f in files], display_height, api_name="/video_quality_score")


def test_a_score_has_all_that_the_command_line_tells_and_a_picture_of_the_worst_moment(
    server: Server, client: Client, tmp_path: Path
) -> None:
    (row,) = score(client, grey(tmp_path / "greys.mp4", 200, 40, 180))["results"]
    assert row["file"] == "greys.mp4" and [second["start_s"] for second in row["per_second"]] == [0, 1, 2]
    assert 1 <= row["uncertainty"][0] <= row["score"] <= row["uncertainty"][1] <= 5 and row["level"] == "fair"
    assert [moment["time_s"] for moment in row["worst"]] == [1.5]
    fetched = httpx.get(f"{server.url}/gradio_api/file={row['worst'][0]['picture']}")
    assert fetched.status_code == 200 and fetched.headers["content-type"] == "image/jpeg"
    assert [fault["kind"] for fault in row["faults"]] == ["freeze"]


def test_a_bad_file_is_named_and_the_rest_are_scored(client: Client, not_media: Path, tmp_path: Path) -> None:
    still, film = still_picture(tmp_path / "still.png"), moving_clip(tmp_path / "film.mkv", duration_s=1)
    answer = score(client, still, not_media, film)
    assert [row["file"] for row in answer["results"]] == ["still.png", "film.mkv"] and not answer["stopped"]
    (error,) = answer["errors"]
    assert error["file"] == "letter.mp4" and "letter.mp4 is not a film" in error["error"]


def test_two_versions_are_compared_and_both_can_be_played(server: Server, client: Client, tmp_path: Path) -> None:
    dark, bright = grey(tmp_path / "dark.mkv", 20, 20), grey(tmp_path / "bright.mp4", 220, 220)
    answer = client.predict(handle_file(str(dark)), handle_file(str(bright)), 0, api_name="/video_quality_compare")
    assert [row["file"] for row in answer["results"]] == ["dark.mkv", "bright.mp4"]
    assert answer["difference"] > 2.5 and answer["certain"]
    for row in answer["results"]:
        fetched = httpx.get(f"{server.url}/gradio_api/file={row['playable']}", headers={"Range": "bytes=0-99"})
        assert fetched.status_code == 206 and fetched.headers["content-type"] == "video/mp4"
    with pytest.raises(AppError, match=r"letter\.mp4"):
        letter = tmp_path / "letter.mp4"
        letter.write_text("Dear all, " * 50)
        client.predict(handle_file(str(dark)), handle_file(str(letter)), 0, api_name="/video_quality_compare")


def test_the_teachers_are_asked_about_every_file_and_a_bad_one_is_named(
    client: Client, not_media: Path, tmp_path: Path
) -> None:
    files = [grey(tmp_path / "bright.mkv", 255, 255), not_media, grey(tmp_path / "grey.mkv", 102)]
    answer = client.predict([handle_file(str(f)) for f in files], 0, api_name="/video_quality_teachers")
    bright, medium = answer["results"]
    assert bright["file"] == "bright.mkv" and bright["importances"] == pytest.approx({"bright": 1, "dark": 0}, abs=0.02)
    assert medium["importances"] == pytest.approx({"bright": 0.4, "dark": 0.6}, abs=0.02)
    assert all(row["student"] == pytest.approx(row["teacher"], abs=0.1) for row in answer["results"])
    assert [error["file"] for error in answer["errors"]] == ["letter.mp4"]


def test_a_setting_out_of_range_and_no_file_are_said_in_words(client: Client, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="choose one or more videos"):
        client.predict([], 0, api_name="/video_quality_score")
    with pytest.raises(AppError):
        score(client, still_picture(tmp_path / "still.png"), display_height=7)


def test_cancel_stops_a_job_and_keeps_what_was_finished(server: Server, reels: list[Path]) -> None:
    client = Client(server.url, verbose=False)
    files = [handle_file(str(film)) for film in reels * 3]
    job = client.submit(files, 0, api_name="/video_quality_score")
    deadline = time.monotonic() + PATIENCE_S
    while not (job.status().progress_data and "reel1" in str(job.status().progress_data)):
        assert time.monotonic() < deadline and not job.done()
        time.sleep(0.02)
    client.predict(api_name="/video_quality_cancel")
    answer = job.result(timeout=PATIENCE_S)
    assert answer["stopped"] and 1 <= len(answer["results"]) < len(files) and answer["errors"] == []
