"""The temporal model against scipy's cosine transform, what the encoder of sequences can tell, and its use, frozen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.fft import dct
from torch import Tensor

from core.encoders.image import image_encoder
from core.encoders.sequence import NetworkConfig, SequenceEncoder, VideoEncoder, cosine_terms
from core.errors import ParameterError, WeightsError
from core.video_search.descriptor import TrainedDescriptor
from core.weights import load_tensors

LENGTHS = (1, 2, 5, 9)
SMALL = NetworkConfig(features=12, width=8, terms=3, dimensions=20, dropout=0.5)


def sequences(width: int = 12, beyond: float = 0.0) -> tuple[Tensor, Tensor]:
    """One sequence of each of `LENGTHS`, (4, 9, width), filled up with ``beyond``; and the mask."""
    values = torch.from_numpy(np.random.default_rng(0).normal(1, 2, (len(LENGTHS), max(LENGTHS), width)))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return values.float().masked_fill(~mask[:, :, None], beyond), mask


def network(config: NetworkConfig = SMALL) -> SequenceEncoder:
    torch.manual_seed(0)
    return SequenceEncoder(config).eval()


def test_the_terms_are_those_of_the_cosine_transform_over_each_rows_own_length() -> None:
    values, mask = sequences()
    terms = cosine_terms(values, mask, 6)
    for row, length in enumerate(LENGTHS):
        expected = dct(values[row, :length].double().numpy(), type=2, axis=0)[:6] / (2 * length)
        np.testing.assert_allclose(terms[row, : len(expected)], expected, atol=1e-5)
        np.testing.assert_allclose(terms[row, 0], values[row, :length].mean(0), atol=1e-5)


def test_a_film_played_backwards_turns_the_sign_of_odd_terms_and_of_no_other() -> None:
    values, mask = sequences()
    backwards = torch.zeros_like(values)
    for row, length in enumerate(LENGTHS):
        backwards[row, :length] = values[row, :length].flip(0)
    signs = torch.tensor([1.0, -1, 1, -1, 1])[:, None]
    torch.testing.assert_close(cosine_terms(backwards, mask, 5), cosine_terms(values, mask, 5) * signs)


def test_a_sequence_has_the_same_vector_alone_and_among_longer_ones() -> None:
    values, mask = sequences()
    encoder = network()
    together = encoder(values, mask)
    for row, length in enumerate(LENGTHS):
        alone = encoder(values[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


def test_what_lies_beyond_the_end_of_a_sequence_does_not_count() -> None:
    encoder = network()
    torch.testing.assert_close(encoder(*sequences(beyond=1000.0)), encoder(*sequences()))


def test_a_film_at_twice_the_frame_rate_has_nearly_the_same_terms() -> None:
    def curves(frames: int) -> Tensor:
        places = (torch.arange(frames) + 0.5) / frames
        return torch.stack([places**2, torch.sin(5 * places)], 1)[None]

    first, second = (cosine_terms(curves(n), torch.ones(1, n, dtype=torch.bool), 3) for n in (16, 32))
    torch.testing.assert_close(first, second, atol=3e-3, rtol=0)


def test_shuffled_frames_have_another_vector_unless_the_mean_alone_is_kept() -> None:
    values, mask = sequences()
    sequence, whole = values[3:], mask[3:]
    shuffled = sequence[:, torch.tensor([4, 0, 7, 2, 8, 6, 1, 5, 3])]
    mean_alone, course = (network(NetworkConfig(12, 8, terms, 20)) for terms in (1, 3))
    torch.testing.assert_close(mean_alone(shuffled, whole), mean_alone(sequence, whole), atol=1e-5, rtol=1e-4)
    assert (course(shuffled, whole) - course(sequence, whole)).norm().item() > 0.1


def test_statistics_bring_the_features_to_mean_zero_and_deviation_one() -> None:
    values, mask = sequences()
    torch.manual_seed(0)
    told = SequenceEncoder(SMALL, {"mean": torch.arange(12.0), "deviation": torch.arange(1.0, 13)}).eval()
    plain = network()
    scaled = ((values - torch.arange(12)) / torch.arange(1, 13)).masked_fill(~mask[:, :, None], 0)
    torch.testing.assert_close(told(values, mask), plain(scaled, mask))
    torch.testing.assert_close(told.frames(values[3:]), plain.frames(scaled[3:]))


def test_the_map_to_the_common_width_may_come_before_the_cosine_terms_or_after() -> None:
    """Training relies on it: it keeps the terms of the features, which are not learned, and learns what follows."""
    values, mask = sequences()
    encoder = network()
    curves = cosine_terms(encoder.frames(values), mask, 3) * encoder.term_gains[:, None]
    torch.testing.assert_close(encoder.projector(curves.flatten(1)), encoder(values, mask), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoder.project(encoder.terms(values, mask)), encoder(values, mask))


def test_without_a_projector_the_vector_is_the_weighted_terms_themselves() -> None:
    values, mask = sequences()
    encoder = network(NetworkConfig(12, 8, 3, 0))
    assert encoder.config.output == 24 and not any(name.startswith("projector") for name in encoder.state_dict())
    terms = cosine_terms(encoder.frames(values), mask, 3) * encoder.term_gains[:, None]
    torch.testing.assert_close(encoder(values, mask), terms.flatten(1), atol=1e-5, rtol=1e-4)
    assert network(SMALL).config.output == network(SMALL)(values, mask).shape[1] == 20


def test_features_are_left_out_while_training_only() -> None:
    values, mask = sequences()
    encoder = network()
    assert torch.equal(encoder(values, mask), encoder(values, mask))
    encoder.train()
    assert not torch.equal(encoder(values, mask), encoder(values, mask))


def test_every_parameter_learns() -> None:
    encoder = network().train()
    encoder(*sequences()).square().sum().backward()
    assert {name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0} == set()


def test_a_config_survives_being_written_down() -> None:
    config = NetworkConfig(features=7, width=9, terms=2, dimensions=0, dropout=0.25)
    assert NetworkConfig.from_json(config.to_json()) == config != NetworkConfig()


@pytest.mark.parametrize(
    ("name", "values"),
    [("width", (7, 4097)), ("terms", (0, 17)), ("dimensions", (-1, 65537)), ("dropout", (-0.1, 0.95, float("nan")))],
)
def test_a_value_out_of_its_range_is_named_with_the_range(name: str, values: tuple[float, ...]) -> None:
    for value in values:
        with pytest.raises(ParameterError, match=rf"{name} is {value}; choose a number from \d+ to"):
            NetworkConfig(**{name: value})  # type: ignore[arg-type]


def layouts(frames: int) -> NDArray[np.float32]:
    """Features of a film, as far as numbers go: they drift from frame to frame."""
    steps = np.random.default_rng(3).normal(0, 0.02, (frames, 2656))
    return np.cumsum(steps, axis=0).astype(np.float32)


class TestVideoEncoder:
    @pytest.fixture(scope="class")
    def encoder(self) -> VideoEncoder:
        return VideoEncoder()

    @pytest.mark.parametrize("frames", [1, 2, 7, 32])
    def test_its_vector_is_the_cosine_terms_by_scipy_through_the_two_matrices_of_the_file(
        self, encoder: VideoEncoder, frames: int
    ) -> None:
        parts = load_tensors("video_search", "video_search.safetensors", torch.float64)
        w = {name.removeprefix("network."): tensor.numpy() for name, tensor in parts.items()}
        scaled = (layouts(frames) - w["feature_mean"]) / w["feature_deviation"]
        half_places = np.pi / frames * (np.arange(frames) + 0.5)
        terms = np.cos(np.arange(6)[:, None] * half_places) @ scaled / frames
        if frames >= 6:
            np.testing.assert_allclose(terms, dct(scaled, type=2, axis=0)[:6] / (2 * frames), atol=1e-9)
        expected = w["projector.weight"] @ (terms @ w["frame.weight"].T * w["term_gains"][:, None]).ravel()
        np.testing.assert_allclose(encoder.encode(layouts(frames)), expected, atol=1e-4 * np.abs(expected).max())

    def test_similar_video_search_describes_a_film_by_the_same_vector_at_unit_length(
        self, encoder: VideoEncoder
    ) -> None:
        z, descriptor = encoder.encode(layouts(9)), TrainedDescriptor()
        np.testing.assert_allclose(z / np.linalg.norm(z), descriptor.describe(layouts(9)), atol=1e-6)
        assert (encoder.dimensions, encoder.version) == (descriptor.dimensions, descriptor.version)

    def test_it_takes_the_vectors_of_the_image_encoder_that_it_names(self, encoder: VideoEncoder) -> None:
        name, version = encoder.image_encoder.split()
        images = image_encoder(name)
        assert (images.version, images.dimensions) == (version, encoder.features)

    def test_any_memory_layout_is_taken(self, encoder: VideoEncoder) -> None:
        backwards = layouts(9)[::-1]
        np.testing.assert_array_equal(encoder.encode(backwards), encoder.encode(backwards.copy()))

    @pytest.mark.parametrize("shape", [(0, 2656), (2656,), (3, 1280), (1, 3, 2656)])
    def test_what_are_no_features_of_frames_is_refused(self, encoder: VideoEncoder, shape: tuple[int, ...]) -> None:
        with pytest.raises(ParameterError, match=r"give float32 of shape \(T, 2656\), T from 1\.$"):
            encoder.encode(np.zeros(shape, np.float32))
        with pytest.raises(ParameterError, match="float64"):
            encoder.encode(np.zeros((3, 2656)))  # type: ignore[arg-type]

    def test_a_file_without_a_network_is_refused_with_its_name(self, tmp_path: Path) -> None:
        metadata = {"config": NetworkConfig().to_json(), "version": "1", "encoder": "e 1"}
        save_file({"background": torch.ones(2)}, tmp_path / "other.safetensors", metadata)
        for name in ("other", "missing"):
            with pytest.raises(WeightsError, match=rf"(?s){name}\.safetensors is not a model of similar-video search"):
                VideoEncoder(tmp_path / f"{name}.safetensors")
