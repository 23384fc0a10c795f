"""The comparison of all methods on subjects that no training saw."""

import numpy as np
import pytest

from core.errors import ParameterError
from core.personal_video.composing import kept_out
from core.personal_video.evaluation import EvaluateConfig, Evaluation, held_out_subjects, in_one_piece, questions
from core.personal_video.flow import SampleConfig
from core.personal_video.subjects import cut_out
from tests.personal_video.made import PlainEncoder, WordEncoder, figure, material, small_network

CONFIG = EvaluateConfig(subjects=2, videos=1, side_px=32, frames=4)


def test_every_method_answers_the_same_questions_and_the_composed_clips_are_right() -> None:
    encoders = WordEncoder(), PlainEncoder(), PlainEncoder()
    network = small_network().requires_grad_(False)
    measured = Evaluation(network, encoders, CONFIG, SampleConfig(steps=2)).measuring(material())
    rows = {name: measured(name) for name in CONFIG.methods}
    assert {"composed clips", "mode a", "mode b", "mode d, no concept", "untrained", "compositor",
            "second network, 2×", "first unchanged, 2×", "bicubic, 2×"} <= set(rows)  # fmt: skip
    assert all(figures.videos == 2 for figures in rows.values())
    assert rows["composed clips"].one_subject == rows["composed clips"].identity == 1
    assert rows["compositor"].identity == 1 and rows["compositor"].colour == 1
    assert rows["untrained"].colour_error > 3 * rows["composed clips"].colour_error
    assert rows["untrained"].likeness < rows["compositor"].likeness


def test_subjects_are_held_out_whole_and_each_once() -> None:
    subjects = held_out_subjects(material(), 3)
    asked = questions(subjects, CONFIG)
    assert len({subject.source for subject in subjects}) == 3
    for question in asked:
        assert "subject" in kept_out(question.subject, question.asked.motion, question.script.background)
    with pytest.raises(ParameterError, match="held out and whole"):
        held_out_subjects(material(), 40)


def test_a_subject_of_two_pieces_is_not_asked_for() -> None:
    picture = np.zeros((80, 80, 4), np.uint8)
    picture[10:30, 10:30] = picture[50:70, 50:70] = 255
    assert not in_one_piece(cut_out("two", "two", picture[None]))
    assert in_one_piece(figure(3))


def test_the_questions_are_the_same_whenever_they_are_asked() -> None:
    one, other = (questions(held_out_subjects(material(), 2), CONFIG) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert a.prompt == b.prompt and a.asked == b.asked and np.array_equal(a.pictures[0], b.pictures[0])


def test_a_subject_is_asked_for_on_a_colour_that_it_stands_out_of() -> None:
    picture = np.zeros((80, 80, 4), np.uint8)
    picture[20:60, 20:60] = (250, 250, 250, 255)
    white = cut_out("sheet", "sheet", picture[None])
    asked = questions([white], EvaluateConfig(subjects=2, videos=8))
    assert not {"white", "light grey"} & {question.asked.colour for question in asked}
