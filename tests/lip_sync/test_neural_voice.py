"""The neural voice of the hub profile: a tiny network of the real class, from a double of the Hub on loopback."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ParameterError, WeightsError, WeightsNotFoundError
from core.lip_sync.articulation import SILENCE
from core.lip_sync.neural_voice import OWN_RATE_WPM, SPEAKERS, WEIGHTS, NeuralVoice, phone_steps, sentences
from core.lip_sync.voices import Spoken, VoiceConfig, Wave, clauses
from core.weights import weights_path
from tests.lip_sync.hub_toys import served
from tests.weights.hub_double import HubDouble

TEXT = "Good morning, papa. How are you?"
MODEL = "model.safetensors"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDouble]:
    with served(tmp_path_factory.mktemp("voice")) as double:
        yield double


@pytest.fixture(scope="module")
def voice(hub: HubDouble) -> NeuralVoice:
    return NeuralVoice()


@pytest.fixture(scope="module")
def said(voice: NeuralVoice) -> Spoken:
    return voice.speak(TEXT, VoiceConfig(variant="speaker-7"))


def by_the_class(phonemes: str, speaker: int, rate: float, seed: int) -> Wave:
    """What the class of transformers makes of a sentence in a process that was seeded."""
    from transformers import VitsModel, VitsTokenizer

    folder = weights_path(WEIGHTS)
    tokenizer = VitsTokenizer.from_pretrained(folder, phonemize=False)
    model = VitsModel.from_pretrained(folder).eval()
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        given = tokenizer(phonemes, return_tensors="pt")
        wave: Wave = model(**given, speaker_id=speaker, speaking_rate=rate).waveform[0].numpy()
    return wave


class TestTheNetwork:
    def test_it_is_downloaded_once_and_then_speaks_offline(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served(tmp_path) as hub:
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
            with pytest.raises(WeightsNotFoundError, match=f"core.weights fetch {WEIGHTS}"):
                NeuralVoice()
            monkeypatch.setenv("HF_HUB_OFFLINE", "0")
            cold = NeuralVoice().speak(TEXT, VoiceConfig())
            assert len(hub.bodies(MODEL)) == 1
            asked = len(hub.requests)
            warm = NeuralVoice().speak(TEXT, VoiceConfig())
            assert len(hub.requests) == asked
        monkeypatch.setenv("SHOWREEL_WEIGHTS", str(tmp_path / "weights"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        offline = NeuralVoice().speak(TEXT, VoiceConfig())
        assert np.array_equal(cold.wave, warm.wave) and np.array_equal(cold.wave, offline.wave)

    def test_one_with_other_speakers_is_refused(self, tmp_path: Path) -> None:
        with served(tmp_path, speakers=3), pytest.raises(WeightsError, match="has 3 speakers, not 109"):
            NeuralVoice()

    @pytest.mark.parametrize(("rate_wpm", "seed"), [(160, 0), (240, 0), (100, 5)])
    def test_a_sentence_is_what_the_transformers_class_makes_of_its_phonemes(
        self, voice: NeuralVoice, rate_wpm: int, seed: int
    ) -> None:
        told = voice.speak("Good morning!", VoiceConfig(variant="speaker-3", rate_wpm=rate_wpm, seed=seed))
        wanted = by_the_class("ɡˈʊd mˈɔːɹnɪŋ!", 3, rate_wpm / OWN_RATE_WPM, seed)
        np.testing.assert_allclose(told.wave, wanted, atol=1e-6)

    def test_speech_is_finite_heard_and_as_long_as_its_sentences(self, voice: NeuralVoice, said: Spoken) -> None:
        first, second = sentences(clauses(TEXT))
        waves = [by_the_class(first, 7, 1.0, 0)]
        assert np.isfinite(said.wave).all() and 0.05 < np.abs(said.wave).max() <= 1
        pause = round(0.25 * said.sample_rate)
        assert np.allclose(said.wave[: len(waves[0])], waves[0], atol=1e-6)
        assert not said.wave[len(waves[0]) : len(waves[0]) + pause].any()
        rest = len(said.wave) - len(waves[0]) - pause
        assert rest > 0 and rest % voice.step == 0 and voice.step == 256 and second.endswith("?")

    def test_a_seed_says_a_text_alike_and_another_one_or_another_speaker_does_not(
        self, voice: NeuralVoice, said: Spoken
    ) -> None:
        again = voice.speak(TEXT, VoiceConfig(variant="speaker-7"))
        assert np.array_equal(again.wave, said.wave) and again.phones == said.phones
        for other in (VoiceConfig(variant="speaker-7", seed=1), VoiceConfig(variant="speaker-8")):
            wave = voice.speak(TEXT, other).wave
            assert len(wave) != len(said.wave) or np.abs(wave - said.wave).max() > 1e-3

    def test_what_other_threads_draw_changes_nothing_and_they_are_not_disturbed(
        self, voice: NeuralVoice, said: Spoken
    ) -> None:
        torch.manual_seed(3)
        wanted = torch.randn(4)
        torch.manual_seed(3)
        voice.speak(TEXT, VoiceConfig())
        assert torch.equal(torch.randn(4), wanted)
        stop = threading.Event()

        def draw() -> None:
            while not stop.is_set():
                torch.randn(100)

        drawing = threading.Thread(target=draw)
        drawing.start()
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: voice.speak(TEXT, VoiceConfig(variant="speaker-7")).wave, range(3)))
        stop.set()
        drawing.join()
        assert all(np.array_equal(wave, said.wave) for wave in found)

    def test_a_text_without_words_is_refused(self, voice: NeuralVoice) -> None:
        with pytest.raises(ParameterError, match="write words"):
            voice.speak("...", VoiceConfig())

    def test_all_its_people_can_be_asked_for(self, voice: NeuralVoice) -> None:
        assert len(SPEAKERS) == 109
        last = voice.speak("Yes.", VoiceConfig(variant=SPEAKERS[-1]))
        assert last.voice == f"{WEIGHTS} speaker-108" and last.sample_rate == 22050


class TestPhones:
    def test_they_cover_the_speech_without_a_gap_and_are_those_of_the_text(self, said: Spoken) -> None:
        assert said.phones[0].start_s == 0
        assert said.phones[-1].stop_s == pytest.approx(len(said.wave) / said.sample_rate)
        assert all(before.stop_s == pytest.approx(after.start_s) for before, after in pairwise(said.phones))
        assert all(phone.start_s < phone.stop_s for phone in said.phones)
        spoken = "".join(phone.symbol for phone in said.phones if phone.symbol != SILENCE)
        assert spoken == "ɡʊdmɔːɹnɪŋpɑːpəhaʊɑːɹjuː"

    def test_silence_is_where_the_text_has_a_mark_and_between_sentences(self, said: Spoken) -> None:
        symbols = [phone.symbol for phone in said.phones]
        silent = [n for n, symbol in enumerate(symbols) if symbol == SILENCE]
        assert [symbols[n - 1] for n in silent] == ["ŋ", "ə", "uː"]
        between = said.phones[silent[1]]
        middle = said.wave[round((between.stop_s - 0.25) * said.sample_rate) :][: round(0.2 * said.sample_rate)]
        assert between.stop_s - between.start_s > 0.25 and np.abs(middle).max() < np.abs(said.wave).max()

    def test_a_letter_has_its_own_steps_and_half_of_what_lies_between(self) -> None:
        letters = ["_", "m", "_", " ", "_", "ˈ", "_", "ɑ", "_", "ː", "_", ",", "_"]
        steps = [1, 4, 1, 1, 1, 1, 2, 5, 1, 3, 2, 6, 1]
        assert phone_steps(letters, steps) == [("m", 0, 8.0), ("ɑː", 8.0, 21.0), (SILENCE, 21.0, 29)]
        assert phone_steps(["_"], [3]) == [(SILENCE, 0, 3)]

    def test_a_long_text_is_said_in_pieces_that_fit_into_memory(self) -> None:
        pieces = list(sentences(clauses("ma " * 1600)))
        assert len(pieces) > 4 and max(map(len, pieces)) <= 480
        assert sum(piece.count("m") for piece in pieces) == 1600
