"""Both stages of the training: losses fall, and a training that was stopped goes on as if it had not been."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from core.errors import CancelledError, ParameterError, WeightsError
from core.personal_video.data import Course, CourseConfig
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.personal_video.train import Prepared, Stage, StageConfig, TrainConfig, single_pictures, taught, train
from core.personal_video.trained import FILE, load_network, write_network
from core.training import METRICS
from tests.personal_video.made import SMALL, PlainEncoder, WordEncoder, material, small_network

CLIPS = CourseConfig(side_px=32, frames=4, clips=2, scripts=12, workers=0)
CONFIG = TrainConfig(steps=2, extraction_steps=2, plan_steps=2, plans=4, checkpoint_every=1, measured=1, widths=SMALL)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, Prepared]:
    course = Course(material(), CLIPS)
    return course, Prepared.of(course, (WordEncoder(), PlainEncoder()), tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize("pictures", [2, 0])
def test_the_losses_of_a_stage_fall(prepared: tuple[Course, Prepared], tmp_path: Path, pictures: int) -> None:
    """Twenty steps; the first loss is about that of a black picture, and the bounds are wide."""
    config = StageConfig(steps=20, checkpoint_every=5, learning_rate=3e-3, measured=2, widths=SMALL)
    torch.manual_seed(0)
    figures = Stage(PersonalVideoNetwork(SMALL), prepared, config, tmp_path, pictures).run(0)
    told = rows(tmp_path)
    assert [row["step"] for row in told] == [5, 10, 15, 20]
    assert 0.3 < told[-1]["loss"] < 0.8 * told[0]["loss"] < 5
    assert figures["subject_flow"] == told[-1]["subject_flow"] < told[0]["subject_flow"]
    assert {f"{part}_flow" for part in ("subject", "pair", "background")} <= set(figures)


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    encoders = WordEncoder(), PlainEncoder()
    config = replace(CONFIG, steps=3)

    def stop(done: int, total: int, what: str) -> None:
        if what == "training" and done >= 1700:  # of 2000: in the last stage, before its last step
            raise CancelledError("stop")

    train(material(), (config, CLIPS), tmp_path / "whole", encoders)
    with pytest.raises(CancelledError):
        train(material(), (config, CLIPS), tmp_path / "parts", encoders, stop)
    assert not (tmp_path / "parts" / FILE).exists()
    train(material(), (config, CLIPS), tmp_path / "parts", encoders)

    with safe_open(tmp_path / "whole" / FILE, "pt") as one, safe_open(tmp_path / "parts" / FILE, "pt") as other:
        assert all(torch.equal(one.get_tensor(name), other.get_tensor(name)) for name in one.keys())  # noqa: SIM118
    assert rows(tmp_path / "whole" / "generation") == rows(tmp_path / "parts" / "generation")
    assert encoders[0].asked.count(encoders[0].asked[0]) == 2  # once for each folder: captions are not encoded again


def test_a_folder_with_other_clips_is_refused(tmp_path: Path) -> None:
    encoders, config = (WordEncoder(), PlainEncoder()), replace(CONFIG, steps=1, extraction_steps=1, plan_steps=1)
    train(material(), (config, CLIPS), tmp_path, encoders)
    train(material(), (config, replace(CLIPS, workers=1)), tmp_path, encoders)
    with pytest.raises(ParameterError, match="other settings"):
        train(material(), (config, replace(CLIPS, pair_share=0.5)), tmp_path, encoders)


def test_a_training_goes_on_from_weights_of_the_same_widths(tmp_path: Path) -> None:
    encoders, network, begun = (WordEncoder(), PlainEncoder()), small_network(), tmp_path / "begun.safetensors"
    write_network(network, begun, {})
    config = replace(CONFIG, start=str(begun), plan_steps=0, extraction_steps=0, steps=1, learning_rate=1e-2)
    figures = train(material(), (config, CLIPS), tmp_path / "on", encoders)
    assert {"plan_action", "subject_flow"} <= set(figures)
    before, after = load_network(begun).state_dict(), load_network(tmp_path / "on" / FILE).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("planner"))
    apart = [float((before[name] - after[name]).abs().max()) for name in before if name.startswith("generation")]
    assert 0 < max(apart) < 0.1
    with pytest.raises(ParameterError, match="same widths"):
        train(material(), (replace(config, widths=Widths()), CLIPS), tmp_path / "wide", encoders)


def test_weights_come_back_in_half_precision_with_their_widths(tmp_path: Path) -> None:
    network = small_network()
    write_network(network, tmp_path / FILE, {"seed": "7"})
    read = load_network(tmp_path / FILE)
    assert read.generation.widths == SMALL
    for name, value in read.state_dict().items():
        assert torch.equal(value, network.state_dict()[name].half().float())


def test_the_weights_of_the_default_widths_are_below_40_mb() -> None:
    assert 2 * sum(value.numel() for value in PersonalVideoNetwork(Widths()).state_dict().values()) < 40e6


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(tmp_path / FILE)


def test_single_pictures_are_frames_with_their_own_place_in_the_plan(prepared: tuple[Course, Prepared]) -> None:
    course, said = prepared
    batch = taught(course.batch(0), said, np.random.default_rng(0), torch.device("cpu"))
    few = single_pictures(batch, 3, np.random.default_rng(1))
    assert few.clips.shape[:2] == (6, 1) and few.plan.paths.shape[2] == 1
    for n in range(6):
        (frame,) = [t for t in range(4) if torch.equal(batch.clips[n // 3, t], few.clips[n, 0])][:1]
        assert torch.equal(batch.plan.paths[n // 3, :, frame], few.plan.paths[n, :, 0])
        assert torch.equal(batch.plan.poses[n // 3], few.plan.poses[n])


def test_a_mode_is_given_what_it_may_see_and_nothing_else(prepared: tuple[Course, Prepared]) -> None:
    course, said = prepared
    seen = {}
    for number in range(60):
        batch = taught(course.batch(number), said, np.random.default_rng(number), torch.device("cpu"))
        seen[batch.mode] = {name for name in ("database_vectors", "image_vectors", "image_pictures")
                            if getattr(batch.given, name) is not None}  # fmt: skip
        condition = small_network().conditioner(batch.mode, batch.given)
        assert bool(condition.details.copied.any()) == (batch.mode != "d")
        assert batch.plan.poses.shape[:3] == condition.details.weights.shape
    assert seen["a"] == {"database_vectors"} and seen["c"] == seen["e"] == {"image_pictures"}
    assert seen["b"] == {"database_vectors", "image_vectors", "image_pictures"}
