"""The home: one folder below which lies all that must outlive a restart."""

from pathlib import Path

import pytest

from apps.runtime import KEPT, AppSettings
from core import runtime
from core.errors import ParameterError
from core.runtime import HOME_VARIABLE, SPACE_VARIABLE, below_home, home
from core.weights import weights_path
from tests.weights.hub_double import HubDouble, point_client_at
from tests.weights.toys import REPOSITORY, publish, toy_files


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a Space would mount at /data, not mounted yet."""
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.delenv(SPACE_VARIABLE, raising=False)
    monkeypatch.setattr(runtime, "SPACE_DISK", tmp_path / "data")
    return tmp_path / "data"


def test_without_a_home_every_folder_lies_where_it_always_did(disk: Path) -> None:
    disk.mkdir()
    assert home() is None
    assert [getattr(AppSettings(), name) for name in KEPT] == [
        "library/videos",
        "library/music",
        "library/concepts",
        "library/files",
        "library/models",
        "output",
    ]


def test_with_a_home_all_that_the_app_keeps_lies_below_it(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "kept"))
    settings = AppSettings()
    assert {Path(getattr(settings, name)).is_relative_to(tmp_path / "kept") for name in KEPT} == {True}
    assert settings.library == str(tmp_path / "kept" / "library" / "videos")


def test_full_paths_and_addresses_stay_as_they_are(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "kept"))
    for place in (str(tmp_path / "elsewhere"), "s3://films/library", "~/films"):
        assert AppSettings(library=place).library == below_home(place) == place


def test_on_a_space_its_disk_is_the_home_once_it_is_mounted(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPACE_VARIABLE, "somebody/showreel")
    assert home() is None, "nothing is mounted, so what is kept lies in the container"
    disk.mkdir()
    assert home() == disk
    disk.chmod(0o555)
    monkeypatch.setattr(runtime.os, "access", lambda path, mode: not mode & runtime.os.W_OK)
    assert home() is None, "a disk that may not be written to keeps nothing"


def test_the_variable_goes_before_the_disk_of_a_space(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.mkdir()
    monkeypatch.setenv(SPACE_VARIABLE, "somebody/showreel")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "kept"))
    assert home() == tmp_path / "kept"


def test_a_home_that_is_a_file_is_named(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "letter").write_text("no folder")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "letter"))
    with pytest.raises(ParameterError, match=r"SHOWREEL_HOME names .*letter"):
        AppSettings()


class TestWeightsOfTheHub:
    """Downloads are kept below the home; what a Space loaded while it was built is not downloaded again."""

    @pytest.fixture
    def shelf(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "weights"
        path.mkdir()
        monkeypatch.setenv("SHOWREEL_WEIGHTS", str(path))
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "kept"))
        return path

    def test_what_is_downloaded_is_there_after_a_restart(
        self, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HubDouble(tmp_path / "hub") as hub:
            point_client_at(monkeypatch, hub.url, tmp_path / "unused")
            monkeypatch.delenv("HF_HUB_CACHE")
            publish(hub, shelf, toy_files())
            found = weights_path("toy")
            assert found.is_relative_to(tmp_path / "kept" / "hub")
            asked = len(hub.requests)
            assert weights_path("toy") == found and len(hub.requests) == asked

    def test_what_a_space_loaded_while_it_was_built_is_used_from_there(
        self, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = tmp_path / "built"
        with HubDouble(tmp_path / "hub") as hub:
            point_client_at(monkeypatch, hub.url, built)
            publish(hub, shelf, toy_files())
            weights_path("toy")
            monkeypatch.delenv("HF_HUB_CACHE")
            monkeypatch.setattr("core.weights.hub.constants.HF_HUB_CACHE", str(built))
            bodies = len(hub.bodies("config.json"))
            found = weights_path("toy")
            assert found.is_relative_to(built) and not (tmp_path / "kept").exists()
            (found / "text" / "config.json").unlink()
            again = weights_path("toy")
            assert again.is_relative_to(tmp_path / "kept"), "half a set is no set: all of it comes to the home"
            assert len(hub.bodies("config.json")) == bodies + 1
            assert sorted(p.name for p in again.rglob("*.*")) == ["config.json", "model.safetensors"]
            assert REPOSITORY.replace("/", "--") in str(again)
