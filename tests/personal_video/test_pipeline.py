"""From prompt and image to files, with small networks that have learnt nothing: what comes in, what is said, what comes
out.
"""

import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from core.errors import (
    CancelledError,
    ParameterError,
)
from core.media import probe
from core.personal_video.config import VideoConfig
from core.personal_video.engine import EmbeddedEngine
from core.personal_video.film import read_frames, read_settings, write_film
from core.personal_video.pipeline import ALONE, FRAME_RATE, NO_SUBJECT, GenerateRequest, PersonalVideoPipeline
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import Seen
from core.runtime import CancelToken, cancellable, silent
from tests.personal_video.conftest import cutout, disc, saved
from tests.personal_video.made import figure
from tests.personal_video.pipelines import BLUE, GREEN, SMALL, figured, made, unlearnt

LARGER = EnlargeConfig(steps=2)


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return unlearnt()


@pytest.fixture
def pipeline(tmp_path: Path, engine: EmbeddedEngine) -> PersonalVideoPipeline:
    return figured(tmp_path / "library", engine)


@pytest.fixture
def same(tmp_path: Path) -> Path:
    """An image that shows biscuit, a little darker."""
    pixels = figure(1).pictures[0].copy()
    pixels[..., :3] = pixels[..., :3] * 0.9
    return saved(tmp_path, "same.png", pixels)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return saved(tmp_path, "other.png", disc(GREEN))


class TestModes:
    @pytest.mark.parametrize(
        ("prompt", "image", "shows", "mode"),
        [
            ("biscuit hops", "", "", "a"),
            ("<biscuit> hops", "same", "", "b"),
            ("biscuit hops", "other", "", "c"),
            ("biscuit hops", "other", "biscuit", "b"),
            ("biscuit hops", "same", "-", "c"),
            ("a dog hops", "", "", "d"),
            ("a dog hops", "other", "", "e"),
            ("", "other", "", "e"),
        ],
    )
    def test_the_mode_is_said_before_and_is_the_one_that_makes_the_video(
        self, request: pytest.FixtureRequest, pipeline: PersonalVideoPipeline, tmp_path: Path, prompt: str, image: str,
        shows: str, mode: str,
    ) -> None:  # fmt: skip
        wanted = GenerateRequest(prompt, request.getfixturevalue(image) if image else None, shows, seed=3)
        reading = pipeline.read(wanted)
        assert reading.mode.letter == mode and (NO_SUBJECT in reading.sentence) == (mode == "d")
        video = made(pipeline, tmp_path, wanted)
        assert (video.mode, read_settings(video.out).mode, video.seed) == (mode, mode, 3)
        assert video.frames.shape == (4, 32, 32, 3)

    @pytest.mark.parametrize(
        ("mode", "database", "image"),
        [("a", True, False), ("b", True, True), ("c", False, True), ("d", False, False), ("e", False, True)],
    )
    def test_the_right_sources_matter_and_no_other(
        self, engine: EmbeddedEngine, tmp_path: Path, mode: str, database: bool, image: bool
    ) -> None:
        """`image` of mode a and d: none can be given without its becoming another mode."""
        one, two = (figured(tmp_path / name, engine, number) for name, number in (("one", 1), ("two", 2)))
        shown = [saved(tmp_path, f"{number}.png", figure(number).pictures[0]) for number in (5, 6)]
        wanted = GenerateRequest(
            "biscuit hops" if mode in "abc" else "it hops",
            shown[0] if mode in "bce" else None,
            "biscuit" if mode == "b" else "-",
            seed=1,
        )
        base = made(one, tmp_path, wanted)
        assert base.mode == mode
        assert np.array_equal(base.frames, made(two, tmp_path, wanted).frames) != database
        if image:
            changed = made(one, tmp_path, replace(wanted, image=shown[1]))
            assert not np.array_equal(base.frames, changed.frames)

    def test_what_stands_in_for_a_missing_text_is_told_and_never_a_concept(
        self, pipeline: PersonalVideoPipeline, other: Path
    ) -> None:
        pipeline.database.add("white", [cutout()])
        reading = pipeline.read(GenerateRequest("  ", other))
        assert (reading.mode.letter, reading.words) == ("e", ()) and ALONE in reading.sentence

    def test_an_image_that_was_not_looked_at_yet_can_be_left_for_later(
        self, pipeline: PersonalVideoPipeline, same: Path
    ) -> None:
        wanted = GenerateRequest("biscuit hops", same)
        assert pipeline.read(wanted, at_once=True).mode.letter == "c"
        pipeline.subject_of(same)
        reading = pipeline.read(wanted, at_once=True)
        assert reading.mode.letter == "b" and "<biscuit>" in reading.sentence

    def test_an_image_cannot_show_a_concept_that_the_prompt_does_not_name(
        self, pipeline: PersonalVideoPipeline, other: Path
    ) -> None:
        with pytest.raises(ParameterError, match="said to show <waffle>, which the prompt does not name"):
            pipeline.read(GenerateRequest("biscuit hops", other, "waffle"))


class TestFiles:
    def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path
    ) -> None:
        wanted = GenerateRequest("biscuit hops", seed=7)
        first = Path(made(pipeline, tmp_path, wanted).out).read_bytes()
        assert Path(made(pipeline, tmp_path, wanted).out).read_bytes() == first
        assert Path(made(pipeline, tmp_path, replace(wanted, seed=8)).out).read_bytes() != first

    def test_a_seed_by_lot_is_told_and_makes_the_video_again(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path
    ) -> None:
        one, two = (made(pipeline, tmp_path, GenerateRequest("biscuit hops")) for _ in range(2))
        assert one.seed != two.seed
        again = made(pipeline, tmp_path, GenerateRequest("biscuit hops", seed=one.seed))
        assert np.array_equal(again.frames, one.frames)

    def test_any_player_opens_it_and_begins_before_all_is_there(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path
    ) -> None:
        video = made(pipeline, tmp_path, GenerateRequest("biscuit hops", seed=1))
        info = probe(video.out)
        assert (info.codec, info.pixel_format, info.container) == ("h264", "yuv420p", "mp4")
        assert (info.width, info.height, float(info.duration_s)) == (256, 256, video.duration_s)
        content = Path(video.out).read_bytes()
        assert 0 < content.index(b"moov") < content.index(b"mdat")
        with av.open(video.out) as container:
            assert "no camera saw this" in container.metadata["comment"]

    def test_settings_come_back_as_they_went_in(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, same: Path
    ) -> None:
        prompt = '<biscuit> hops, 跳 🐕 "quoted" \\ = ; #\nand biscuit again ' + "very " * 1500 + "high"
        config = VideoConfig(2, 3.5, 1.5, 4, 32)
        video = made(pipeline, tmp_path, GenerateRequest(prompt, same, seed=2**32 - 1), config)
        told = read_settings(video.out)
        assert told == video.settings and told.prompt == prompt
        assert (told.steps, told.text_guidance, told.subject_guidance, told.seed) == (2, 3.5, 1.5, 2**32 - 1)
        assert told.words == ("biscuit",) and told.image == "same.png" and told.target == "biscuit"
        assert (told.frames, told.side_px, told.factor, told.repeated) == (4, 32, 1, 8)

    @pytest.mark.parametrize(
        ("name", "told"), [("made.avi", "does not end in"), ("nowhere/made.mp4", "does not exist")]
    )
    def test_where_nothing_can_be_written_is_said_before_anything_is_made(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, name: str, told: str
    ) -> None:
        begun: list[int] = []
        with pytest.raises(ParameterError, match=told):
            pipeline.generate(GenerateRequest("it hops"), tmp_path / name, SMALL, lambda *_: begun.append(1))
        assert not begun


class TestWhileItIsMade:
    def test_what_is_seen_grows_with_every_step_and_ends_in_the_video(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path
    ) -> None:
        seen: list[Seen] = []
        wanted = GenerateRequest("biscuit hops", seed=1)
        video = pipeline.generate(wanted, tmp_path / "made.mp4", SMALL, silent, seen.append)
        assert [(one.step, one.steps) for one in seen] == [(1, 3), (2, 3), (3, 3)]
        assert np.array_equal(seen[-1].frames, video.frames)
        assert not np.array_equal(seen[0].frames, seen[1].frames)

    def test_progress_rises_to_its_end(self, pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        wanted = GenerateRequest("biscuit hops", seed=1)
        pipeline.generate(wanted, tmp_path / "made.mp4", SMALL, lambda done, total, _: told.append((done, total)))
        assert told == sorted(told) and told[0] == (0, 4) and told[-1] == (4, 4)

    @pytest.mark.parametrize("what", ["first", "second"])
    def test_cancelling_ends_it_within_a_step_and_leaves_no_file(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, what: str
    ) -> None:
        token, seen = CancelToken(), list[Seen]()
        config = replace(SMALL, steps=50)

        def look(one: Seen) -> None:
            seen.append(one)
            token.cancel()

        out, wanted = tmp_path / "stopped.mp4", GenerateRequest("biscuit hops", seed=1)
        first = made(pipeline, tmp_path, wanted)
        with pytest.raises(CancelledError, match="Stopped at your request"):
            if what == "first":
                pipeline.generate(wanted, out, config, cancellable(silent, token), look)
            else:
                how = EnlargeConfig(steps=50)
                pipeline.enlarge(first.out, out, None, how, cancellable(silent, token), look)
        assert len(seen) == 1 and not out.exists() and not list(tmp_path.glob(".stopped*"))

    def test_two_users_at_once_get_what_each_alone_gets(
        self, pipeline: PersonalVideoPipeline, tmp_path: Path, other: Path
    ) -> None:
        wanted = [GenerateRequest("biscuit hops", seed=1), GenerateRequest("it spins", other, seed=2)]
        alone = [Path(made(pipeline, tmp_path, one).out).read_bytes() for one in wanted]
        together: dict[int, bytes] = {}

        def make(number: int) -> None:
            folder = tmp_path / str(number)
            folder.mkdir()
            together[number] = Path(made(pipeline, folder, wanted[number]).out).read_bytes()

        threads = [threading.Thread(target=make, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [together[0], together[1]] == alone


class TestLarger:
    @pytest.fixture
    def first(self, pipeline: PersonalVideoPipeline, tmp_path: Path, same: Path) -> Path:
        out = tmp_path / "first.mp4"
        pipeline.generate(GenerateRequest("biscuit hops", same, seed=5), out, SMALL)
        return out

    def test_it_is_twice_as_large_and_its_settings_say_from_what(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, same: Path
    ) -> None:
        video = pipeline.enlarge(first, tmp_path / "second.mp4", same, LARGER)
        assert video.frames.shape == (4, 64, 64, 3) and video.mode == "b"
        told = read_settings(video.out)
        assert told == replace(read_settings(first), factor=2, second_steps=2, start=LARGER.start, repeated=4)
        again = pipeline.enlarge(first, tmp_path / "again.mp4", same, LARGER)
        assert Path(again.out).read_bytes() == Path(video.out).read_bytes()

    def test_it_begins_with_the_first_video(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, same: Path
    ) -> None:
        settings = read_settings(first)
        base = pipeline.enlarge(first, tmp_path / "a.mp4", same, LARGER).frames
        write_film(first, 255 - read_frames(first, settings), FRAME_RATE, settings)
        assert not np.array_equal(base, pipeline.enlarge(first, tmp_path / "b.mp4", same, LARGER).frames)

    def test_its_image_must_be_given_once_more_and_no_other(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, other: Path
    ) -> None:
        with pytest.raises(ParameterError, match=r"made with the image same\.png; give it once more"):
            pipeline.enlarge(first, tmp_path / "second.mp4")
        with pytest.raises(ParameterError, match=r"other\.png is not the image the video was made with"):
            pipeline.enlarge(first, tmp_path / "second.mp4", other)

    def test_concepts_that_changed_since_are_told(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, same: Path
    ) -> None:
        pipeline.database.add_pictures("biscuit", [cutout(BLUE)])
        with pytest.raises(ParameterError, match="concepts of this video have changed since"):
            pipeline.enlarge(first, tmp_path / "second.mp4", same, LARGER)

    def test_a_larger_video_is_not_enlarged_again(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, same: Path
    ) -> None:
        second = pipeline.enlarge(first, tmp_path / "second.mp4", same, LARGER).out
        with pytest.raises(ParameterError, match=r"second\.mp4 is a larger video already"):
            pipeline.enlarge(second, tmp_path / "third.mp4", same, LARGER)

    def test_networks_of_another_training_do_not_go_on(
        self, pipeline: PersonalVideoPipeline, first: Path, tmp_path: Path, same: Path
    ) -> None:
        with pytest.raises(ParameterError, match="made by networks of another training"):
            PersonalVideoPipeline(pipeline.database, unlearnt(1)).enlarge(first, tmp_path / "second.mp4", same, LARGER)
