"""The towers: missing modalities have no influence, vectors are unit, a saved model is the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.music_matching.model import ModelConfig, TwoTowers, batch_of, load_model, save_model

SIZES = {"image": 6, "words": 4}


def towers() -> TwoTowers:
    torch.manual_seed(0)
    return TwoTowers(ModelConfig(width=16, dimensions=8), SIZES, SIZES)


def rows(seed: int = 0, count: int = 5) -> list[dict[str, np.ndarray | None]]:
    random = np.random.default_rng(seed)
    return [{name: random.standard_normal(size).astype(np.float32) for name, size in SIZES.items()}
            for _ in range(count)]  # fmt: skip


def test_vectors_have_unit_length_and_depend_on_their_own_row_alone() -> None:
    model, data = towers(), rows()
    together = model.embed_video(data)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.concatenate([model.embed_video([row]) for row in data]) == pytest.approx(together, abs=1e-6)


def test_what_stands_where_a_modality_is_missing_has_no_influence() -> None:
    model = towers().eval()
    features, present = batch_of(rows(), SIZES)
    present["words"][:] = False
    plain = model.video(features, present)
    features["words"] = torch.full_like(features["words"], 1e6)
    assert torch.equal(plain, model.video(features, present))
    features["words"] = torch.full_like(features["words"], float("nan"))
    assert torch.equal(plain, model.video(features, present))


def test_a_missing_modality_is_not_one_of_zeros() -> None:
    model = towers()
    data = rows()
    zeros = [row | {"words": np.zeros(4, np.float32)} for row in data]
    absent = [row | {"words": None} for row in data]
    assert np.abs(model.embed_video(zeros) - model.embed_video(absent)).max() > 1e-3


def test_gradients_reach_the_vector_that_says_absent_and_only_when_something_is() -> None:
    model = towers().train()
    model.video.missing = 0.0
    features, present = batch_of(rows(), SIZES)
    model.video(features, present)[:, 0].sum().backward()
    absent = model.video.absent["words"]
    assert absent.grad is None or not absent.grad.any()
    present["words"][0] = False
    model.video(features, present)[:, 0].sum().backward()
    assert absent.grad is not None and absent.grad.any()


def test_training_never_leaves_a_row_without_any_modality() -> None:
    model = towers().train()
    model.video.missing = 0.9
    masks = torch.ones(500, 2, dtype=torch.bool)
    assert model.video._thinned(masks).any(1).all()


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model, data = towers(), rows()
    model.video.fit_scale(*batch_of(rows(1, 20), SIZES))
    save_model(model, tmp_path / "model.safetensors", {"command": "python"})
    again = load_model(tmp_path / "model.safetensors")
    assert again.config == model.config
    assert again.embed_video(data) == pytest.approx(model.embed_video(data), abs=2e-3)
    assert again.embed_music(data) == pytest.approx(model.embed_music(data), abs=2e-3)


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"this model takes \(6,\)"):
        towers().embed_video([{"image": np.zeros(7, np.float32), "words": None}])


def test_words_that_mean_the_same_bring_untrained_towers_together() -> None:
    model, data = towers(), rows(count=6)
    directions = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    films = [row | {"words": way} for row, way in zip(data, directions, strict=True)]
    tracks = [row | {"words": way} for row, way in zip(rows(1, 6), directions, strict=True)]
    cosines = model.embed_video(films) @ model.embed_music(tracks).T
    alike = directions @ directions.T > 0.5
    assert model.dimensions == 12 and cosines[alike].min() > 0.9 and cosines[~alike].max() < 0.1


def test_where_a_side_has_no_words_only_what_was_learned_counts() -> None:
    model = towers()
    films, tracks = rows(), [row | {"words": None} for row in rows(1)]
    vectors = model.embed_music(tracks)
    assert not vectors[:, 8:].any()
    learned = model.video(*batch_of(films, SIZES)).detach().numpy() @ vectors[:, :8].T
    order = np.argsort(learned, axis=1)
    assert np.array_equal(np.argsort(model.embed_video(films) @ vectors.T, axis=1), order)
