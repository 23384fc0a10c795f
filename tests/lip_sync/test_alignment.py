"""Phones of recordings: against voices whose phones are known."""

from itertools import pairwise

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.alignment import align, arpabet_of, by_pocketsphinx, by_warping
from core.lip_sync.articulation import SILENCE, Phone, articulation
from core.lip_sync.voices import Spoken, VoiceConfig, speak
from tests.lip_sync.conftest import ASSETS

Wave = NDArray[np.float32]
TEXT = "My mother baked a big apple pie for the happy family, and Bob put five plums on top of it. Nobody saw him."
FRENCH = "Bonjour les enfants, voici un beau pingouin qui mange du poisson dans la mer."


def recorded(spoken: Spoken, noise: float = 1e-3) -> Wave:
    """At 16 kHz, with a hiss."""
    wave = librosa.resample(spoken.wave, orig_sr=spoken.sample_rate, target_sr=16000)
    return (wave + noise * np.random.default_rng(1).standard_normal(len(wave))).astype(np.float32)


def errors_s(found: tuple[Phone, ...], true: tuple[Phone, ...]) -> NDArray[np.float64]:
    """How far the beginnings of the same sounds lie apart."""
    ours, theirs = ([phone for phone in phones if phone.symbol != SILENCE] for phones in (found, true))
    assert len(ours) == len(theirs)
    return np.array([abs(one.start_s - other.start_s) for one, other in zip(ours, theirs, strict=True)])


def covers(phones: tuple[Phone, ...], wave: Wave) -> bool:
    ends = phones[0].start_s == 0 and phones[-1].stop_s == pytest.approx(len(wave) / 16000)
    return ends and all(a.stop_s == b.start_s and a.start_s < a.stop_s for a, b in pairwise(phones))


class TestWarping:
    @pytest.mark.parametrize(
        ("text", "voice"),
        [
            (TEXT, VoiceConfig("en-us", "f2", 120, 70)),
            (TEXT, VoiceConfig("en-us", "klatt", 220)),
            (FRENCH, VoiceConfig("fr", "m3", 220, 30)),
            (FRENCH, VoiceConfig("fr", "Andrea", 110)),
        ],
    )
    def test_another_voice_at_another_rate_is_aligned_within_40_ms(self, text: str, voice: VoiceConfig) -> None:
        spoken = speak(text, voice)
        wave = recorded(spoken)
        found = by_warping(wave, text, voice.language)
        assert covers(found, wave)
        assert np.median(errors_s(found, spoken.phones)) < 0.02
        assert np.quantile(errors_s(found, spoken.phones), 0.9) < 0.04

    def test_stretched_speech_with_silence_around_it_is_aligned(self) -> None:
        """The first part slower and deeper than the second, half a second before and a whole one behind."""
        spoken = speak(FRENCH, VoiceConfig("fr", "f3"))
        wave, half = recorded(spoken), len(spoken.wave) * 8000 // spoken.sample_rate
        slow, fast = (
            librosa.resample(part, orig_sr=16000, target_sr=rate)
            for part, rate in ((wave[:half], 20000), (wave[half:], 13000))
        )
        stretched = np.concatenate([np.zeros(8000), slow, fast, np.zeros(16000)]).astype(np.float32)
        found = by_warping(stretched, FRENCH, "fr")
        edges = np.array([0, half, len(wave)]) / 16000
        true = tuple(
            Phone(phone.symbol, *np.interp([phone.start_s, phone.stop_s], edges, 0.5 + edges_of(slow, fast)))
            for phone in spoken.phones
        )
        assert covers(found, stretched)
        assert np.median(errors_s(found, true)) < 0.04

    def test_a_pause_that_the_text_does_not_tell_is_silence(self) -> None:
        first, second = (
            recorded(speak(text, VoiceConfig("fr", "m3"))) for text in ("Bonjour les enfants", "voici un pingouin")
        )
        wave = np.concatenate([first, 1e-3 * np.ones(11200, np.float32), second])
        found = by_warping(wave, "Bonjour les enfants voici un pingouin", "fr")
        middle = (len(first) + 5600) / 16000
        (pause,) = (phone for phone in found if phone.start_s <= middle < phone.stop_s)
        assert pause.symbol == SILENCE and covers(found, wave)
        assert pause.start_s == pytest.approx(len(first) / 16000, abs=0.1)
        assert pause.stop_s == pytest.approx(len(first) / 16000 + 0.7, abs=0.1)


def edges_of(slow: Wave, fast: Wave) -> NDArray[np.float64]:
    return np.array([0, len(slow), len(slow) + len(fast)]) / 16000


class TestPocketsphinx:
    @pytest.mark.parametrize("voice", [VoiceConfig("en-us", "f2", 120, 70), VoiceConfig("en-us", "m3", 200)])
    def test_it_finds_the_phones_of_a_voice(self, voice: VoiceConfig) -> None:
        """Its dictionary divides some words otherwise than espeak-ng, so that only lips that shut are compared."""
        spoken = speak(TEXT, voice)
        found = by_pocketsphinx(recorded(spoken), TEXT)
        ours, theirs = ([p for p in phones if p.symbol.lower() in ("p", "b", "m")] for phones in (found, spoken.phones))
        assert len(ours) == len(theirs) > 15
        errors = [abs(one.start_s - other.start_s) for one, other in zip(ours, theirs, strict=True)]
        assert np.median(errors) < 0.04 and np.quantile(errors, 0.8) < 0.08

    def test_words_that_its_dictionary_lacks_are_pronounced(self) -> None:
        text = "The showreelish blimpkin has 7 beeps."
        found = by_pocketsphinx(recorded(speak(text, VoiceConfig("en-us", "m3", 130))), text)
        assert "B L IH M P K IH N" in " ".join(phone.symbol for phone in found)
        assert "S EH V AH N" in " ".join(phone.symbol for phone in found)

    def test_what_cannot_be_is_not_aligned(self) -> None:
        """A second of sound cannot hold a text of ten; warping answers instead."""
        wave = recorded(speak("Yes.", VoiceConfig("en-us")))
        assert by_pocketsphinx(wave, TEXT) == ()
        assert covers(align(wave, TEXT, "en"), wave)

    def test_english_phones_have_their_counterparts(self) -> None:
        spoken = [Phone(symbol, 0, 1) for symbol in ("tʃ", "ɜː", "aɪ", "əl", "_", "ɑːɹ")]
        assert arpabet_of(spoken) == ["CH", "ER", "AY", "AH", "L", "AA", "R"]


class TestAlign:
    def test_both_ways_agree_on_a_recording(self) -> None:
        """Of 6.4 seconds of English; what counts is the course of the lips."""
        wave, _ = soundfile.read(ASSETS / "sample_en.wav", dtype="float32")
        text = "The quick brown fox jumps over the lazy dog. Machine learning makes video tools more fun."
        found, warped = align(wave, text, "en-us"), by_warping(wave, text, "en-us")
        assert covers(found, wave) and covers(warped, wave)
        assert found[1].symbol.isupper()
        one, other = (articulation(phones, 160)[:, 0] for phones in (found, warped))
        assert np.corrcoef(one, other)[0, 1] > 0.6
        assert np.corrcoef(one, np.roll(other, 40))[0, 1] < 0.4

    def test_what_cannot_be_aligned_is_refused(self) -> None:
        sound = np.zeros(16000, np.float32)
        for wave in (np.zeros(0, np.float32), np.zeros((2, 9), np.float32), np.zeros(9)):
            with pytest.raises(ParameterError, match=r"give float32 of shape \(N,\)"):
                align(wave, "Yes.")  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="cut it into parts"):
            align(np.zeros(61 * 16000, np.float32), "Yes.")
        with pytest.raises(ParameterError, match="write words"):
            align(sound, "...")
        with pytest.raises(ParameterError, match="No language is called 'xx'"):
            align(sound, "Yes.", "xx")
