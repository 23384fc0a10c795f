"""The teacher from a file: what it says of a film, and what each model counts for."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.encoders.image import load_efficientnet_lite
from core.errors import ClipTooShortError, WeightsError
from core.video_quality.config import QualityConfig
from core.video_quality.distortions import Scene
from core.video_quality.ensemble import Ensemble
from core.video_quality.levels import mean_of
from core.video_quality.library import DifferenceModel, NaturalScenesModel, library
from core.video_quality.model import Stem, trimmed
from core.video_quality.sampling import Window, window_of
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_quality.watching import every_picture, watch
from tests.factories import moving_clip

NAMES = (NaturalScenesModel.name, DifferenceModel.name)


@pytest.fixture(scope="module")
def stem() -> Stem:
    return Stem(trimmed(load_efficientnet_lite()).eval().fold())


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.manual_seed(3)
    return Teacher(TeacherConfig(NAMES, (NaturalScenesModel.dimensions, DifferenceModel.dimensions))).eval()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(4)
    return DifferenceModel().network().eval()


@pytest.fixture(scope="module")
def ensemble(
    tmp_path_factory: pytest.TempPathFactory, stem: Stem, teacher: Teacher, network: torch.nn.Module
) -> Ensemble:
    file = tmp_path_factory.mktemp("weights") / "teacher.safetensors"
    tensors = {f"teacher.{name}": tensor for name, tensor in teacher.state_dict().items()}
    tensors |= {f"{DifferenceModel.name}.{name}": tensor for name, tensor in network.state_dict().items()}
    save_file(tensors, file, {"config": teacher.config.to_json()})
    return Ensemble(file, stem)


@pytest.fixture(scope="module")
def windows(scene: Scene) -> list[Window]:
    return [window_of(scene.pictures[6 * n : 6 * n + 6], Fraction(n)) for n in range(2)]


@torch.no_grad()
def test_a_film_is_judged_by_the_mean_over_its_pictures_and_by_the_film_as_it_is(
    ensemble: Ensemble, stem: Stem, teacher: Teacher, network: torch.nn.Module, windows: list[Window]
) -> None:
    scenes, _ = (model for model in library(stem) if model.name in NAMES)
    pictures = np.stack([scenes.prepare([window]) for window in windows]).astype(np.float32).mean(0)
    film = network(torch.from_numpy(windows[0].views[:2])[None]).float()
    features = [torch.from_numpy(pictures)[None], film]
    told = ensemble.explain(windows)
    assert list(told.importances) == list(NAMES) and sum(told.importances.values()) == pytest.approx(1)
    shares = teacher.importances(features)[0].tolist()
    assert list(told.importances.values()) == pytest.approx(shares, abs=1e-3)
    levels = teacher(features).levels.softmax(-1)[0].numpy()
    assert told.distribution == pytest.approx(levels.tolist(), abs=1e-3)
    assert told.score == pytest.approx(mean_of(levels), abs=1e-3)


def test_image_models_look_at_every_picture_of_a_film(
    ensemble: Ensemble, stem: Stem, windows: list[Window], tmp_path: Path
) -> None:
    """Six pictures a second: what is told is what those twelve tell, and not what the two in the middle do."""
    path = moving_clip(tmp_path / "film.mkv", frame_rate=6, duration_s=2)
    config = QualityConfig()
    seconds, pictures = list(watch(path, config)), list(every_picture(path, config))

    assert len(seconds) == 2 and len(pictures) == 12
    np.testing.assert_array_equal(pictures[2].views[0], seconds[0].views[0])
    assert ensemble.explain_file(path, config) == ensemble.explain(seconds, pictures)
    assert ensemble.explain(seconds, pictures).distribution != ensemble.explain(seconds).distribution


def test_a_teacher_of_the_hub_profile_says_so_on_the_embedded_one(stem: Stem, tmp_path: Path) -> None:
    teacher = Teacher(TeacherConfig(("clip", "natural_scenes"), (8, 72)))
    tensors = {f"teacher.{name}": tensor for name, tensor in teacher.state_dict().items()}
    save_file(tensors, tmp_path / "teacher.safetensors", {"config": teacher.config.to_json()})

    with pytest.raises(WeightsError, match="needs clip, which only the hub profile has; set SHOWREEL_PROFILE=hub"):
        Ensemble(tmp_path / "teacher.safetensors", stem)


def test_a_file_is_judged_by_its_seconds_and_nothing_is_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    path = moving_clip(tmp_path / "film.mkv", duration_s=2)
    told = ensemble.explain_file(path, QualityConfig())
    assert told == ensemble.explain_file(path, QualityConfig()) and 1 <= told.score <= 5
    with pytest.raises(ClipTooShortError, match="at least one window"):
        ensemble.explain([])
