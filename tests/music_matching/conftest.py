"""One model and one set of networks for all tests, a small library of music, and films to match."""

from pathlib import Path

import pytest

from core.music_matching import MatchConfig, MusicMatching
from core.music_matching.pipeline import Model
from tests.music_matching.makers import film, groove_file, spoken


@pytest.fixture(scope="session")
def model() -> Model:
    return Model.embedded()


@pytest.fixture(scope="session")
def grooves(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three pieces of music that differ in tempo."""
    folder = tmp_path_factory.mktemp("grooves")
    names = {"SlowRiver.wav": 70.0, "CityRush.flac": 150.0, "Meadow.ogg": 110.0}
    return [groove_file(folder / name, 14, bpm) for name, bpm in names.items()]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, model: Model, grooves: list[Path]) -> MusicMatching:
    """A tool whose library holds the grooves; tests leave it as it is."""
    matching = MusicMatching(tmp_path_factory.mktemp("filled") / "library", MatchConfig(), model)
    assert {report.status for report in matching.add_each(grooves)} == {"added"}
    return matching


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of six seconds with two cuts and a sentence in it."""
    return film(tmp_path_factory.mktemp("video") / "trip.mp4", 6, (2.0, 4.0), spoken(6, 0.5))
