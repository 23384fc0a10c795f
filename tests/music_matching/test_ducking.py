"""Ducking: all the way down under speech, all the way up away from it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.encoders.voice import VoiceSpan
from core.music_matching.config import LayConfig
from core.music_matching.ducking import ducking_gain

CONFIG = LayConfig(duck_db=-12, attack_s=0.4, release_s=1.0)
FULL = 10 ** (-12 / 20)
TIMES = np.arange(0, 30, 0.01)
spans = st.lists(st.tuples(st.floats(0, 28), st.floats(0.1, 4)).map(lambda s: VoiceSpan(s[0], s[0] + s[1])), max_size=6)


@given(spans)
def test_the_music_is_down_inside_speech_and_up_away_from_it(voices: list[VoiceSpan]) -> None:
    gain = ducking_gain(voices, TIMES, CONFIG)
    assert gain.min() >= FULL - 1e-6 and gain.max() <= 1
    inside = np.zeros(len(TIMES), bool)
    near = np.zeros(len(TIMES), bool)
    for voice in voices:
        inside |= (voice.start_s <= TIMES) & (voice.end_s >= TIMES)
        near |= (voice.start_s - 1.4 < TIMES) & (voice.end_s + 1.4 > TIMES)
    assert np.allclose(gain[inside], FULL, atol=1e-5)
    assert (gain[~near] == 1).all()


def test_it_goes_down_before_the_speech_and_comes_up_after_it() -> None:
    gain = 20 * np.log10(ducking_gain([VoiceSpan(10, 12)], np.array([9.6, 9.8, 10, 12, 12.5, 13]), CONFIG))
    assert np.allclose(gain, [0, -6, -12, -12, -6, 0], atol=1e-4)


def test_short_pauses_are_passed_over() -> None:
    gain = ducking_gain([VoiceSpan(5, 6), VoiceSpan(7, 8)], TIMES, CONFIG)
    assert np.allclose(gain[(TIMES >= 5) & (TIMES <= 8)], FULL, atol=1e-5)
