"""What comes into the pipeline: prompts and images that cannot be used, in any script; looks kept; many concepts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.encoders.text import MeanPooledEncoder, TokenOutputs
from core.errors import MediaLimitError, NoSubjectError, ParameterError
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import VideoConfig
from core.personal_video.engine import EmbeddedEngine, unread_of
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline
from tests.personal_video.conftest import cutout, disc
from tests.personal_video.made import PlainEncoder, WordEncoder, small_network
from tests.personal_video.pipelines import BLUE, GREEN, RED, SMALL, figured, made, unlearnt


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return unlearnt()


@pytest.fixture(scope="module")
def minilm() -> MeanPooledEncoder:
    return MeanPooledEncoder("minilm")


@pytest.fixture
def pipeline(tmp_path: Path, engine: EmbeddedEngine) -> PersonalVideoPipeline:
    return figured(tmp_path / "library", engine)


class Counting(PlainEncoder):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def encode(self, pictures: Any) -> Any:
        self.calls += 1
        return super().encode(pictures)


class TestWhatComesIn:
    def raises(
        self, pipeline: PersonalVideoPipeline, folder: Path, make: Callable[[], GenerateRequest]
    ) -> pytest.ExceptionInfo[Exception]:
        with pytest.raises((ParameterError, MediaLimitError, NoSubjectError)) as caught:
            pipeline.generate(make(), folder / "never.mp4", SMALL)
        assert not (folder / "never.mp4").exists()
        return caught

    @pytest.mark.parametrize(
        ("prompt", "told"),
        [
            ("", "The prompt is empty"),
            (" \n", "The prompt is empty"),
            ("word " * 2001, "has 2,001 words, more than 2,000"),
            ("字" * 20_001, "20001 characters"),
            ("<biscuits> hop", r"No concept is called <biscuits>; there is <biscuit>"),
        ],
    )
    def test_a_prompt_of_which_nothing_can_be_made_has_its_sentence(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, prompt: str, told: str
    ) -> None:
        assert self.raises(pipeline, tmp_path, lambda: GenerateRequest(prompt)).match(told)

    def test_a_concept_that_lost_its_pictures_is_named(self, pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
        pipeline.database._cutouts.remove(pipeline.database.concept("biscuit").cutout_ids)
        caught = self.raises(pipeline, tmp_path, lambda: GenerateRequest("biscuit hops"))
        assert caught.match("The concept biscuit has lost its pictures")

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize(
        ("size", "mode", "told"),
        [
            ((1, 1), "RGB", "1 × 1 pixels, too few"),
            ((12_000, 12_000), "1", "more than the"),
            ((64, 64), "RGB", "No subject was found in image.png"),
            ((64, 64), "RGBA", "No subject was found in image.png"),
        ],
    )
    def test_an_image_of_which_nothing_can_be_made_has_its_sentence(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, size: tuple[int, int], mode: str, told: str
    ) -> None:
        Image.new(mode, size).save(tmp_path / "image.png")
        caught = self.raises(pipeline, tmp_path, lambda: GenerateRequest("it hops", tmp_path / "image.png"))
        assert told in str(caught.value)

    def test_an_animated_picture_and_a_transparent_background_are_taken(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path
    ) -> None:
        discs = [Image.fromarray(disc(colour)) for colour in (RED, BLUE)]
        discs[0].save(tmp_path / "discs.webp", save_all=True, append_images=discs[1:], duration=200, lossless=True)
        assert len(pipeline.subject_of(tmp_path / "discs.webp").cutouts) == 2
        assert made(pipeline, tmp_path, GenerateRequest("it hops", tmp_path / "discs.webp", seed=1)).mode == "e"

    def test_a_word_that_occurs_twice_is_one_concept(self, pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
        video = made(pipeline, tmp_path, GenerateRequest("biscuit hops and <Biscuit> spins", seed=1))
        assert video.settings.words == ("biscuit",)

    def test_several_concepts_each_count(self, pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
        pipeline.database.add("rex", [cutout(BLUE)])
        wanted = GenerateRequest("biscuit hops and rex spins", seed=1)
        first = made(pipeline, tmp_path, wanted)
        pipeline.database.remove("rex")
        pipeline.database.add("rex", [cutout(GREEN)])
        assert first.settings.words == ("biscuit", "rex")
        assert not np.array_equal(first.frames, made(pipeline, tmp_path, wanted).frames)

    @pytest.mark.parametrize(
        "prompt", ["🐕🏃 biscuit 🎉", "biscuit在海滩上跑", "一只狗在跑", "🐕", "<", "a <-> b", "\x00"]
    )
    def test_prompts_in_any_script_are_read_by_the_real_text_encoder(
        self, pipeline: PersonalVideoPipeline, minilm: MeanPooledEncoder, tmp_path: Path, prompt: str
    ) -> None:
        real = PersonalVideoPipeline(pipeline.database, EmbeddedEngine(small_network().requires_grad_(False), minilm))
        video = made(real, tmp_path, GenerateRequest(prompt, seed=1))
        assert video.mode == ("a" if "biscuit" in prompt else "d")
        assert any("reads English" in note for note in video.notes) == ("在" in prompt)

    def test_a_prompt_that_is_read_in_part_says_so_and_a_concept_beyond_is_refused(
        self, pipeline: PersonalVideoPipeline, minilm: MeanPooledEncoder, tmp_path: Path
    ) -> None:
        real = PersonalVideoPipeline(pipeline.database, EmbeddedEngine(small_network().requires_grad_(False), minilm))
        long = "biscuit hops " + "very " * 1900 + "high"
        (note,) = made(real, tmp_path, GenerateRequest(long, seed=1)).notes
        assert "did not read: very very" in note
        with pytest.raises(ParameterError, match="too far back in a long prompt"):
            made(real, tmp_path, GenerateRequest("very " * 1900 + "high hops biscuit", seed=1))

    def test_looks_are_kept_in_the_database_and_made_anew_when_pictures_are_added(
        self, engine: EmbeddedEngine, tmp_path: Path
    ) -> None:
        encoder = Counting()
        pipeline = PersonalVideoPipeline(ConceptDatabase(tmp_path / "library", encoder), engine)
        pipeline.database.add("rex", [cutout(RED)])
        wanted = GenerateRequest("rex hops", seed=1)
        first = made(pipeline, tmp_path, wanted).frames
        asked = encoder.calls
        assert np.array_equal(first, made(pipeline, tmp_path, wanted).frames) and encoder.calls == asked
        pipeline.database.add_pictures("rex", [cutout(BLUE)])
        assert not np.array_equal(first, made(pipeline, tmp_path, wanted).frames) and encoder.calls == asked + 1

    def test_two_hundred_concepts_stay_quick(self, engine: EmbeddedEngine, tmp_path: Path) -> None:
        """Reading a prompt grows far slower than the database, and no concept is looked at that is not named."""
        spent, encoder = {}, Counting()
        for count in (10, 200):
            pipeline = PersonalVideoPipeline(ConceptDatabase(tmp_path / str(count), encoder), engine)
            pipeline.database.cut_many({f"word{n}": [cutout((n, 255 - n, 90))] for n in range(count)})
            wanted = GenerateRequest("word3 hops over <word7>", seed=1)
            times = []
            for _ in range(5):
                begin = time.perf_counter()
                assert pipeline.read(wanted).words == ("word3", "word7")
                times.append(time.perf_counter() - begin)
            spent[count] = min(times)
            before = encoder.calls
            made(pipeline, tmp_path, wanted)
            assert encoder.calls - before == 2
        assert spent[200] < 10 * spent[10]


def test_a_value_out_of_its_range_is_refused() -> None:
    for wrong in ({"steps": 1}, {"steps": 201}, {"text_guidance": 21}, {"side_px": 60}, {"side_px": 16}, {"frames": 3}):
        with pytest.raises(ParameterError):
            VideoConfig(**wrong)
    for seed in (-1, 2**32):
        with pytest.raises(ParameterError, match="seed is"):
            GenerateRequest("it hops", seed=seed)
    with pytest.raises(ParameterError, match="the embedded networks make at most 256"):
        EmbeddedEngine().settled(VideoConfig(side_px=512))


def test_tokens_of_the_prompt_tell_what_is_not_read() -> None:
    class Short(WordEncoder):
        def _tokens(self, sentence: str) -> TokenOutputs:
            whole = super()._tokens(sentence)
            return TokenOutputs(whole.hidden[:2], whole.places[:2])

    assert unread_of("it hops very high", Short()) == "very high"
    assert unread_of("it hops", Short()) == ""
