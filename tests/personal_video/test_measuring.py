"""What is measured of videos, against clips whose subject's path is known; and the figures made of it."""

import cv2
import numpy as np
import pytest

from core.errors import ParameterError
from core.personal_video.assessment import Asked, action_figures, as_table, figures_of, gallery_of
from core.personal_video.backgrounds import COLOURS, Background
from core.personal_video.composing import ComposeConfig, Scene, compose_clip
from core.personal_video.measuring import (
    background_colour,
    cut_subjects,
    flicker,
    measured_path,
    sharpness,
    subject_counts,
    subject_masks,
)
from core.personal_video.motions import Motion
from core.personal_video.subjects import Pixels, Subject, cut_out
from tests.personal_video.made import PlainEncoder, figure


def flag() -> Subject:
    """A thing that looks another way at every angle."""
    picture = np.zeros((80, 100, 4), np.uint8)
    picture[:, :12] = (90, 50, 20, 255)
    picture[:50, 12:] = (210, 30, 40, 255)
    picture[:20, 70:] = (20, 20, 200, 255)
    return cut_out("flag", "flag", picture[None])


PLAIN = ComposeConfig(side_px=64, references=0, shadow_share=0)


def clip(motion: Motion, colour: str = "white", number: int = 3, seed: int = 0) -> Pixels:
    return compose_clip(Scene(figure(number), motion, Background("plain", (colour,))), PLAIN, seed).frames


@pytest.mark.parametrize(
    "motion",
    [
        Motion("slide", "left"),
        Motion("spin", "clockwise"),
        Motion("grow"),
        Motion("spin", "anticlockwise", "quickly"),
        Motion("fall", "", "slowly"),
    ],
)
def test_a_path_is_measured_as_it_was_drawn(motion: Motion) -> None:
    made = compose_clip(Scene(flag(), motion, Background("plain", ("white",))), PLAIN, 1)
    path = measured_path(made.frames)
    moved = made.path[:, :2] - made.path[0, :2]
    assert np.abs(path[:, :2] - path[0, :2] - moved).max() < 0.02
    assert np.abs(np.log2(path[:, 2] / path[0, 2]) - np.log2(made.path[:, 2] / made.path[0, 2])).max() < 0.12
    assert np.abs(path[:, 3] - (made.path[:, 3] - made.path[0, 3])).max() < 16


def test_the_asked_action_is_read_from_clips_that_show_it_and_not_from_others() -> None:
    asked = Motion("slide", "left", "quickly")
    assert action_figures(clip(asked), asked) == {"action": 1, "direction": 1, "speed": 1}
    other = action_figures(clip(Motion("slide", "right", "quickly")), asked)
    assert (other["action"], other["direction"], other["speed"]) == (1, 0, 1)
    wrong = action_figures(clip(Motion("grow")), asked)
    assert wrong["action"] == 0 and np.isnan(wrong["direction"]) and np.isnan(wrong["speed"])


def test_subjects_are_counted_and_crumbs_are_not() -> None:
    frames = np.full((3, 64, 64, 3), 250, np.uint8)
    cv2.circle(frames[0], (20, 20), 9, (200, 30, 30), -1)
    cv2.circle(frames[0], (48, 48), 9, (30, 30, 200), -1)
    cv2.circle(frames[1], (20, 20), 9, (200, 30, 30), -1)
    frames[1, 50:52, 50:52] = 0
    assert subject_counts(frames).tolist() == [2, 1, 0]
    assert subject_masks(frames).sum((1, 2))[2] == 0


def test_a_blurred_clip_is_less_sharp_and_a_trembling_background_flickers() -> None:
    frames = clip(Motion("stay"), "turquoise")
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames])
    assert sharpness(blurred) < 0.6 * sharpness(frames)
    assert flicker(frames) == 0
    trembling = frames.astype(int) + np.arange(len(frames))[:, None, None, None] % 2 * 3
    assert flicker(np.clip(trembling, 0, 255).astype(np.uint8)) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("colour", ["red", "dark blue", "lilac"])
def test_the_colour_behind_is_named_and_its_error_is_that_of_the_shade(colour: str) -> None:
    seen = background_colour(clip(Motion("stay"), colour), colour)
    assert seen.nearest == colour and seen.error < 8
    other = next(name for name in COLOURS if name != colour)
    assert background_colour(clip(Motion("stay"), colour), other).error > seen.error
    with pytest.raises(ParameterError, match="no colour"):
        background_colour(clip(Motion("stay")), "mauve")


def test_a_video_of_nothing_cannot_be_measured() -> None:
    with pytest.raises(ParameterError, match="Nothing in this video"):
        measured_path(np.full((5, 32, 32, 3), 90, np.uint8))


def test_cut_subjects_stand_in_the_middle_of_white_squares() -> None:
    squares = cut_subjects(clip(Motion("slide", "left"), "dark green"), 40)
    assert squares.shape == (16, 40, 40, 3) and (squares[:, 0, 0] == 255).all()
    assert np.abs(squares.astype(int) - squares[0]).mean() < 12  # the same thing, wherever it was


def test_figures_tell_own_subjects_from_others() -> None:
    encoder, numbers = PlainEncoder(), (3, 5, 8, 11)
    squares = np.concatenate([cut_subjects(clip(Motion("stay"), "white", n), 40)[:1] for n in numbers])
    gallery = gallery_of(squares, encoder)
    motion = Motion("slide", "left")
    videos = [clip(motion, "white", n, seed=n) for n in numbers]
    asked = [Asked(place, motion, "white") for place in range(4)]
    own = figures_of(videos, asked, gallery, encoder)
    assert own.identity == own.action == own.one_subject == own.colour == 1 and own.videos == 4
    swapped = figures_of(videos[::-1], asked, gallery, encoder)
    assert swapped.identity == 0 and swapped.likeness < own.likeness
    table = as_table({"own": own, "swapped": swapped}).splitlines()
    assert len(table) == 4 and table[2].startswith("| own | 1.00 |")
    with pytest.raises(ParameterError, match="questions"):
        figures_of(videos, asked[:2], gallery, encoder)


def test_a_video_without_a_subject_counts_as_wrong() -> None:
    encoder = PlainEncoder()
    gallery = gallery_of(
        np.zeros((2, 40, 40, 3), np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None, None] * 99, encoder
    )
    empty = figures_of([np.full((5, 32, 32, 3), 250, np.uint8)], [Asked(0, Motion("grow"), "white")], gallery, encoder)
    assert empty.identity == empty.action == empty.one_subject == 0 and empty.colour == 1
