"""Personal video on the hub profile, end to end: tiny networks of the real classes, from a double of the Hub."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from core.errors import CancelledError, ParameterError, WeightsNotFoundError
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.hub_conditions import Conditions, conditions_of, picture_prompt
from core.personal_video.hub_config import HubConfig, HubRequest, Pixels
from core.personal_video.hub_networks import HubNetworks, load_networks
from core.personal_video.hub_pipeline import HubGenerator, seen
from core.personal_video.hub_placement import Arrangement
from core.personal_video.hub_plan import Way
from core.personal_video.hub_redilation import StageDilation
from core.runtime import CancelToken, cancellable
from core.weights import weights_path
from tests.personal_video import hub_toys
from tests.personal_video.conftest import cutout, disc, saved
from tests.weights.hub_double import HubDouble, point_client_at

RED, BLUE, GREEN = (200, 30, 30), (20, 40, 220), (30, 180, 40)
STAGES = tuple(StageDilation(stage, 2, 0.3) for stage in ("down_blocks.1", "mid_block", "up_blocks.0"))
CONFIG = HubConfig(width=64, height=64, frames=2, steps=2, stages=STAGES)
PROMPTS = dict.fromkeys("abc", "a biscuit runs") | dict.fromkeys("de", "a dog runs")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDouble]:
    """The process's only Hub serves the tiny networks."""
    root = tmp_path_factory.mktemp("hub")
    with HubDouble(root / "hub") as double, pytest.MonkeyPatch.context() as patch:
        hub_toys.serve(double, root / "weights")
        point_client_at(patch, double.url, root / "cache")
        patch.setenv("SHOWREEL_WEIGHTS", str(root / "weights"))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        yield double


@pytest.fixture(scope="module")
def networks(hub: HubDouble) -> HubNetworks:
    return load_networks()


@pytest.fixture(scope="module")
def few(hub: HubDouble) -> HubNetworks:
    return load_networks(few_steps=True)


@pytest.fixture(scope="module")
def generators(networks: HubNetworks, tmp_path_factory: pytest.TempPathFactory) -> dict[str, HubGenerator]:
    """Over databases in which biscuit is red, or blue; or the red one's word is pudding."""
    made = {}
    for name, word, colour in (("red", "biscuit", RED), ("blue", "biscuit", BLUE), ("renamed", "pudding", RED)):
        made[name] = HubGenerator(tmp_path_factory.mktemp(name), networks=networks)
        made[name].database.add(word, [cutout(colour)])
    return made


def request_in(mode: str, colour: tuple[int, int, int] = GREEN, **changed: Any) -> HubRequest:
    image = (cutout(colour),) if mode in "bce" else ()
    target = "biscuit" if mode == "b" else None
    return replace(HubRequest(PROMPTS[mode], image, target, seed=3), **changed)


def frames(generator: HubGenerator, request: HubRequest, config: HubConfig = CONFIG) -> Pixels:
    return generator.generate(request, config).frames


class TestModes:
    @pytest.mark.parametrize("mode", "abcde")
    def test_each_mode_makes_both_videos(self, generators: dict[str, HubGenerator], mode: str) -> None:
        first = generators["red"].generate(request_in(mode), CONFIG)
        second = generators["red"].enlarge(first.frames, request_in(mode), CONFIG)
        assert first.mode == second.mode == mode
        assert (first.frames.shape, second.frames.shape) == ((2, 64, 64, 3), (2, 128, 128, 3))
        assert first.frames.std() > 5 and second.frames.std() > 5
        assert not np.array_equal(first.frames[0], first.frames[1]), "a video moves"

    @pytest.mark.parametrize(
        ("mode", "database", "image"),
        [("a", True, False), ("b", True, True), ("c", False, True), ("d", False, False), ("e", False, True)],
    )
    def test_the_right_sources_matter_and_no_other(
        self, generators: dict[str, HubGenerator], mode: str, database: bool, image: bool
    ) -> None:
        base = frames(generators["red"], request_in(mode))
        assert np.array_equal(frames(generators["blue"], request_in(mode)), base) != database
        if image:
            assert not np.array_equal(frames(generators["red"], request_in(mode, BLUE)), base)
        assert not np.array_equal(
            frames(generators["red"], request_in(mode, prompt=PROMPTS[mode].replace("runs", "hops"))), base
        )

    @pytest.mark.parametrize(("mode", "matters"), [("a", False), ("b", False), ("c", True)])
    def test_the_concept_s_word_itself_matters_only_where_the_text_encoder_s_own_features_are_asked_for(
        self, generators: dict[str, HubGenerator], mode: str, matters: bool
    ) -> None:
        base = frames(generators["red"], request_in(mode))
        target = "pudding" if mode == "b" else None
        renamed = frames(generators["renamed"], request_in(mode, prompt="a pudding runs", target=target))
        assert (not np.array_equal(renamed, base)) == matters

    def test_the_reference_of_mode_b_is_the_image_s_and_its_details_are_of_both(
        self, generators: dict[str, HubGenerator], networks: HubNetworks
    ) -> None:
        def of(mode: str, database: str = "red", colour: tuple[int, int, int] = GREEN) -> Conditions:
            return conditions_of(request_in(mode, colour), generators[database].database, networks)

        both, stored, shown = of("b"), of("a"), of("c")
        assert torch.equal(of("b", "blue").semantic, both.semantic)
        assert not torch.equal(of("b", colour=BLUE).semantic, both.semantic)
        assert torch.equal(of("b", colour=RED).semantic, stored.semantic), "an image like the database's is no other"
        assert both.details is not None and stored.details is not None and shown.details is not None
        assert np.array_equal(both.details, np.concatenate([stored.details, shown.details]))
        assert of("d").details is None

    def test_two_concepts_each_stand_in_their_own_place(
        self, networks: HubNetworks, generators: dict[str, HubGenerator], tmp_path: Path
    ) -> None:
        generator = HubGenerator(tmp_path / "two", networks=networks)
        generator.database.add("biscuit", [cutout(RED)])
        generator.database.add("waffle", [cutout(BLUE), cutout(GREEN)])
        one, other = (
            conditions_of(HubRequest(prompt), generator.database, networks)
            for prompt in ("biscuit and waffle", "waffle and biscuit")
        )
        assert torch.equal(one.semantic[0, 1], other.semantic[0, 3])
        assert torch.equal(one.semantic[0, 3], other.semantic[0, 1])
        assert not torch.equal(one.semantic[0, 1], one.semantic[0, 3])
        assert one.details is not None and len(one.details) == 4, "the one picture counts as much as the two"

    def test_the_features_of_a_concept_are_made_once_and_anew_when_pictures_were_added(
        self, networks: HubNetworks, tmp_path: Path
    ) -> None:
        generator = HubGenerator(tmp_path / "kept", networks=networks)
        generator.database.add("biscuit", [cutout(RED)])
        version = networks.details_version
        assert generator.database.details("biscuit", version) is None
        cold, warm = (frames(generator, request_in("a")) for _ in range(2))
        assert generator.database.details("biscuit", version) is not None and np.array_equal(cold, warm)
        generator.database.add_pictures("biscuit", [cutout(BLUE)])
        assert not np.array_equal(frames(generator, request_in("a")), warm)


class TestDeterminism:
    def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
        self, generators: dict[str, HubGenerator]
    ) -> None:
        generator, request = generators["red"], request_in("a")
        first = frames(generator, request)
        assert np.array_equal(frames(generator, request), first)
        assert not np.array_equal(frames(generator, replace(request, seed=4)), first)
        second = generator.enlarge(first, request, CONFIG).frames
        torch.manual_seed(99)
        assert np.array_equal(generator.enlarge(first, request, CONFIG).frames, second)
        assert not np.array_equal(generator.enlarge(first, replace(request, seed=4), CONFIG).frames, second)

    def test_two_users_at_once_do_not_mix(self, generators: dict[str, HubGenerator]) -> None:
        requests = {"red": request_in("a"), "blue": request_in("b", seed=8)}
        alone = {name: frames(generators[name], request) for name, request in requests.items()}
        with ThreadPoolExecutor(2) as users:
            work = {name: users.submit(frames, generators[name], request) for name, request in requests.items()}
            together = {name: done.result() for name, done in work.items()}
        assert all(np.array_equal(together[name], alone[name]) for name in requests)


class TestProgress:
    def test_every_step_is_reported(self, generators: dict[str, HubGenerator]) -> None:
        told: list[tuple[int, int, str]] = []
        first = generators["red"].generate(request_in("d"), CONFIG, lambda *step: told.append(step)).frames
        generators["red"].enlarge(first, request_in("d"), replace(CONFIG, steps=5), lambda *step: told.append(step))
        assert told[:2] == [(1, 2, "first video"), (2, 2, "first video")]
        assert told[2:] == [(n, 3, "second video") for n in (1, 2, 3)]

    @pytest.mark.parametrize("second", [False, True])
    def test_a_cancelled_video_ends_within_one_step_and_leaves_no_trace(
        self, generators: dict[str, HubGenerator], second: bool
    ) -> None:
        generator, request = generators["red"], request_in("a")
        first = frames(generator, request)
        calls: list[int] = []
        counting = generator.networks.first.unet.conv_in.register_forward_hook(lambda *_: calls.append(1))
        token = CancelToken()

        def told(done: int, total: int, what: str) -> None:
            token.cancel()

        config = replace(CONFIG, steps=12)
        with pytest.raises(CancelledError, match="after 2 of"):
            if second:
                generator.enlarge(first, request, config, cancellable(told, token))
            else:
                generator.generate(request, config, cancellable(told, token))
        counting.remove()
        assert len(calls) == (4 if second else 2), "two steps; the second network's are damped"
        assert np.array_equal(frames(generator, request), first)


class TestSecondNetwork:
    def test_it_starts_from_the_first_video(self, generators: dict[str, HubGenerator]) -> None:
        generator, request, config = generators["red"], request_in("d"), replace(CONFIG, steps=10, renewal=0.1)
        ramp = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[None, None, :, None], (2, 64, 64, 3))
        one = generator.enlarge(np.ascontiguousarray(ramp), request, config).frames
        other = generator.enlarge(np.ascontiguousarray(ramp[:, :, ::-1]), request, config).frames
        assert not np.array_equal(one, other)

    def test_its_kernels_are_spread_only_while_it_works(self, generators: dict[str, HubGenerator]) -> None:
        generator, request = generators["red"], request_in("a")
        first = frames(generator, request)
        spread = generator.enlarge(first, request, replace(CONFIG, steps=4)).frames
        plain = replace(CONFIG, steps=4, stages=(StageDilation("mid_block", 1),))
        assert not np.array_equal(generator.enlarge(first, request, plain).frames, spread)
        assert np.array_equal(frames(generator, request), first)
        kernels = [m for m in generator.networks.first.unet.modules() if isinstance(m, torch.nn.Conv2d)]
        assert {kernel.dilation for kernel in kernels} == {(1, 1)}

    def test_what_is_no_video_is_refused(self, generators: dict[str, HubGenerator]) -> None:
        with pytest.raises(ParameterError, match=r"float64 \(64, 64, 3\); give uint8"):
            generators["red"].enlarge(np.zeros((64, 64, 3)), request_in("d"), CONFIG)  # type: ignore[arg-type]


class TestFewSteps:
    def test_the_low_rank_differences_are_in_the_weights(self, networks: HubNetworks, few: HubNetworks) -> None:
        tensors = load_file(weights_path("lcm_lora", "pytorch_lora_weights.safetensors"))
        before, after = networks.first.unet.state_dict(), few.first.unet.state_dict()
        assert before.keys() == after.keys()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        query = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
        assert changed == {f"{query}.weight", "mid_block.resnets.0.conv1.weight"}
        down, up = (tensors[f"lora_unet_{query.replace('.', '_')}.lora_{way}.weight"] for way in ("down", "up"))
        torch.testing.assert_close(after[f"{query}.weight"], before[f"{query}.weight"] + up @ down)

    def test_a_video_takes_six_steps_and_both_are_made(
        self, few: HubNetworks, generators: dict[str, HubGenerator]
    ) -> None:
        generator = HubGenerator(generators["red"].database.address, networks=few)
        told: list[int] = []
        config = replace(CONFIG, steps=0)
        first = generator.generate(request_in("a"), config, lambda done, total, what: told.append(total)).frames
        assert told == [6] * 6
        assert np.array_equal(frames(generator, request_in("a"), config), first), "its noise comes from the seed too"
        assert generator.enlarge(first, request_in("a"), config).frames.std() > 5

    def test_many_few_steps_are_refused(self, few: HubNetworks, generators: dict[str, HubGenerator]) -> None:
        generator = HubGenerator(generators["red"].database.address, networks=few)
        with pytest.raises(ParameterError, match="60 steps are not few; choose at most 50"):
            generator.generate(request_in("d"), replace(CONFIG, steps=60))


class TestAgainstDiffusers:
    def test_the_details_work_as_diffusers_own_picture_prompt(
        self, networks: HubNetworks, generators: dict[str, HubGenerator]
    ) -> None:
        """The whole adapter in one pipeline, given the picture, against ours with the tokens made beforehand."""
        from transformers import CLIPVisionModelWithProjection

        adapter = weights_path("ip_adapter")
        request = request_in("e")
        ours = generators["red"].generate(request, CONFIG).frames
        parts = dict(networks.first.components)
        parts["image_encoder"] = CLIPVisionModelWithProjection.from_pretrained(adapter / "models" / "image_encoder")
        pipeline = type(networks.first)(**parts)
        pipeline.set_progress_bar_config(disable=True)
        layers = pipeline.unet.encoder_hid_proj.image_projection_layers
        kept, layers[0] = layers[0], networks.details.networks[1]
        try:
            theirs = pipeline(
                prompt=request.prompt,
                negative_prompt="",
                ip_adapter_image=Image.fromarray(request.image[0].square(hub_toys.SIDE)),
                num_frames=2,
                width=64,
                height=64,
                num_inference_steps=2,
                generator=torch.Generator().manual_seed(request.seed),
                output_type="np",
            ).frames[0]
        finally:
            layers[0] = kept
        np.testing.assert_allclose(ours / 255, theirs, atol=0.02)

    def test_the_branch_without_condition_comes_first(
        self, networks: HubNetworks, generators: dict[str, HubGenerator]
    ) -> None:
        conditions = conditions_of(request_in("e"), generators["red"].database, networks)
        (given,) = picture_prompt(conditions, True, torch.float32)
        assert np.array_equal(given[0].numpy(), conditions.nothing_seen.astype(np.float32))
        assert conditions.details is not None
        assert np.array_equal(given[1].numpy(), conditions.details.astype(np.float32))


class TestWeights:
    def test_a_cold_cache_is_filled_once_and_a_warm_one_asks_nobody(
        self, hub: HubDouble, generators: dict[str, HubGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = frames(generators["red"], request_in("a"))
        address = generators["red"].database.address
        point_client_at(monkeypatch, hub.url, tmp_path / "cold")
        hub.requests.clear()
        told: list[str] = []
        cold = HubGenerator(address, networks=load_networks(progress=lambda done, total, what: told.append(what)))
        fetched = [line.path for line in hub.requests if line.method == "GET" and line.server == "storage"]
        assert len(fetched) == len(set(fetched)) == 7 and all(path.endswith(".safetensors") for path in fetched)
        assert not any("lcm_lora" in line.path for line in hub.requests), "what nobody asked for is not fetched"
        assert "unet/diffusion_pytorch_model.fp16.safetensors" in told
        hub.requests.clear()
        warm = HubGenerator(address, networks=load_networks())
        assert hub.requests == []
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        offline = HubGenerator(address, networks=load_networks())
        for generator in (cold, warm, offline):
            assert np.array_equal(frames(generator, request_in("a")), wanted)

    def test_offline_with_an_empty_cache_it_says_how_to_fetch_them(
        self, hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_client_at(monkeypatch, hub.url, tmp_path / "empty")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        generator = HubGenerator(tmp_path / "library")
        with pytest.raises(WeightsNotFoundError, match=r"python -m core\.weights fetch stable_diffusion"):
            generator.generate(request_in("d"), CONFIG)


class TestPlacement:
    @pytest.mark.parametrize("way", ["spread", "model", "sequential"])
    def test_wherever_the_networks_lie_the_videos_are_the_same(
        self, generators: dict[str, HubGenerator], way: Way
    ) -> None:
        devices = (torch.device("cpu"),) * 2 if way == "spread" else ()
        placed = load_networks(arrangement=Arrangement(way, devices))
        generator = HubGenerator(generators["red"].database.address, networks=placed)
        request = request_in("b")
        first = frames(generators["red"], request)
        second = generators["red"].enlarge(first, request, CONFIG).frames
        for _ in range(2):
            assert np.array_equal(frames(generator, request), first)
            assert np.array_equal(generator.enlarge(first, request, CONFIG).frames, second)


class TestBadInput:
    def test_an_unknown_word_is_an_error_that_names_those_there_are(self, generators: dict[str, HubGenerator]) -> None:
        with pytest.raises(ParameterError, match="No concept is called <biscuits>; there is <biscuit>"):
            generators["red"].generate(HubRequest("a <biscuits> runs"), CONFIG)

    def test_an_empty_prompt_is_an_error(self, generators: dict[str, HubGenerator]) -> None:
        with pytest.raises(ParameterError, match="The prompt is empty"):
            generators["red"].generate(HubRequest("  "), CONFIG)

    def test_a_target_must_be_in_the_prompt_and_have_an_image(self, generators: dict[str, HubGenerator]) -> None:
        with pytest.raises(ParameterError, match="<biscuit> does not occur in the prompt"):
            generators["red"].generate(request_in("e", target="biscuit"), CONFIG)
        with pytest.raises(ParameterError, match="No image shows biscuit"):
            HubRequest("a biscuit runs", target="biscuit")

    def test_two_thousand_words_are_read_as_far_as_there_is_room_and_the_rest_is_told(
        self, generators: dict[str, HubGenerator]
    ) -> None:
        video = generators["red"].generate(HubRequest("a biscuit runs " + "in snow " * 1000), CONFIG)
        assert video.mode == "a" and video.unread.startswith("snow in snow") and len(video.unread.split()) > 1900

    @pytest.mark.parametrize("prompt", ["🐶 biscuit 🐶", "biscuit 在海滩上跑", "biscuit runs and <Biscuit> hops"])
    def test_any_script_and_a_word_twice_are_no_trouble(self, generators: dict[str, HubGenerator], prompt: str) -> None:
        assert generators["red"].generate(HubRequest(prompt), CONFIG).mode == "a"

    def test_a_database_of_another_encoder_is_refused(
        self, networks: HubNetworks, tmp_path: Path, encoder: Any
    ) -> None:
        database = ConceptDatabase(tmp_path / "other", encoder)
        database.add("biscuit", [cutout(RED)])
        with pytest.raises(ParameterError, match="it is another encoder's"):
            conditions_of(request_in("a"), database, networks)
        assert HubGenerator(tmp_path / "other", networks=networks).generate(request_in("a"), CONFIG).mode == "a", (
            "the same folder opened with the right one"
        )


class TestImages:
    def test_a_subject_is_cut_out_and_a_picture_without_one_is_taken_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SHOWREEL_WEIGHTS", raising=False)
        (subject,) = seen(saved(tmp_path, "disc.png", disc(RED)))
        assert subject.way == "alpha" and subject.pixels.shape[:2] < (96, 96)
        (whole,) = seen(saved(tmp_path, "plain.png", np.full((40, 60, 3), 90, np.uint8)))
        assert whole.pixels.shape == (40, 60, 4) and whole.pixels.min() >= 88
