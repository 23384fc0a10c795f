"""Both stages of the training: their losses fall, and a training that was stopped goes on as if it had not been."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import CancelledError, ParameterError
from core.lip_sync.data import SUFFIX, People, Split, spoken
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.opening import Opening
from core.lip_sync.train import TrainConfig, train_features, train_generator, train_opening
from core.training import CHECKPOINT, METRICS
from tests.lip_sync.made import random_clip


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("clips")
    for n in range(2):
        random_clip(36, seed=n).write(folder / f"{n}{SUFFIX}", People(f"face{n}", (f"voice{n}",), held_out=n == 1))
    return Split.of_folder(folder)


def _rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]


def test_sight_and_hearing_come_to_agree(split: Split, tmp_path: Path) -> None:
    config = TrainConfig(steps=16, clips=1, moments=8, checkpoint_every=4)

    train_features(split, config, tmp_path)

    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == [4, 8, 12, 16]
    assert rows[-1]["offset"] < 0.6 * rows[0]["offset"]
    assert {"within_one_frame", "confidence"} <= rows[-1].keys()


def test_the_generator_comes_nearer_to_what_was_asked_for(split: Split, tmp_path: Path) -> None:
    """The clips are noise, whose best guess is grey, in light by lot; it is measured in plain light."""
    torch.manual_seed(0)
    config = TrainConfig(steps=12, clips=1, checkpoint_every=4, learning_rate=2e-3)

    network = train_generator(split, (FeatureExtraction(), Opening()), config, tmp_path)

    rows = _rows(tmp_path)
    assert rows[-1]["psnr_db"] > rows[0]["psnr_db"] + 0.1
    assert {"picture", "deception", "discriminator", "agreement", "edges", "ssim", "ssim_shown"} <= rows[-1].keys()
    assert not any(parameter.requires_grad for parameter in network.features.parameters())


def test_what_is_told_goes_to_the_quantile_that_is_asked_for(split: Split, tmp_path: Path) -> None:
    """The clips are noise, so what is told can only be one number for all moments."""
    torch.manual_seed(0)
    features, config = FeatureExtraction(), TrainConfig(steps=60, clips=1, checkpoint_every=60, learning_rate=1e-2)
    opens, below = np.concatenate([spoken(clip)[1] for clip in split.train]), {}

    for quantile in (0.2, 0.8):
        opening = train_opening(split, features, replace(config, quantile=quantile), tmp_path / str(quantile))
        with torch.no_grad():
            told = opening.told(features.hearing(spoken(split.train[0])[0])).numpy() / 5
        below[quantile] = float((opens < told).mean())

    assert below[0.2] < 0.5 < below[0.8]
    assert "opening_correlation" in _rows(tmp_path / "0.2")[-1]


def test_a_training_that_was_stopped_ends_as_one_that_was_not(split: Split, tmp_path: Path) -> None:
    config = TrainConfig(steps=4, clips=1, moments=4, checkpoint_every=2)

    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise CancelledError("stop")

    whole = train_features(split, config, tmp_path / "whole")
    with pytest.raises(CancelledError):
        train_features(split, config, tmp_path / "parts", progress=stop)
    parts = train_features(split, config, tmp_path / "parts")

    for one, other in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert [row["step"] for row in _rows(tmp_path / "parts")] == [2, 4]


def test_a_folder_with_another_training_is_refused(split: Split, tmp_path: Path) -> None:
    train_features(split, TrainConfig(steps=1, clips=1, moments=2), tmp_path)

    with pytest.raises(ParameterError, match="other settings"):
        train_features(split, TrainConfig(steps=2, clips=1, moments=2), tmp_path)


def test_a_checkpoint_of_another_kind_of_loop_is_refused(split: Split, tmp_path: Path) -> None:
    config = TrainConfig(steps=1, clips=1, moments=2)
    train_features(split, config, tmp_path)
    state = torch.load(tmp_path / CHECKPOINT)
    del state["averages"]
    torch.save(state, tmp_path / CHECKPOINT)

    with pytest.raises(ParameterError, match="name another one"):
        train_features(split, config, tmp_path)
