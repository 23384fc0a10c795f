"""Pictures to vectors: EfficientNet-Lite against the networks it was taken from, and one contract for all."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.encoders.efficientnet_lite import ConvolutionNorm
from core.encoders.image import BATCH, EfficientNetLiteEncoder, ImageEncoder, image_encoder, preprocess
from core.errors import ParameterError, WeightsNotFoundError

Pictures = NDArray[np.uint8]
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "encoders" / "image.json").read_text())
VARIANTS = ("lite0", "lite2")
FILE_IN_HALF_PRECISION = {"lite0": 0.025, "lite2": 0.041}
"""How far float16 weights may move a logit, out of a range of 7 to 15."""


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def drawn(count: int, size: int) -> Pictures:
    """Soft coloured noise, the same on every run."""
    grid = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, 3, 7, 7)).astype(np.float32))
    return F.interpolate(grid, (size, size), mode="bilinear").permute(0, 2, 3, 1).byte().numpy()


@pytest.fixture(scope="module", params=VARIANTS)
def exact(request: pytest.FixtureRequest) -> EfficientNetLiteEncoder:
    return EfficientNetLiteEncoder(request.param, low_precision=False)


class TestEveryImageEncoder:
    @pytest.fixture(scope="class", params=["efficientnet_lite0", "siglip", "dinov2"])
    def encoder(self, request: pytest.FixtureRequest, toy_hub: Path) -> Iterator[ImageEncoder]:
        with pytest.MonkeyPatch.context() as patch:
            if not request.param.startswith("efficientnet"):
                patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
            yield image_encoder(request.param)

    def test_a_vector_does_not_depend_on_its_companions_bit_for_bit(self, encoder: ImageEncoder) -> None:
        pictures = drawn(BATCH + 1, encoder.size)
        together = encoder.encode(pictures)
        assert together.shape == (BATCH + 1, encoder.dimensions)
        for start, end in ((0, 1), (1, 2), (2, 5), (11, BATCH + 1)):
            assert np.array_equal(encoder.encode(pictures[start:end]), together[start:end]), f"{start} to {end}"

    def test_two_loaded_encoders_give_the_same_vectors(self, encoder: ImageEncoder, toy_hub: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if not encoder.name.startswith("efficientnet"):
                patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
            other = image_encoder(encoder.name)
        pictures = drawn(2, encoder.size)
        assert (other.name, other.version) == (encoder.name, encoder.version)
        assert np.array_equal(other.encode(pictures), encoder.encode(pictures))

    def test_any_size_and_memory_layout_is_taken(self, encoder: ImageEncoder) -> None:
        wide = drawn(2, 64)[:, :48]
        assert np.array_equal(encoder.encode(wide), encoder.encode(np.ascontiguousarray(wide)))

    def test_different_pictures_get_different_vectors(self, encoder: ImageEncoder) -> None:
        first, second = encoder.encode(drawn(2, encoder.size))
        assert cosine(first, second) < 0.9999

    def test_no_pictures_give_no_vectors(self, encoder: ImageEncoder) -> None:
        assert encoder.encode(drawn(1, encoder.size)[:0]).shape == (0, encoder.dimensions)

    @pytest.mark.parametrize("shape", [(8, 8, 3), (2, 8, 8, 4), (2, 0, 8, 3)])
    def test_other_shapes_are_refused(self, encoder: ImageEncoder, shape: tuple[int, ...]) -> None:
        with pytest.raises(ParameterError, match=r"give uint8 of shape \(T, H, W, 3\)"):
            encoder.encode(np.zeros(shape, np.uint8))

    def test_other_dtypes_are_refused(self, encoder: ImageEncoder) -> None:
        with pytest.raises(ParameterError, match="float32"):
            encoder.encode(np.zeros((1, 8, 8, 3), np.float32))


class TestEfficientNetLite:
    @pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut"])
    def test_it_answers_as_the_networks_it_was_taken_from(
        self, exact: EfficientNetLiteEncoder, photographs: dict[str, Pictures], name: str
    ) -> None:
        variant = exact.name.removeprefix("efficientnet_")
        golden = GOLDEN[variant][name]
        logits = exact.logits(photographs[name][None])[0]
        vector = exact.encode(photographs[name][None])[0]
        assert np.abs(logits[::25] - golden["logits"]).max() < FILE_IN_HALF_PRECISION[variant]
        assert cosine(vector[::20], np.array(golden["vector"], np.float32)) >= 0.99994
        assert np.argsort(-logits)[:5].tolist() == golden["top5"]

    def test_the_labels_are_those_that_were_published(
        self, exact: EfficientNetLiteEncoder, photographs: dict[str, Pictures]
    ) -> None:
        cat = {"efficientnet_lite0": "a cat having a striped coat", "efficientnet_lite2": "Egyptian Mau"}
        ((coffee, probability), *_) = exact.classify(photographs["coffee"][None])[0]
        assert coffee == "espresso" and probability > 0.8
        assert exact.classify(photographs["chelsea"][None], top=1)[0][0][0] == cat[exact.name]

    def test_bfloat16_beyond_the_first_blocks_is_harmless(
        self, exact: EfficientNetLiteEncoder, photographs: dict[str, Pictures]
    ) -> None:
        for picture in photographs.values():
            scaled = preprocess(picture[None], exact.size)
            x = (torch.from_numpy(scaled).permute(0, 3, 1, 2).float() - 127) / 128
            with torch.inference_mode():
                shallow = exact._network.shallow(x)
                with torch.autocast("cpu", torch.bfloat16):
                    low = exact._network.deep(shallow)[0]
            assert cosine(low.numpy(), exact.encode(scaled)[0]) >= 0.999

    def test_pictures_scaled_beforehand_give_the_same_vectors(
        self, exact: EfficientNetLiteEncoder, photographs: dict[str, Pictures]
    ) -> None:
        picture = photographs["coffee"][None]
        assert np.array_equal(exact.encode(preprocess(picture, exact.size)), exact.encode(picture))

    def test_only_a_bounded_number_of_pictures_is_in_the_network_at_once(self) -> None:
        encoder, seen = EfficientNetLiteEncoder(), []
        encoder._network.stem.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
        encoder.encode(drawn(BATCH + 1, 32))
        assert seen == [BATCH, 1]

    def test_an_unknown_variant_is_named(self) -> None:
        with pytest.raises(WeightsNotFoundError, match="efficientnet_lite9"):
            image_encoder("efficientnet_lite9")

    @settings(max_examples=50, deadline=None)
    @given(size=st.integers(1, 40), kernel=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2]))
    def test_same_padding_is_that_of_a_zero_padded_picture_of_the_needed_size(
        self, size: int, kernel: int, stride: int
    ) -> None:
        layer = ConvolutionNorm((1, 1), kernel, stride).linear().eval()
        row = torch.arange(1.0, size + 1).expand(1, 1, size, size)
        places = -(-size // stride)
        needed = (places - 1) * stride + kernel
        before = max(needed - size, 0) // 2
        canvas = torch.zeros(1, 1, max(needed, size), max(needed, size))
        canvas[..., before : before + size, before : before + size] = row
        with torch.inference_mode():
            wanted = layer.norm(layer.conv(canvas))[..., :places, :places]
            assert torch.allclose(layer(row), wanted, atol=1e-5)


class TestPreprocess:
    def test_it_keeps_the_central_seven_eighths_of_the_shorter_side(self) -> None:
        picture = np.zeros((1, 256, 400, 3), np.uint8)
        picture[:, 16:240, 88:312] = 200
        assert (preprocess(picture, 224) == 200).all()

    def test_pictures_of_the_right_size_are_left_alone(self) -> None:
        pictures = drawn(2, 224)
        assert preprocess(pictures, 224) is pictures

    @settings(deadline=None)
    @given(height=st.integers(1, 70), width=st.integers(1, 70))
    def test_a_picture_of_one_colour_stays_so_at_any_size(self, height: int, width: int) -> None:
        picture = np.full((1, height, width, 3), (10, 120, 250), np.uint8)
        assert (preprocess(picture, 32) == (10, 120, 250)).all()


@pytest.mark.usefixtures("hub_profile")
class TestHubProfile:
    def test_its_default_is_siglip(self) -> None:
        assert image_encoder().name == "siglip"

    @pytest.mark.parametrize("name", ["siglip", "dinov2"])
    def test_it_answers_as_the_transformers_classes_do(
        self, name: str, hub_profile: Path, photographs: dict[str, Pictures]
    ) -> None:
        from transformers import AutoImageProcessor, AutoModel

        processor = AutoImageProcessor.from_pretrained(hub_profile / name, backend="pil")
        model = AutoModel.from_pretrained(hub_profile / name)
        tower = model.vision_model if name == "siglip" else model
        with torch.inference_mode():
            wanted = tower(**processor(photographs["coffee"], return_tensors="pt")).pooler_output[0].numpy()
        assert cosine(image_encoder(name).encode(photographs["coffee"][None])[0], wanted) >= 0.999

    @pytest.mark.parametrize("name", ["siglip", "dinov2"])
    def test_pictures_of_its_size_are_only_normalised(self, name: str, hub_profile: Path) -> None:
        from transformers import AutoImageProcessor, AutoModel

        encoder = image_encoder(name)
        processor = AutoImageProcessor.from_pretrained(hub_profile / name, backend="pil")
        model = AutoModel.from_pretrained(hub_profile / name)
        pictures = drawn(1, encoder.size)
        scaled = (pictures[0] / 255 - processor.image_mean) / processor.image_std
        x = torch.from_numpy(scaled).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            wanted = getattr(model, "vision_model", model)(pixel_values=x).pooler_output[0].numpy()
        assert cosine(encoder.encode(pictures)[0], wanted) >= 0.999
