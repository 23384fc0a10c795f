"""The app's flags: login, upload limit, number waiting, and what is refused."""

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError

from app import build_app, launch, main
from apps.runtime import AppSettings, Jobs, Once, request_folder
from core.errors import ParameterError
from tests.apps.conftest import free_port
from tests.scenes import scene


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app behind a login that takes small files and lets one request wait."""
    folder = tmp_path_factory.mktemp("strict")
    settings = AppSettings(
        library=str(folder / "videos"),
        files=str(folder / "files"),
        models=str(folder / "models"),
        output=str(folder / "output"),
        port=free_port(),
        auth="me:secret",
        jobs=1,
        max_waiting=1,
        max_upload_mb=1,
    )
    app = launch(settings, block=False)
    yield f"http://127.0.0.1:{settings.port}"
    app.close()


def test_nobody_gets_in_without_the_password(strict: str) -> None:
    assert httpx.get(f"{strict}/config").status_code == 401
    assert httpx.post(f"{strict}/login", data={"username": "me", "password": "guess"}).status_code == 400
    assert httpx.post(f"{strict}/login", data={"username": "me", "password": "secret"}).status_code == 200


def test_an_upload_above_the_limit_is_refused_with_the_limit(strict: str, tmp_path: Path) -> None:
    client = Client(strict, auth=("me", "secret"), verbose=False)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2 * 2**20))
    with pytest.raises(ValueError, match="exceeds the maximum file size of 1048576 bytes"):
        client.predict(handle_file(str(large)), 5, "", api_name="/video_search_find")
    with httpx.Client(base_url=strict) as browser, large.open("rb") as stream:
        browser.post("/login", data={"username": "me", "password": "secret"})
        answer = browser.post("/gradio_api/upload", files={"files": ("large.mp4", stream)})
    assert answer.status_code == 413 and "1048576 bytes" in answer.text


def test_beyond_the_number_that_may_wait_a_request_is_told_that_the_queue_is_full(strict: str, tmp_path: Path) -> None:
    film = scene(tmp_path / "film.mp4", "forest", duration_s=20)

    def ask(number: int) -> str:
        client = Client(strict, auth=("me", "secret"), verbose=False)
        try:
            client.predict(handle_file(str(film)), 5, "", api_name="/video_search_find")
        except QueueError as error:
            return str(error)
        return "answered"

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert answers.count("answered") >= 2
    assert {answer for answer in answers if answer != "answered"} == {"Queue is full! Please try again."}


@pytest.mark.parametrize(
    ("words", "part"),
    [(["--port", "0"], "1 to 65535"), (["--jobs", "99"], "1 to 16"), (["--auth", "nopassword"], "user:password")],
)
def test_a_flag_out_of_range_is_a_bad_argument(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert part in capsys.readouterr().err


def test_heavy_events_of_all_tabs_share_one_queue(tmp_path: Path) -> None:
    settings = AppSettings(library=str(tmp_path / "v"), files=str(tmp_path / "f"), output=str(tmp_path / "o"), jobs=3)
    events = [event for event in build_app(settings).fns.values() if event.queue]
    assert events and {(event.concurrency_id, event.concurrency_limit) for event in events} == {("heavy", 3)}


def test_a_stop_button_reaches_only_the_jobs_of_its_own_session() -> None:
    jobs = Jobs()
    with jobs.running("anna") as annas, jobs.running("ben") as bens:
        assert jobs.cancel("anna") == 1
        assert annas.cancelled and not bens.cancelled
    assert jobs.cancel("anna") == jobs.cancel("ben") == 0


def test_a_pipeline_is_made_once_however_many_ask_at_once() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    once = Once(make)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(lambda _: once(), range(50))))) == len(made) == 1


def test_old_output_folders_are_cleaned_away_and_new_ones_kept(tmp_path: Path) -> None:
    import os

    settings = AppSettings(output=str(tmp_path / "out"))
    old, new = request_folder(settings), request_folder(settings)
    os.utime(old, (0, 0))
    newest = request_folder(settings)
    assert not old.exists() and new.exists() and newest.exists()


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ParameterError, match="both not empty"):
        AppSettings(auth=":secret")
