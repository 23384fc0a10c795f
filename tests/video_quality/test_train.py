"""Training: both networks learn, a stopped training goes on to the same end, and a planted weak model is dropped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.errors import CancelledError, ParameterError
from core.runtime import CancelToken, Progress, cancellable, silent
from core.video_quality.data import Rung
from core.video_quality.losses import LossWeights
from core.video_quality.making import held_out_films
from core.video_quality.metrics import srcc
from core.video_quality.selection import (
    SELECTION,
    SelectionConfig,
    Trial,
    best_candidates,
    combinations,
    features_of,
    new_pair,
    select_teachers,
)
from core.video_quality.train import METRICS, Data, Run, TrainConfig, fine_tune, judge, next_steps, train_pair
from tests.video_quality import synthetic
from tests.video_quality.synthetic import Planted

MODELS = (Planted("clear", 1.0), Planted("dim", 0.4))
CONFIG = TrainConfig(epochs=4, batch=16)
FIRST_LOSS = 3.07
"""Mean loss of the first epoch on the synthetic clips of seed 1."""


@pytest.fixture(scope="module")
def data() -> Data:
    return synthetic.data(MODELS)


def trained(data: Data, folder: Path, progress: Progress = silent) -> dict[str, NDArray[np.floating]]:
    features = features_of(MODELS, data)
    pair = new_pair(MODELS, features[0], CONFIG.seed)
    train_pair(pair, data, features, CONFIG, Run(folder, progress=progress))
    return judge(pair, data.held_out, features[1])


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_losses_fall_and_both_networks_rank_films_they_have_not_seen(data: Data, tmp_path: Path) -> None:
    scores = trained(data, tmp_path)
    losses = [row["loss"] for row in rows(tmp_path)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    assert losses[0] == pytest.approx(FIRST_LOSS, rel=0.05)
    assert set(scores) == {"student", "teacher"}
    assert all(srcc(told, data.held_out.mos) > 0.5 for told in scores.values())


def test_a_stopped_training_goes_on_to_the_same_end(data: Data, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    token = CancelToken()

    def stop(done: int, total: int, what: str) -> None:
        if what == "epoch 3":
            token.cancel()

    with pytest.raises(CancelledError):
        trained(data, tmp_path / "parts", cancellable(stop, token))
    assert len(rows(tmp_path / "parts")) == 2
    parts = trained(data, tmp_path / "parts")
    assert [row["loss"] for row in rows(tmp_path / "parts")] == [row["loss"] for row in rows(tmp_path / "whole")]
    for name, scores in whole.items():
        np.testing.assert_allclose(parts[name], scores, atol=1e-4)


def test_a_folder_of_another_training_is_refused(data: Data, tmp_path: Path) -> None:
    features = features_of(MODELS, data)
    pair = new_pair(MODELS, features[0], 0)
    train_pair(pair, data, features, TrainConfig(epochs=1), Run(tmp_path))
    with pytest.raises(ParameterError, match="other settings"):
        train_pair(pair, data, features, TrainConfig(epochs=2), Run(tmp_path))


@pytest.mark.parametrize("weights", [LossWeights(teacher=0, distance=0), LossWeights(distance=0)])
def test_the_student_learns_from_the_labels_alone_too(data: Data, tmp_path: Path, weights: LossWeights) -> None:
    features = features_of(MODELS, data)
    pair = new_pair(MODELS, features[0], 0)
    assert train_pair(pair, data, features, CONFIG, Run(tmp_path, weights)) > 0.5


def test_a_model_that_knows_the_labels_is_fine_tuned_better_than_one_that_does_not(tmp_path: Path) -> None:
    models = (Planted("clear", 1.0), Planted("blind", 0.0))
    data = synthetic.data(models)
    clear, blind = (fine_tune(model, data, CONFIG, Run(tmp_path / model.name)) for model in models)
    assert clear > 0.8 and clear > blind + 0.3


def test_a_planted_weak_model_is_dropped(tmp_path: Path) -> None:
    """It tells nothing of the labels, and the student is short of sight itself, so a teacher makes a difference."""
    torch.manual_seed(0)
    models = (Planted("strong", 2.0), Planted("blind", 0.0), Planted("other", 1.5))
    data = synthetic.data(models, train=180, held_out=90, clarity=0.15)
    config, reports = TrainConfig(epochs=6, batch=16), []
    run = Run(tmp_path, progress=lambda done, total, what: reports.append(done / total))
    selection = select_teachers(models, data, (config, SelectionConfig(best=2)), run)
    assert set(selection.chosen) == {"strong", "other"}
    assert [trial.model for trial in selection.trials][-1] == "blind"
    assert reports == sorted(reports) and reports[-1] <= 1
    again = select_teachers(models, data, (config, SelectionConfig(best=2)), Run(tmp_path))
    assert again == selection, "finished trainings are not run again"
    assert json.loads((tmp_path / SELECTION).read_text())["chosen"] == list(selection.chosen)
    assert "| blind | image |" in selection.table()


def test_candidates_are_models_whose_student_is_better_than_themselves() -> None:
    trials = [Trial("a", "image", 0.9, 0.8), Trial("b", "video", 0.5, 0.7), Trial("c", "image", 0.2, 0.6),
              Trial("d", "image", 0.1, 0.65)]  # fmt: skip
    assert best_candidates(trials, 2) == ("b", "d")
    assert best_candidates(trials, 6) == ("b", "d", "c")
    assert best_candidates(trials[:2], 3) == ("a", "b"), "one candidate alone makes no combination"


def test_combinations_are_of_two_and_more() -> None:
    assert combinations("abc") == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]


def test_held_out_films_are_runs_of_neighbours() -> None:
    names = [f"{n:03}" for n in range(90)]
    kept_out = sorted(held_out_films(names))
    assert len(kept_out) == 15
    assert all(names.index(kept_out[n + 2]) - names.index(kept_out[n]) == 2 for n in range(0, 15, 3))


def test_from_every_clip_the_next_step_of_its_ladder_follows() -> None:
    told = [("clean", 0), ("noise", 1), ("noise", 2), ("h264", 1), ("noise+h264", 2), ("noise+h264", 3)]
    rungs = [Rung("film", 0, ladder, step, 4.0, 50.0, (0.0,) * 7) for ladder, step in told]
    rungs += [Rung("film", 1, "noise", 2, 4.0, 50.0, (0.0,) * 7), Rung("film", 1, "noise", 3, 4.0, 50.0, (0.0,) * 7)]
    assert next_steps(rungs).tolist() == [1, 2, 2, 3, 4, 5, 7, 7]
