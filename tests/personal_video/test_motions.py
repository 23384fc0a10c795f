"""Motions: the words promise what the path does, and the path can be read back."""

import re

import numpy as np
import pytest

from core.errors import ParameterError
from core.personal_video.motions import ACTIONS, SPEEDS, Motion, drawn, motions, path_of, recognised, sentence

FRAMES = (8, 16)
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("motion", motions(), ids=lambda m: f"{m.action} {m.direction} {m.speed}".strip())
def test_a_motion_is_read_back_from_its_path_in_spite_of_noise_place_and_size(motion: Motion, frames: int) -> None:
    random = np.random.default_rng(0)
    for vigour in (0.88, 1.0, 1.12):
        path = path_of(motion, frames, vigour)
        path[:, :2] += random.uniform(0.3, 0.7, 2) + random.normal(0, 0.006, (frames, 2))
        path[:, 2] *= random.uniform(0.2, 0.6)
        path[:, 3] += random.normal(0, 2, frames)
        assert recognised(path) == motion
        assert recognised(path[:, :4]) == motion


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("action", ["slide", "roll", "hop"])
def test_the_direction_is_that_of_the_displacement(action: str, frames: int) -> None:
    for direction in filter(None, ACTIONS[action].directions):
        for speed in SPEEDS:
            path = path_of(Motion(action, direction, speed), frames)
            moved = path[-1, :2] - path[0, :2]
            if action == "hop":
                moved[1] = 0
            names = {"left", "right"} & set(direction.split())
            if names:
                assert np.sign(moved[0]) == WAYS[names.pop()][0]
            else:
                np.testing.assert_allclose(moved / np.linalg.norm(moved), WAYS[direction], atol=1e-9)
            if direction.startswith(("upper", "lower")):
                assert np.sign(moved[1]) == (-1 if direction.startswith("upper") else 1)


@pytest.mark.parametrize("frames", FRAMES)
def test_falling_goes_down_ever_faster_and_rising_goes_up(frames: int) -> None:
    steps = np.diff(path_of(Motion("fall"), frames)[:, 1])
    assert (steps > 0).all() and (np.diff(steps) > 0).all()
    assert (np.diff(path_of(Motion("rise"), frames)[:, 1]) < 0).all()


@pytest.mark.parametrize("frames", FRAMES)
def test_turning_and_circling_go_round_as_they_say(frames: int) -> None:
    for direction, sign in (("clockwise", 1), ("anticlockwise", -1)):
        turned = np.diff(path_of(Motion("spin", direction), frames)[:, 3])
        x, y = path_of(Motion("circle", direction), frames)[:, :2].T
        swept = np.diff(np.unwrap(np.arctan2(y, x)))  # clockwise on a screen whose y goes down
        assert (np.sign(turned) == sign).all() and (np.sign(swept) == sign).all()


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize(
    "action", [name for name, action in ACTIONS.items() if len(action.speeds) > 1 and name != "bounce"]
)
def test_the_quicker_of_two_goes_a_longer_way(action: str, frames: int) -> None:
    """In place, size and angle together; a ball that bounces comes to rest sooner instead."""
    direction = ACTIONS[action].directions[-1]
    lengths = []
    for speed in SPEEDS:
        path = path_of(Motion(action, direction, speed), frames * 4)[:, :4] / (1, 1, 1, 90)
        lengths.append(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    assert lengths[0] * 1.15 < lengths[1] and lengths[1] * 1.15 < lengths[2]


def test_motions_that_come_round_close_and_those_that_do_not_end_elsewhere() -> None:
    for action in ("spin", "hop", "pulse", "sway", "circle"):
        motion = Motion(action, ACTIONS[action].directions[0], "quickly")
        sixteen, thirty_two = path_of(motion, 16), path_of(motion, 32)
        np.testing.assert_allclose(sixteen, thirty_two[::2], atol=1e-12)
    ends = path_of(Motion("slide", "left"), 16), path_of(Motion("slide", "left"), 8)
    np.testing.assert_allclose(ends[0][[0, -1]], ends[1][[0, -1]], atol=1e-12)


def test_bouncing_touches_the_ground_flat_and_comes_up_to_less_each_time() -> None:
    path = path_of(Motion("bounce", "", "quickly"), 64)
    tops = [
        y for before, y, after in zip(path[:-2, 1], path[1:-1, 1], path[2:, 1], strict=True) if y < min(before, after)
    ]
    assert len(tops) >= 2 and path[0, 1] < tops[0] and (np.diff(tops) > 0).all()
    landings = [int(np.argmax(path_of(Motion("bounce", "", speed), 64)[:, 1] > -0.02)) for speed in SPEEDS]
    assert landings[0] > 1.3 * landings[1] and landings[1] > 1.3 * landings[2]
    assert path[:, 1].max() <= 1e-12 and path[np.argmax(path[:, 1]), 4] > 0.15


def test_a_sentence_has_the_direction_the_speed_and_one_of_several_phrasings() -> None:
    for motion in motions():
        said = {sentence(motion, np.random.default_rng(seed)) for seed in range(40)}
        assert len(said) >= len(ACTIONS[motion.action].phrases)
        for words in said:
            for asked, all_words in ((motion.speed, SPEEDS), (motion.direction, ("clockwise", "anticlockwise"))):
                for word in filter(None, all_words):
                    assert (word in words.split()) == (word == asked)
            for part in motion.direction.split():
                assert part in words.replace("wards", "")
    assert sentence(Motion("slide", "left"), np.random.default_rng(1)) == sentence(
        Motion("slide", "left"), np.random.default_rng(1)
    )


def test_many_things_take_a_verb_without_s() -> None:
    for motion in motions():
        for seed in range(10):
            one, many = (sentence(motion, np.random.default_rng(seed), plural) for plural in (False, True))
            assert one != many and not re.search(r"\b(it|its)\b", many)


def test_actions_are_drawn_equally_often_however_many_directions_they_have() -> None:
    random = np.random.default_rng(0)
    drawn_actions = [drawn(random).action for _ in range(1400)]
    counts = [drawn_actions.count(action) for action in ACTIONS]
    assert min(counts) > 60 and max(counts) < 150
    assert {drawn(random, ("hop", "spin")).action for _ in range(50)} == {"hop", "spin"}


@pytest.mark.parametrize(
    "wrong", [("dance", "", ""), ("slide", "", ""), ("spin", "left", ""), ("stay", "", "slowly"), ("fall", "", "fast")]
)
def test_a_motion_that_does_not_exist_is_refused_with_those_that_do(wrong: tuple[str, str, str]) -> None:
    with pytest.raises(ParameterError, match="choose one of"):
        Motion(*wrong)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ParameterError, match="at least 4"):
        path_of(Motion("hop"), 3)
    with pytest.raises(ParameterError, match="at least 4"):
        recognised(np.ones((3, 5)))
