"""Speech to words: the two sample clips, and one contract for both recognisers."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from core.encoders.speech import FasterWhisperRecogniser, SpeechRecogniser, Transcript, speech_recogniser
from core.errors import CancelledError, ClipTooShortError, ParameterError
from core.runtime import CancelToken, cancellable, silent
from tests.encoders.conftest import ASSETS

Wave = NDArray[np.float32]


def sample(language: str) -> Wave:
    wave, sample_rate = soundfile.read(ASSETS / f"sample_{language}.wav", dtype="float32")
    assert sample_rate == 16000
    return wave


@pytest.fixture(scope="module")
def whisper_base() -> SpeechRecogniser:
    return speech_recogniser("whisper_base")


class TestEverySpeechRecogniser:
    @pytest.fixture(scope="class", params=["whisper_base", "whisper_large"])
    def recogniser(
        self, request: pytest.FixtureRequest, whisper_base: SpeechRecogniser, toy_hub: Path
    ) -> Iterator[SpeechRecogniser]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
            yield whisper_base if request.param == "whisper_base" else speech_recogniser(request.param)

    @pytest.fixture(scope="class")
    def heard(self, recogniser: SpeechRecogniser) -> Transcript:
        """What it hears in the English sample of 6.4 seconds."""
        return recogniser.transcribe(sample("en"))

    def test_words_come_in_the_order_of_time(self, heard: Transcript) -> None:
        words = heard.words
        assert words and words[0].start_s >= 0 and words[-1].end_s <= 30
        assert all(word.start_s <= word.end_s for word in words)
        assert all(before.start_s <= after.start_s for before, after in pairwise(words))

    def test_the_language_is_the_one_asked_for_or_a_known_one(
        self, recogniser: SpeechRecogniser, heard: Transcript
    ) -> None:
        assert recogniser.transcribe(sample("zh"), language="zh").language == "zh"
        assert heard.language in {"en", "zh"}

    def test_the_same_sound_gives_the_same_transcript(self, recogniser: SpeechRecogniser, heard: Transcript) -> None:
        assert recogniser.transcribe(sample("en")) == heard

    def test_a_stopped_job_ends(self, recogniser: SpeechRecogniser) -> None:
        token = CancelToken()
        token.cancel()
        with pytest.raises(CancelledError):
            recogniser.transcribe(sample("en"), progress=cancellable(silent, token))

    def test_what_is_no_speech_at_16_khz_is_refused(self, recogniser: SpeechRecogniser) -> None:
        with pytest.raises(ParameterError, match=r"give float32 of shape \(N,\), mono at 16 kHz"):
            recogniser.transcribe(np.zeros((16000, 2), np.float32))
        with pytest.raises(ClipTooShortError, match="has 399 samples; give at least 400"):
            recogniser.transcribe(np.zeros(399, np.float32))
        with pytest.raises(ParameterError, match="language 'xx' is not known"):
            recogniser.transcribe(sample("en"), language="xx")


class TestWhisperBase:
    @pytest.mark.parametrize(
        ("language", "wanted"), [("en", "quick brown fox jumps over the lazy dog"), ("zh", "一起去公")]
    )
    def test_the_sample_clips_are_understood(self, whisper_base: SpeechRecogniser, language: str, wanted: str) -> None:
        transcript = whisper_base.transcribe(sample(language))
        assert wanted in transcript.text and transcript.language == language

    def test_words_are_heard_where_they_are_spoken(self, whisper_base: SpeechRecogniser) -> None:
        """The start of the first word is left out: Whisper lets it reach into the silence before."""
        wave = np.concatenate([np.zeros(32000, np.float32), sample("en")])
        first_sound_s, last_sound_s = np.flatnonzero(np.abs(wave) > 0.02)[[0, -1]] / 16000
        words = whisper_base.transcribe(wave, language="en").words
        assert first_sound_s < words[0].end_s < first_sound_s + 0.4
        assert abs(words[-1].end_s - last_sound_s) < 0.4

    def test_silence_has_no_words(self, whisper_base: SpeechRecogniser) -> None:
        assert whisper_base.transcribe(np.zeros(400, np.float32)).words == ()

    def test_it_is_the_embedded_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOWREEL_PROFILE", "embedded")
        assert isinstance(speech_recogniser(), FasterWhisperRecogniser)


@pytest.mark.usefixtures("hub_profile")
class TestHubProfile:
    @pytest.mark.parametrize("seconds", [6.4, 38.4])
    def test_it_writes_what_the_transformers_class_generates(self, hub_profile: Path, seconds: float) -> None:
        from transformers import AutoFeatureExtractor, AutoTokenizer, WhisperForConditionalGeneration

        folder, wave = hub_profile / "whisper_large", np.tile(sample("en"), round(seconds / 6.4))
        recogniser = speech_recogniser()
        found = recogniser.transcribe(wave, language="en")
        model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=recogniser._where.dtype)  # type: ignore[attr-defined]
        extract, tokenizer = (kind.from_pretrained(folder) for kind in (AutoFeatureExtractor, AutoTokenizer))
        inputs = extract(
            wave,
            sampling_rate=16000,
            return_tensors="pt",
            return_attention_mask=True,
            truncation=False,
            padding="longest" if seconds > 30 else "max_length",
        )
        tokens = model.generate(
            inputs["input_features"].to(model.dtype),
            attention_mask=inputs["attention_mask"],
            return_timestamps=True,
            language="en",
            task="transcribe",
            max_new_tokens=256,
        )
        assert found.text == str(tokenizer.decode(tokens[0], skip_special_tokens=True)).strip()
