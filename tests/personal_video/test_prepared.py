"""What frozen encoders say: MiniLM's tokens, and what is kept of captions and subjects."""

from pathlib import Path

import numpy as np
import torch

from core.encoders.text import MeanPooledEncoder, mean_pooled
from core.personal_video.data import Course, CourseConfig
from core.personal_video.prepared import VARIATIONS, PromptEncoder, on_white, script_features, subject_vectors
from tests.personal_video.made import PlainEncoder, WordEncoder, figure, material

CLIPS = CourseConfig(side_px=32, frames=4, scripts=12, workers=0)


def test_the_mean_of_minilms_tokens_is_its_sentence_and_tokens_know_their_characters() -> None:
    encoder = MeanPooledEncoder("minilm")
    sentences = ["Biscuit hops to the left on a blue background.", "It spins."]
    for sentence, outputs in zip(sentences, encoder.tokens(sentences), strict=True):
        hidden = torch.from_numpy(outputs.hidden)[None]
        pooled = mean_pooled(hidden, torch.ones(hidden.shape[:2])).numpy()
        np.testing.assert_allclose(pooled, encoder.encode([sentence]), atol=2e-6)
        words = "".join(sentence[a:b] for a, b in outputs.places)
        assert words == sentence.replace(" ", "")
        assert outputs.places[0].tolist() == outputs.places[-1].tolist() == [0, 0]


def test_a_caption_that_was_encoded_of_late_is_not_encoded_again() -> None:
    encoder = WordEncoder()
    prompts = PromptEncoder(encoder)
    one, two = prompts.features([("rex hops", [(0, 3)]), ("rex hops", [])])
    again, _ = prompts.features([("rex hops", [(0, 3)]), ("it spins", [])])
    assert encoder.asked == ["rex hops", "it spins"]
    assert one.slots.tolist() == again.slots.tolist() == [1, 0] and two.slots.tolist() == [0, 0]


def test_scripts_and_subjects_are_computed_once_and_read_as_they_were(tmp_path: Path) -> None:
    course, words, pictures = Course(material(), CLIPS), WordEncoder(), PlainEncoder()
    first = script_features(course.scripts, words, tmp_path)
    vectors = subject_vectors(course.material.subjects, pictures, tmp_path)
    asked = len(words.asked)
    again = script_features(course.scripts, words, tmp_path)
    assert len(words.asked) == asked
    assert np.array_equal(subject_vectors(course.material.subjects, pictures, tmp_path), vectors)
    assert pictures.seen == 60 * VARIATIONS
    for number, script in enumerate(course.scripts):
        (fresh,) = PromptEncoder(words).features([script.told()])
        for kept in (first.of(number), again.of(number)):
            assert np.array_equal(kept.slots, fresh.slots)
            np.testing.assert_allclose(kept.hidden, fresh.hidden, atol=2e-3)
    assert vectors.shape == (60, VARIATIONS, 1280)


def test_a_subject_on_white_is_white_where_it_is_not() -> None:
    shown = on_white(figure(3).pictures[0])
    assert (shown[0, 0] == 255).all() and (shown[40, 40] < 255).any()
