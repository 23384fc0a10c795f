"""Batches of composed clips: what is held out stays out, and every number makes the same batch."""

import cv2
import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.personal_video.composing import Material, kept_out
from core.personal_video.data import PARTS, Batch, Course, CourseConfig
from core.personal_video.motions import recognised
from core.personal_video.planning import Plan
from tests.personal_video.made import material
from tests.personal_video.test_looks import through

SMALL = CourseConfig(side_px=32, frames=4, clips=2, scripts=60, workers=0)


def course(**changed: int) -> Course:
    return Course(material(), CourseConfig(**{**vars(SMALL), **changed}))


def same(one: Batch, other: Batch) -> bool:
    arrays = zip(one.samples, other.samples, strict=True)
    return (one.mode, one.scripts, one.told, one.subjects.tolist()) == (
        other.mode, other.scripts, other.told, other.subjects.tolist()
    ) and all(np.array_equal(a.frames, b.frames) and np.array_equal(a.looks, b.looks) for a, b in arrays)  # fmt: skip


def test_a_batch_is_the_same_whoever_makes_it() -> None:
    """Two processes of a training, each with two that compose: the second takes every second batch, in order."""
    helped, alone = course(workers=2).stream(1, 2), course().stream(1)
    for _ in range(3):
        assert same(next(helped), next(alone))
        next(alone)


def test_batches_differ_by_number_and_by_seed() -> None:
    assert not same(course().batch(3), course().batch(4)) and not same(course().batch(3), course(seed=1).batch(3))


def test_no_training_clip_has_a_part_that_is_held_out() -> None:
    made = course()
    for number in range(25):
        batch = made.batch(number)
        for script, subjects in zip(batch.scripts, batch.subjects, strict=True):
            told = made.scripts[script]
            for role, subject in zip(told.roles, subjects, strict=True):
                assert not kept_out(made.material.subjects[subject], role.motion, told.background)


@pytest.mark.parametrize("part", PARTS)
def test_held_out_clips_have_just_that_part_held_out_and_are_always_the_same(part: str) -> None:
    one, other = (course().held_out(part, 3) for _ in range(2))  # type: ignore[arg-type]
    assert one.mode == "a" and len(one.told) == 3 and same(one, other)
    subjects = {bool(kept_out(course().material.subjects[n], course().scripts[0].roles[0].motion,
                              course().scripts[0].background) & {"subject"}) for n in one.subjects[:, 0]}  # fmt: skip
    assert subjects == {part == "subject"}


def test_all_modes_and_pairs_occur_and_named_captions_only_where_no_reference_replaces_the_name() -> None:
    batches = [course().batch(number) for number in range(60)]
    assert {batch.mode for batch in batches} == set("abcde")
    assert {batch.subjects.shape[1] for batch in batches} == {1, 2}
    for batch in batches:
        assert bool(batch.told) == (batch.mode in "de")
        assert batch.subjects.shape[1] == 1 or batch.mode in "ab"
        if batch.mode == "d":
            names = [course().material.subjects[n].phrase for n in batch.subjects[:, 0]]
            assert [text[a:b].lower() for text, ((a, b),) in batch.told] == names


def test_a_look_seen_through_its_plan_is_the_subject_in_the_clip() -> None:
    made = course(side_px=64)
    for number in range(6):
        batch = made.batch(number)
        for sample in batch.samples:
            last = sample.looks[-1, 0]  # the last subject is in front of all others
            plan = Plan(*(torch.from_numpy(part[-1:])[None] for part in (sample.paths, sample.poses)))
            for frame, to_look in zip(sample.frames, plan.to_squares()[0, 0, 0].numpy(), strict=True):
                seen = through(last, to_look.astype(float), 64)
                inside = cv2.erode((seen[..., 3] > 250).astype(np.uint8), np.ones((3, 3))) > 0
                assert np.abs(seen[inside][:, :3] - frame[inside]).mean() < 20


def test_paths_without_pictures_are_those_of_their_scripts() -> None:
    made, pairs = course(frames=16), 0
    for number in range(20):
        scripts, paths = made.paths(number, 4)
        again, same = made.paths(number, 4)
        assert scripts == again and np.array_equal(paths, same)
        pairs += paths.shape[1] == 2
        for script, laid in zip(scripts, paths, strict=True):
            for role, path in zip(made.scripts[script].roles, laid, strict=True):
                assert recognised(path.astype(float)) == role.motion
    assert 0 < pairs < 20


def test_one_subject_too_many_is_refused() -> None:
    alone = Course(Material(material().subjects[:1]), SMALL)
    with pytest.raises(ParameterError, match="give more"):
        for number in range(40):
            alone.batch(number)


def test_a_side_that_is_no_multiple_of_eight_is_refused() -> None:
    with pytest.raises(ParameterError, match="multiple of 8"):
        CourseConfig(side_px=60)
