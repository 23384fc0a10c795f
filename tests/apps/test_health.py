"""``/health`` on a real server: without a login, without secrets, and true."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from app import launch
from apps import TABS, health
from apps.health import Health, reachable, revision, standing, version
from apps.runtime import AppSettings
from core.errors import WeightsError
from core.runtime import HOME_VARIABLE
from core.weights import all_manifests
from tests.apps.conftest import free_port
from tests.scenes import scene
from tests.weights.toys import lay, promise, toy_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv(HOME_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def door(home: Path) -> Iterator[str]:
    """The app with a home, behind a login."""
    settings = AppSettings(port=free_port(), auth="me:secret")
    app = launch(settings, block=False)
    yield f"http://127.0.0.1:{settings.port}"
    app.close()


def test_it_says_without_a_login_that_all_is_well(door: str) -> None:
    assert httpx.get(f"{door}/config").status_code == 401
    answer = httpx.get(f"{door}/health", timeout=20)
    told = answer.json()
    assert (answer.status_code, told["status"], told["troubles"]) == (200, "ok", [])
    assert told["tools"] == [{"tool": tab.title, "weights": "verified"} for tab in TABS]
    assert (told["profile"], told["library"], told["kept_over_restarts"]) == ("embedded", "reachable", True)
    assert told["free_disk_bytes"] > 0
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (told["version"], told["revision"]) == (version(), head.stdout.strip())


def test_it_names_the_state_of_all_weights_and_no_folder_user_or_password(door: str, home: Path) -> None:
    answer = httpx.get(f"{door}/health", timeout=20)
    embedded = {m.name for m in all_manifests() if m.profile == "embedded"}
    states = answer.json()["weights"]
    assert set(states) == {manifest.name for manifest in all_manifests()}
    assert {states[name] for name in embedded} == {"verified"}
    assert not [word for word in (str(home), str(ROOT), "secret", str(Path.home())) if word in answer.text]


def test_the_other_doors_still_work_beside_it(door: str) -> None:
    """Routes that are given to the server come first; they must hide none of its own."""
    client = Client(door, auth=("me", "secret"), verbose=False)
    assert "/video_search_find" in client.view_api(return_format="dict")["named_endpoints"]
    with httpx.Client(base_url=door) as visitor:
        visitor.post("/login", data={"username": "me", "password": "secret"})
        assert visitor.get("/").status_code == 200
        assert "video_search_find" in visitor.get("/gradio_api/mcp/schema").text


def test_a_library_is_found_again_after_a_restart(door: str, home: Path, tmp_path: Path) -> None:
    client = Client(door, auth=("me", "secret"), verbose=False)
    client.predict([handle_file(str(scene(tmp_path / "film.mp4", "forest")))], "kept", api_name="/video_search_add")
    settings = AppSettings(port=free_port())
    again = launch(settings, block=False)
    try:
        client = Client(f"http://127.0.0.1:{settings.port}", verbose=False)
        listed = client.predict("", 10, api_name="/video_search_list")
    finally:
        again.close()
    assert [row["title"] for row in listed["results"]] == ["film"]
    assert list((home / "library" / "files").iterdir()) and (home / "library" / "videos").is_dir()


class TestWhatIsAmiss:
    @pytest.fixture
    def shelf(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "weights"
        path.mkdir()
        monkeypatch.setenv("SHOWREEL_WEIGHTS", str(path))
        promise(path, toy_files())
        lay(path / "toy", toy_files())
        return path

    @pytest.fixture
    def look(self, shelf: Path, tmp_path: Path) -> Health:
        return Health(AppSettings(library=str(tmp_path / "videos"), output=str(tmp_path / "output")), TABS)

    def test_weights_that_are_wrong_or_missing_are_named_and_left_where_they_are(
        self, look: Health, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "FRESH_S", 0.0)
        assert look()["status"] == "ok"
        model = shelf / "toy" / "model.safetensors"
        model.write_bytes(b"rotten")
        assert look()["troubles"] == ["The weights toy are wrong."]
        assert model.read_bytes() == b"rotten"
        model.unlink()
        assert (look()["status"], look()["troubles"]) == ("amiss", ["The weights toy are missing."])

    def test_weights_of_the_hub_that_were_not_fetched_yet_are_no_trouble(self, look: Health, shelf: Path) -> None:
        promise(shelf, toy_files(), name="far", profile="hub", repository="nobody/far", revision="0" * 40)
        assert (look()["status"], look()["weights"]["far"]) == ("ok", "missing")

    def test_a_library_that_is_a_file_is_out_of_reach(self, shelf: Path, tmp_path: Path) -> None:
        (tmp_path / "videos").write_text("no folder")
        told = Health(AppSettings(library=str(tmp_path / "videos"), output=str(tmp_path)), TABS)()
        assert (told["status"], told["library"]) == ("amiss", "unreachable")

    def test_a_manifest_that_cannot_be_read_is_amiss_and_does_not_end_the_looking(
        self, look: Health, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "FRESH_S", 0.0)
        manifest = shelf / "toy" / "manifest.toml"
        kept = manifest.read_text()
        manifest.write_text("name = ")
        told = look()
        assert told["status"] == "amiss" and WeightsError.__name__ in told["troubles"][0]
        assert str(shelf) not in json.dumps(told)
        manifest.write_text(kept)
        assert look()["status"] == "ok"

    def test_one_look_serves_all_who_ask_while_it_is_fresh(self, look: Health, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[str] = []

        def watched(address: str) -> bool:
            looks.append(address)
            return True

        monkeypatch.setattr(health, "reachable", watched)
        threads = [threading.Thread(target=look) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert look()["status"] == "ok" and len(looks) == 1

    def test_a_store_that_does_not_answer_keeps_nobody_waiting(
        self, look: Health, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answered = threading.Event()
        monkeypatch.setattr(health, "PATIENCE_S", 0.05)
        monkeypatch.setattr(health, "reachable", lambda address: answered.wait(20))
        begin = time.monotonic()
        assert [look()["status"] for _ in range(3)] == ["starting"] * 3
        assert time.monotonic() - begin < 5
        answered.set()
        monkeypatch.setattr(health, "PATIENCE_S", 20)
        assert look()["status"] == "ok"


def test_a_library_nobody_made_yet_is_within_reach_when_it_can_be_made(tmp_path: Path) -> None:
    assert reachable(str(tmp_path / "not" / "made" / "yet"))
    assert standing(tmp_path / "not" / "made") == tmp_path
    assert not reachable("ftp://nowhere/films")


def test_the_revision_comes_from_the_environment_where_there_is_no_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "ROOT", tmp_path)
    assert revision() == "unknown"
    monkeypatch.setenv(health.REVISION_VARIABLE, "abc123")
    assert revision() == "abc123"
