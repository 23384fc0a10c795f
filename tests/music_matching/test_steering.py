"""What is asked for in words moves the right tracks."""

from dataclasses import replace

import numpy as np
import pytest

from core.encoders.audio import musicnn_tags
from core.encoders.text import TextEncoder, text_encoder
from core.music_matching.features import TrackFeatures
from core.music_matching.rhythm import Rhythm
from core.music_matching.steering import steer
from tests.music_matching.test_features import made_track

NAMES = musicnn_tags("msd"), musicnn_tags("mtt")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return text_encoder("minilm")


def library() -> list[TrackFeatures]:
    """A slow quiet piano piece, a fast loud rock song, and something between; only the song is sung."""
    made = []
    for name, tempo, loud, voice in (
        ("piano", 60.0, -40.0, 0.0),
        ("rock", 170.0, -8.0, 0.4),
        ("jazz", 110.0, -22.0, 0.0),
    ):
        track = made_track()
        onsets = (track.rhythm.onsets * tempo / 200).astype(np.float32)
        rhythm = Rhythm(tempo, track.rhythm.beats_s, track.rhythm.downbeats_s, onsets,
                        np.full_like(track.rhythm.energy_db, loud))  # fmt: skip
        tags = np.full((4, 50), 0.05, np.float32)
        traits = np.full(50, 0.05, np.float32)
        if name in NAMES[0]:
            tags[:, NAMES[0].index(name)] = 0.6
        if name in NAMES[1]:
            traits[NAMES[1].index(name)] = 0.6
        made.append(
            replace(track, rhythm=rhythm, tags=tags, traits=traits, patches=track.patches[:4], voice_share=voice)
        )
    return made


@pytest.mark.parametrize(
    ("text", "best", "worst"),
    [
        ("calmer", 0, 1),
        ("energetic", 1, 0),
        ("not so fast", 0, 1),
        ("louder and faster", 1, 0),
        ("no vocals", 0, 1),
        ("with vocals", 1, 0),
        ("instrumental", 0, 1),
        ("piano", 0, None),
        ("no piano", None, 0),
        ("calmer, no vocals", 0, 1),
    ],
)
def test_a_text_moves_the_right_track(text: str, best: int | None, worst: int | None, encoder: TextEncoder) -> None:
    told = steer(text, library(), NAMES, encoder)
    assert not told.unknown and np.abs(told.scores).max() <= 1
    if best is not None:
        assert told.scores[best] == told.scores.max() and told.phrases[best]
    if worst is not None:
        assert told.scores[worst] == told.scores.min() and not told.phrases[worst]


def test_what_is_not_understood_is_named_and_moves_nothing(encoder: TextEncoder) -> None:
    told = steer("xyzzy quux", library(), NAMES, encoder)
    assert told.unknown == ("xyzzy quux",) and not told.scores.any()


def test_one_track_alone_is_moved_by_nothing_that_compares(encoder: TextEncoder) -> None:
    assert steer("calmer", library()[:1], NAMES, encoder).scores == pytest.approx([0])
