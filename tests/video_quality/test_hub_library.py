"""The library of the hub profile: tiny networks of the real classes, from a double of the Hub on loopback."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from core.encoders.efficientnet_lite import EfficientNetLite
from core.errors import ParameterError, WeightsError, WeightsNotFoundError
from core.video_quality import prepared
from core.video_quality.ensemble import Ensemble
from core.video_quality.hub_library import QUESTION, LevelWordsModel, VideoMAEModel, hub_library
from core.video_quality.levels import LEVELS
from core.video_quality.library import LibraryModel, library
from core.video_quality.model import Stem, trimmed
from core.video_quality.sampling import COURSE, SIDE, Window
from core.video_quality.selection import SELECTION, SelectionConfig, select_teachers
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_quality.train import Data, Run, TrainConfig
from core.weights import weights_path
from tests.video_quality import hub_toys, synthetic
from tests.video_quality.synthetic import Planted
from tests.weights.hub_double import HubDouble, point_client_at

NAMES = ["clip", "convnext", "dinov2", "videomae", "q_align"]
SEEN_ALONE = ["clip", "convnext", "dinov2", "q_align"]
Features = NDArray[np.float32]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDouble]:
    """The process runs the hub profile; its only Hub serves the tiny networks."""
    root = tmp_path_factory.mktemp("library")
    with HubDouble(root / "hub") as double, pytest.MonkeyPatch.context() as patch:
        hub_toys.serve(double, root / "weights")
        point_client_at(patch, double.url, root / "cache")
        patch.setenv("SHOWREEL_WEIGHTS", str(root / "weights"))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        yield double


@pytest.fixture(scope="module")
def models(hub: HubDouble) -> dict[str, LibraryModel]:
    return {model.name: model for model in hub_library()}


@pytest.fixture(scope="module")
def stem() -> Stem:
    torch.manual_seed(0)
    return Stem(trimmed(EfficientNetLite("lite0")).eval().fold())


def film(seconds: int, seed: int = 0) -> list[Window]:
    """Seconds of soft coloured noise, no two alike."""
    grid = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3 * seconds, 3, 9, 9)).astype(np.float32))
    pictures = torch.nn.functional.interpolate(grid, (SIDE, SIDE), mode="bilinear").permute(0, 2, 3, 1).byte().numpy()
    course = np.zeros((1, len(COURSE)), np.float32)
    return [Window(Fraction(n), views, course) for n, views in enumerate(pictures.reshape(-1, 3, SIDE, SIDE, 3))]


@torch.no_grad()
def features(model: LibraryModel, windows: Sequence[Window]) -> Features:
    """The first features of one film."""
    row: Features = model.network().eval()(torch.from_numpy(model.prepare(windows))[None]).float()[0].numpy()
    return row


class TestTheLibrary:
    def test_it_holds_the_models_of_the_hub_behind_the_embedded_ones(self, hub: HubDouble, stem: Stem) -> None:
        embedded = [model.name for model in library(stem, profile="embedded")]
        assert [model.name for model in library(stem)] == embedded + NAMES
        assert [model.name for model in hub_library() if model.kind == "video"] == ["videomae"]

    def test_the_embedded_profile_has_none_of_them(self, monkeypatch: pytest.MonkeyPatch, stem: Stem) -> None:
        monkeypatch.setenv("SHOWREEL_PROFILE", "embedded")
        names = [model.name for model in library(stem)]
        assert len(names) == 6 and not set(names) & set(NAMES)

    def test_a_wrong_profile_is_named(self, monkeypatch: pytest.MonkeyPatch, stem: Stem) -> None:
        monkeypatch.setenv("SHOWREEL_PROFILE", "hubb")
        with pytest.raises(ParameterError, match="'hubb'"):
            library(stem)

    def test_only_a_model_that_prepares_is_fetched(
        self, hub: HubDouble, stem: Stem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_client_at(monkeypatch, hub.url, tmp_path / "empty")
        hub.requests.clear()
        found = {model.name: model for model in library(stem)}
        for model in found.values():
            assert model.dimensions > 0
        for name in NAMES:
            found[name].network()
        assert hub.requests == []
        found["convnext"].prepare(film(1))
        asked = {request.path for request in hub.requests if request.server == "hub"}
        assert asked and all(path.startswith("/nobody/convnext/") for path in asked)

    @pytest.mark.parametrize("name", NAMES)
    def test_offline_with_an_empty_cache_each_says_how_to_fetch_it(
        self, hub: HubDouble, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_client_at(monkeypatch, hub.url, tmp_path / "empty")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        model = next(model for model in hub_library() if model.name == name)
        weights = LevelWordsModel.weights if name == "q_align" else name
        with pytest.raises(WeightsNotFoundError, match=f"python -m core.weights fetch {weights}"):
            model.prepare(film(1))


class TestEveryModel:
    @pytest.mark.parametrize("name", NAMES)
    def test_features_are_finite_and_of_the_promised_length(self, models: dict[str, LibraryModel], name: str) -> None:
        row = features(models[name], film(3))
        assert row.shape == (models[name].dimensions,) and np.isfinite(row).all()
        black = [Window(Fraction(0), np.zeros((3, SIDE, SIDE, 3), np.uint8), film(1)[0].course)]
        assert np.isfinite(features(models[name], black)).all()

    @pytest.mark.parametrize("name", NAMES)
    def test_features_depend_on_the_picture_and_on_nothing_else(
        self, models: dict[str, LibraryModel], name: str
    ) -> None:
        again = next(model for model in hub_library() if model.name == name)
        here, there = features(models[name], film(1)), features(models[name], film(1, seed=1))
        assert np.array_equal(features(again, film(1)), here)
        assert np.abs(here - there).max() > 1e-2

    @pytest.mark.parametrize("name", SEEN_ALONE)
    def test_image_models_look_at_fragments_and_whole_picture_of_the_second_in_the_middle(
        self, models: dict[str, LibraryModel], name: str
    ) -> None:
        windows = film(3)
        told = features(models[name], windows)
        assert np.array_equal(told, features(models[name], windows[1:2]))
        half = len(told) // 2
        views = windows[1].views[[2, 1, 0]]
        swapped = features(models[name], [Window(Fraction(0), views, windows[1].course)])
        np.testing.assert_allclose(swapped, np.concatenate([told[half:], told[:half]]), atol=2e-2)

    @pytest.mark.parametrize("name", ["clip", "convnext", "dinov2"])
    def test_image_models_answer_as_the_transformers_classes_do(
        self, models: dict[str, LibraryModel], name: str
    ) -> None:
        from transformers import AutoImageProcessor, AutoModel

        window = film(1)[0]
        model = AutoModel.from_pretrained(weights_path(name)).eval()
        processor = AutoImageProcessor.from_pretrained(weights_path(name), backend="pil")
        scaled = (window.views[[0, 2]] / 255 - processor.image_mean) / processor.image_std
        x = torch.from_numpy(scaled).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            wanted = getattr(model, "vision_model", model)(pixel_values=x).pooler_output.flatten().numpy()
        told = features(models[name], [window])
        assert np.dot(told, wanted) / np.linalg.norm(told) / np.linalg.norm(wanted) >= 0.999


class TestVideoMAE:
    def test_its_features_depend_on_the_order_of_the_pictures(self, models: dict[str, LibraryModel]) -> None:
        windows = film(5)
        forth, back = (features(models["videomae"], part) for part in (windows, windows[::-1]))
        assert np.abs(forth - back).max() > 1e-2

    def test_it_takes_the_whole_pictures_of_evenly_spread_seconds(self) -> None:
        """Of 31 seconds every other one; of four, each four times."""
        seen: list[NDArray[np.uint8]] = []

        class Tower:
            def hidden(self, film: NDArray[np.uint8]) -> torch.Tensor:
                seen.append(film)
                return torch.zeros(2, 768)

        class Watching(VideoMAEModel):
            @property
            def _tower(self) -> Any:
                return Tower()

        long, short = film(31), film(4)
        Watching().prepare(long)
        Watching().prepare(short)
        assert np.array_equal(seen[0], np.stack([window.views[2] for window in long[::2]]))
        brightness = [float(window.views[2].mean()) for window in short]
        order = [brightness.index(float(picture.mean())) for picture in seen[1]]
        assert order == sorted(order) and set(order) == {0, 1, 2, 3} and len(order) == 16

    def test_it_answers_as_the_transformers_class_does(self, models: dict[str, LibraryModel]) -> None:
        import transformers

        windows = film(16)
        processor = transformers.AutoImageProcessor.from_pretrained(weights_path("videomae"), backend="pil")
        pictures = np.stack([window.views[2] for window in windows])
        x = torch.from_numpy((pictures / 255 - processor.image_mean) / processor.image_std).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            model = transformers.VideoMAEModel.from_pretrained(weights_path("videomae")).eval()
            hidden = model(pixel_values=x[None]).last_hidden_state[0]
        wanted = torch.cat([hidden.mean(0), hidden.std(0)]).numpy()
        np.testing.assert_allclose(features(models["videomae"], windows), wanted, atol=5e-2)


class TestLevelWords:
    @pytest.fixture(scope="class")
    def shares(self, hub: HubDouble) -> Features:
        """A direct computation: one picture at a time, all logits of all places, and the softmax over five of them."""
        from transformers import AutoProcessor, Idefics3ForConditionalGeneration

        folder = weights_path(LevelWordsModel.weights)
        processor = AutoProcessor.from_pretrained(folder, backend="pil")
        model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        rows = []
        for picture in film(1)[0].views[[0, 2]]:
            options = {"do_image_splitting": False, "do_resize": False, "return_tensors": "pt"}
            given = processor(text=QUESTION, images=[picture], **options)
            with torch.inference_mode():
                logits = model(**given).logits[0, -1]
            five = np.exp([float(logits[processor.tokenizer.encode(f" {word}")[0]]) for word in LEVELS])
            rows.append(five / five.sum())
        return np.stack(rows).astype(np.float32)

    def test_features_are_the_shares_of_the_level_words_among_the_next_one(
        self, models: dict[str, LibraryModel], shares: Features
    ) -> None:
        told = np.exp(features(models["q_align"], film(1)).reshape(2, len(LEVELS)))
        np.testing.assert_allclose(told, shares, atol=2e-2)
        assert shares.max() - shares.min() > 0.05, "the toy must prefer some words, or nothing was compared"
        np.testing.assert_allclose(told.sum(1), 1, atol=1e-2)

    def test_a_vocabulary_that_begins_two_words_alike_is_refused(
        self, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.video_quality.hub_library.LEVELS", ("bad", "bad", "fair", "good", "excellent"))
        with pytest.raises(WeightsError, match="begins two of"):
            LevelWordsModel().prepare(film(1))


class TestTeachers:
    def test_a_teacher_that_names_them_is_loaded_and_judges_a_film(
        self, hub: HubDouble, models: dict[str, LibraryModel], stem: Stem, tmp_path: Path
    ) -> None:
        names = ("natural_scenes", "convnext", "videomae")
        torch.manual_seed(1)
        teacher = Teacher(TeacherConfig(names, (72, models["convnext"].dimensions, models["videomae"].dimensions)))
        tensors = {f"teacher.{name}": value for name, value in teacher.state_dict().items()}
        save_file(tensors, tmp_path / "teacher.safetensors", {"config": teacher.config.to_json()})
        told = Ensemble(tmp_path / "teacher.safetensors", stem).explain(film(2))
        assert list(told.importances) == list(names) and 1 < told.score < 5
        assert sum(told.distribution) == pytest.approx(1)

    def test_the_experiment_runs_over_them_and_shows_a_planted_weak_model_for_what_it_is(
        self, hub: HubDouble, models: dict[str, LibraryModel], tmp_path: Path
    ) -> None:
        """The better a clip's label the brighter its pictures, which both models of the hub see; the third is blind."""
        blind = Planted("blind", 0.0)
        taken = [models["convnext"], models["q_align"], blind]
        data = synthetic.data([blind], train=96, held_out=48, clarity=0.15)
        data = Data(*(_with_pictures(clips, taken[:2]) for clips in (data.train, data.held_out)))
        configs = TrainConfig(epochs=1, batch=8, learning_rate=3e-3), SelectionConfig(best=2)
        selection = select_teachers(taken, data, configs, Run(tmp_path))
        tuned = {trial.model: trial.fine_tuned for trial in selection.trials}
        assert min(tuned["convnext"], tuned["q_align"]) > 0.7 and abs(tuned["blind"]) < 0.4
        assert len(selection.chosen) == 2 and set(selection.chosen) <= set(tuned)
        assert json.loads((tmp_path / SELECTION).read_text())["chosen"] == list(selection.chosen)


def _with_pictures(clips: prepared.Clips, taken: Sequence[LibraryModel]) -> prepared.Clips:
    """The same clips with what the models prepare of a film whose brightness tells the label, in steps of a quarter."""
    scene = film(1)[0]
    inputs = dict(clips.inputs)
    steps = np.round(4 * clips.mos).astype(int)
    for model in taken:
        rows = {}
        for step in set(steps.tolist()):
            views = (scene.views * (step / 20)).astype(np.uint8)
            rows[step] = model.prepare([Window(Fraction(0), views, scene.course)])
        inputs[model.name] = torch.from_numpy(np.stack([rows[step] for step in steps.tolist()]))
    return prepared.Clips(clips.rungs, inputs, clips.course, clips.mask)
