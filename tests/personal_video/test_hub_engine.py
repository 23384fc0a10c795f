"""The pipeline over the hub profile, end to end: tiny networks of the real classes, from a double of the Hub."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import ParameterError
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import VideoConfig
from core.personal_video.film import read_settings
from core.personal_video.hub_config import HubConfig
from core.personal_video.hub_engine import HubEngine
from core.personal_video.hub_networks import HubNetworks
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import Seen
from core.runtime import silent
from tests.personal_video.conftest import cutout, disc, saved
from tests.personal_video.test_hub_pipeline import GREEN, RED, STAGES, few, hub, networks  # noqa: F401  # fixtures

SMALL = VideoConfig(steps=2, frames=4, side_px=64)


@pytest.fixture
def pipeline(networks: HubNetworks, tmp_path: Path) -> PersonalVideoPipeline:  # noqa: F811
    engine = HubEngine(networks=networks, shape=HubConfig(stages=STAGES))
    made = PersonalVideoPipeline(ConceptDatabase(tmp_path / "library"), engine)
    made.database.add("biscuit", [cutout(RED)])
    return made


@pytest.mark.parametrize("mode", "abcde")
def test_each_mode_makes_both_videos_and_the_second_begins_with_the_first_one_s_file(
    pipeline: PersonalVideoPipeline, tmp_path: Path, mode: str
) -> None:
    image = saved(tmp_path, "ball.png", disc(GREEN)) if mode in "bce" else None
    wanted = GenerateRequest(
        "a biscuit runs" if mode in "abc" else "a dog runs", image, "biscuit" if mode == "b" else "", 3
    )
    seen: list[Seen] = []
    assert pipeline.read(wanted).mode.letter == mode
    first = pipeline.generate(wanted, tmp_path / "first.mp4", SMALL, silent, seen.append)
    second = pipeline.enlarge(first.out, tmp_path / "second.mp4", image)
    assert (first.mode, second.mode, len(seen)) == (mode, mode, 1)
    assert (first.frames.shape, second.frames.shape) == ((4, 64, 64, 3), (4, 128, 128, 3))
    told = read_settings(second.out)
    assert (told.profile, told.steps, told.factor, told.seed) == ("hub", 2, 2, 3) and "animatediff@" in told.weights


def test_an_image_alone_is_enough(pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
    image = saved(tmp_path, "ball.png", disc(GREEN))
    assert pipeline.generate(GenerateRequest("", image, seed=1), tmp_path / "first.mp4", SMALL).mode == "e"


def test_what_suits_the_profile_stands_in_for_nothing_said(networks: HubNetworks) -> None:  # noqa: F811
    engine = HubEngine(networks=networks)
    assert engine.settled(VideoConfig()) == VideoConfig(25, 7.5, 1.0, 16, 512)
    assert HubEngine(few_steps=True).settled(VideoConfig()).steps == 6
    with pytest.raises(ParameterError, match="steps is 150"):
        engine.settled(VideoConfig(steps=150))
    with pytest.raises(ParameterError, match="choose multiples of 64"):
        engine.settled(VideoConfig(side_px=72))
    with pytest.raises(ParameterError, match="the hub profile enlarges by 2"):
        engine.settled_larger(EnlargeConfig(factor=3), engine.settled(VideoConfig()))
    assert engine.settled_larger(None, engine.settled(VideoConfig())).steps == 15


def test_guidance_on_the_subject_counts(pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
    wanted = GenerateRequest("a biscuit runs", seed=1)
    usual, less = (
        pipeline.generate(wanted, tmp_path / "first.mp4", replace(SMALL, subject_guidance=share)).frames
        for share in (1.0, 0.2)
    )
    assert not np.array_equal(usual, less)


def test_progress_of_the_second_video_reaches_its_end(pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
    first = pipeline.generate(GenerateRequest("a dog runs", seed=1), tmp_path / "first.mp4", SMALL)
    told: list[tuple[int, int]] = []
    pipeline.enlarge(first.out, tmp_path / "second.mp4", None, None, lambda done, total, _: told.append((done, total)))
    assert told == sorted(told) and told[-1][0] == told[-1][1] and len({total for _, total in told}) == 1


def test_a_concept_that_lost_its_pictures_is_named(pipeline: PersonalVideoPipeline, tmp_path: Path) -> None:
    pipeline.database._cutouts.remove(pipeline.database.concept("biscuit").cutout_ids)
    with pytest.raises(ParameterError, match="The concept biscuit has lost its pictures"):
        pipeline.generate(GenerateRequest("a biscuit runs"), tmp_path / "first.mp4", SMALL)


def test_a_video_of_the_other_profile_is_enlarged_there(
    pipeline: PersonalVideoPipeline,
    tmp_path: Path,
    networks: HubNetworks,  # noqa: F811
) -> None:
    from core.personal_video.film import write_film
    from core.personal_video.pipeline import FRAME_RATE
    from core.personal_video.results import VideoSettings

    told = VideoSettings("it hops", "d", 1, "embedded", "w", frames=4, side_px=64)
    write_film(tmp_path / "first.mp4", np.zeros((4, 64, 64, 3), np.uint8), FRAME_RATE, told)
    with pytest.raises(ParameterError, match="made on the embedded profile"):
        pipeline.enlarge(tmp_path / "first.mp4", tmp_path / "second.mp4")
