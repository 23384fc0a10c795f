"""A model's way through its file, what its vectors can tell, and the baseline of a similarity."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.encoders.image import ImageEncoder
from core.encoders.sequence import NetworkConfig, SequenceEncoder
from core.errors import WeightsError
from core.video_search.config import SearchConfig
from core.video_search.descriptor import (
    NEAREST_OF_BACKGROUND,
    MeanDescriptor,
    Model,
    Thresholds,
    TrainedDescriptor,
    Vectors,
    baseline,
    read_model,
    unit_rows,
    write_model,
)
from core.video_search.features import mean_descriptor
from core.video_search.reading import frame_features

SMALL = NetworkConfig(features=20, width=16, terms=3, dimensions=24)


def features(frames: int = 9, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).normal(size=(frames, 20)).astype(np.float32)


def small_model(background: int = NEAREST_OF_BACKGROUND + 10) -> Model:
    torch.manual_seed(0)
    statistics = {"mean": torch.randn(20), "deviation": torch.rand(20) + 0.5}
    network = SequenceEncoder(SMALL, statistics).eval()
    rows = unit_rows(np.random.default_rng(1).normal(size=(background, 24)))
    mean = np.random.default_rng(2).normal(size=24).astype(np.float32)
    return Model(network, "abc123", "colours 1", mean, rows, Thresholds(copy=0.37, topic=0.125))


@pytest.fixture
def small(tmp_path: Path) -> TrainedDescriptor:
    write_model(small_model(), tmp_path / "model.safetensors", {})
    return TrainedDescriptor(tmp_path / "model.safetensors")


@pytest.fixture(scope="module")
def embedded() -> TrainedDescriptor:
    return TrainedDescriptor()


@pytest.mark.parametrize("background", [15, 0])
def test_a_model_comes_back_from_its_file_as_exactly_as_float16_allows(tmp_path: Path, background: int) -> None:
    model, path = small_model(background), tmp_path / "model.safetensors"
    write_model(model, path, {"licence": "CC0-1.0"})
    back = read_model(path)
    assert (back.version, back.encoder, back.thresholds) == (model.version, model.encoder, model.thresholds)
    assert back.network.config == SMALL and back.background.shape == (background, 24)
    np.testing.assert_array_equal(back.mean, model.mean)
    np.testing.assert_allclose(back.background, model.background, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(back.background, axis=1), 1, atol=1e-6)
    for name, value in model.network.state_dict().items():
        exact = value.ndim < 2
        np.testing.assert_allclose(back.network.state_dict()[name], value, rtol=0 if exact else 1e-3, atol=1e-7)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_written_again_is_the_same_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    write_model(small_model(), first, {"films": "12"})
    read = read_model(first)
    write_model(read, second, {"films": "12"})
    assert all(torch.equal(a, b) for a, b in zip(_tensors(read), _tensors(read_model(second)), strict=True))


def _tensors(model: Model) -> list[torch.Tensor]:
    return list(model.network.state_dict().values())


def test_a_file_that_is_no_model_is_refused_with_its_name_and_a_remedy(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    write_model(small_model(), whole, {})
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    save_file({"weight": torch.ones(2)}, tmp_path / "stranger.safetensors")
    metadata = {"config": SMALL.to_json(), "version": "1", "encoder": "e", "thresholds": '{"copy": 1, "topic": 0}'}
    told = {
        "unfinished": metadata,
        "other_config": metadata | {"config": '{"depth": 3}'},
        "out_of_range": metadata | {"config": '{"terms": 99}'},
        "no_json": metadata | {"config": "{"},
        "no_thresholds": metadata | {"thresholds": "{}"},
    }
    for name, words in told.items():
        save_file({"descriptor_mean": torch.ones(24)}, tmp_path / f"{name}.safetensors", words)
    for name in ("text", "cut", "empty", "stranger", "missing", *told):
        with pytest.raises(WeightsError, match=rf"(?s){name}\.safetensors is not a model .*train or fetch it again\.$"):
            TrainedDescriptor(tmp_path / f"{name}.safetensors")


def test_a_description_is_of_unit_length_and_does_not_change_from_call_to_call(
    small: TrainedDescriptor, embedded: TrainedDescriptor
) -> None:
    for descriptor, rows in ((small, features()), (embedded, np.tile(features(11), (1, 133))[:, :2656])):
        vector, frames = descriptor.describe(rows), descriptor.describe_frames(rows)
        assert vector.shape == (descriptor.dimensions,) and len(frames) == len(rows)
        np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(descriptor.describe(rows), vector)
        np.testing.assert_allclose(descriptor.describe_frames(rows[4:5]), frames[4:5], atol=1e-5)


def test_the_codes_of_a_model_are_centred_at_its_mean(small: TrainedDescriptor) -> None:
    np.testing.assert_array_equal(small.codes.mean, small_model().mean)
    assert small.codes.bits == 32


def test_the_mean_descriptor_is_the_mean_direction_whatever_the_order(encoder: ImageEncoder) -> None:
    descriptor, rows = MeanDescriptor(encoder), features()
    np.testing.assert_array_equal(descriptor.describe(rows), mean_descriptor([rows]))
    np.testing.assert_allclose(descriptor.describe(rows[::-1]), descriptor.describe(rows), atol=1e-6)
    np.testing.assert_allclose(
        descriptor.describe_frames(rows), rows / np.linalg.norm(rows, axis=1)[:, None], atol=1e-6
    )
    assert encoder.name in descriptor.name and descriptor.version.startswith(encoder.version)


def test_the_embedded_model_belongs_to_the_embedded_encoder(embedded: TrainedDescriptor, encoder: ImageEncoder) -> None:
    assert embedded.dimensions == embedded.codes.bits == 4096
    assert embedded.encoder == f"{encoder.name} {encoder.version}"
    assert embedded.network.config.features == encoder.dimensions
    assert len(embedded.background) >= NEAREST_OF_BACKGROUND and embedded.thresholds.topic < embedded.thresholds.copy


@pytest.fixture(scope="module")
def places(encoder: ImageEncoder, clips: list[Path]) -> list[Vectors]:
    """Eight frames each of a meadow, of traffic and of a stage."""
    return [frame_features(clips[n], encoder, SearchConfig())[1] for n in (1, 2, 5)]


def test_the_embedded_model_tells_a_film_from_its_reverse_and_the_mean_does_not(
    embedded: TrainedDescriptor, encoder: ImageEncoder, places: list[Vectors]
) -> None:
    """Two shots, one after the other. Measured with two versions of the weights: 0.31 at most."""
    mean = MeanDescriptor(encoder)
    for first, second in pairwise(places):
        film = np.concatenate([first, second])
        backwards = film[::-1].copy()
        assert embedded.describe(film) @ embedded.describe(backwards) < 0.7
        assert mean.describe(film) @ mean.describe(backwards) == pytest.approx(1, abs=1e-5)


def test_the_embedded_model_tells_places_apart(embedded: TrainedDescriptor, places: list[Vectors]) -> None:
    even, odd = (np.stack([embedded.describe(rows[n::2].copy()) for rows in places]) for n in (0, 1))
    likeness = even @ odd.T
    assert likeness.diagonal().min() > likeness[~np.eye(3, dtype=bool)].max() + 0.2


def test_the_baseline_is_the_mean_similarity_with_the_nearest_of_the_background(small: TrainedDescriptor) -> None:
    vector = small.describe(features())
    nearest = sorted((float(row @ vector) for row in small.background), reverse=True)[:NEAREST_OF_BACKGROUND]
    assert baseline(small, vector) == pytest.approx(sum(nearest) / NEAREST_OF_BACKGROUND, abs=1e-6)


def test_a_small_background_counts_as_a_whole_and_none_at_all_as_zero(tmp_path: Path, encoder: ImageEncoder) -> None:
    write_model(small_model(background=3), tmp_path / "few.safetensors", {})
    few = TrainedDescriptor(tmp_path / "few.safetensors")
    vector = few.describe(features())
    assert baseline(few, vector) == pytest.approx(float((few.background @ vector).mean()), abs=1e-6)
    assert baseline(MeanDescriptor(encoder), vector) == 0


def test_rows_are_brought_to_unit_length_and_zeros_stay() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]], atol=1e-7)
