"""Building clips: ladders and labels as written, resumable, bad films named; preparing and reading them back."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.encoders.image import load_efficientnet_lite
from core.media import EncodeOptions, write_video
from core.video_quality import prepared
from core.video_quality.data import LadderConfig, Rung, build, faults_of
from core.video_quality.distortions import PRISTINE, STEPS, Scene, both, by_name
from core.video_quality.library import DifferenceModel, FragmentModel, LibraryModel, library
from core.video_quality.model import Stem, trimmed
from core.video_quality.prepared import STUDENT
from core.video_quality.results import FAULTS

CONFIG = LadderConfig(clips=1, ladders=2, pairs=2, clip_s=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    path = tmp_path_factory.mktemp("films") / "clouds.mp4"
    write_video(path, [*scene.pictures, *scene.pictures[::-1]], Fraction(12), options=EncodeOptions(crf=4))
    return path


@pytest.fixture(scope="module")
def made(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    broken = film.with_name("broken.mp4")
    broken.write_bytes(film.read_bytes()[:300])
    left_out = build([broken, film], CONFIG, folder)
    assert len(left_out) == 1 and "broken.mp4" in left_out[0]
    return folder


def stem() -> Stem:
    return Stem(trimmed(load_efficientnet_lite()).eval().fold())


def models() -> tuple[LibraryModel, ...]:
    return (DifferenceModel(), FragmentModel(stem()))


@pytest.fixture(scope="module")
def clips(made: Path) -> prepared.Clips:
    prepared.prepare(made, models(), stem(), made / "prepared")
    return prepared.load(made / "prepared")


def test_a_model_that_joins_later_is_computed_and_the_rest_kept(
    made: Path, clips: prepared.Clips, tmp_path: Path
) -> None:
    prepared.prepare(made, models()[:1], stem(), tmp_path)
    first = prepared.load(tmp_path)
    assert DifferenceModel.name in first.inputs and FragmentModel.name not in first.inputs

    prepared.prepare(made, models(), stem(), tmp_path)

    whole = prepared.load(tmp_path)
    assert set(whole.inputs) == set(clips.inputs) and whole.rungs == clips.rungs
    for name, values in clips.inputs.items():
        torch.testing.assert_close(whole.inputs[name], values)


def test_a_clip_is_clean_once_then_goes_down_every_drawn_ladder_and_pairs_of_them(clips: prepared.Clips) -> None:
    assert clips.rungs[0] == Rung("clouds", 0, "clean", 0, PRISTINE, 100.0, (0.0,) * len(FAULTS))
    names = list(dict.fromkeys(rung.ladder for rung in clips.rungs[1:] if "+" not in rung.ladder))
    assert len(names) == CONFIG.ladders
    for name in names:
        steps = [rung for rung in clips.rungs if rung.ladder == name]
        assert [rung.step for rung in steps] == list(range(1, STEPS + 1))
        assert all(rung.mos <= PRISTINE for rung in steps) and steps[-1].mos < steps[0].mos
        assert all(np.isnan(rung.vmaf) != by_name[name].by_vmaf for rung in steps)


def test_pairs_are_of_two_faults_and_their_label_is_the_product_of_shares(clips: prepared.Clips) -> None:
    alone = {(rung.ladder, rung.step): rung.mos for rung in clips.rungs}
    for rung in clips.rungs:
        if "+" in rung.ladder:
            one, two = rung.ladder.split("+")
            labels = [both(alone[one, n], alone[two, rung.step - n]) for n in range(1, STEPS + 1)
                      if 1 <= rung.step - n <= STEPS]  # fmt: skip
            assert any(rung.mos == pytest.approx(label) for label in labels)
            assert by_name[one].fault != by_name[two].fault


def test_a_build_that_is_run_again_makes_nothing_anew(made: Path, film: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.glob("*.npz")}
    assert build([film], CONFIG, made) == []
    assert {path: path.stat().st_mtime_ns for path in made.glob("*.npz")} == before
    assert not [path for path in made.iterdir() if path.name.startswith(".")]


def test_what_was_prepared_is_what_the_models_make_of_the_windows(clips: prepared.Clips, made: Path) -> None:
    (file,) = made.glob("*.npz")
    with np.load(file) as kept:
        views = kept["views"]
    assert len(clips) == len(views)
    assert clips.inputs[STUDENT].shape[1:] == (2, 3, 80, 14, 14)
    np.testing.assert_array_equal(clips.inputs["temporal_difference"].numpy(), views[:, 0, :2])
    torch.testing.assert_close(clips.inputs["fragments"], clips.inputs[STUDENT][:, 0, 0], atol=0.05, rtol=0.05)
    assert clips.mask.sum(2).eq(6).all()
    torch.testing.assert_close(clips.levels.sum(1), torch.ones(len(clips)))


def test_clips_of_some_films_are_those_alone(clips: prepared.Clips) -> None:
    assert len(clips.of_films({"nobody"})) == 0
    assert len(clips.of_films({"clouds"})) == len(clips)


def test_a_fault_is_as_strong_as_the_label_it_would_bring() -> None:
    strengths = dict(zip(FAULTS, faults_of({"noise": 2.0, "blur": 3.9}), strict=True))
    assert strengths["noise"] == 1
    assert strengths["blur"] == pytest.approx(0.5)
    assert sum(strengths.values()) == pytest.approx(1.5)


def test_the_library_holds_image_and_video_models_of_their_own_names() -> None:
    found = library(stem())
    assert len({model.name for model in found}) == len(found) >= 6
    assert {model.kind for model in found} == {"image", "video"}
