"""Sound to vectors: musicnn's front end against librosa, its answers against golden ones, one contract for all."""

import json
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.encoders import musicnn
from core.encoders.audio import AudioEncoder, ClapEncoder, MusicnnEncoder, audio_encoder
from core.errors import ClipTooShortError, ParameterError

Wave = NDArray[np.float32]
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "encoders" / "audio.json").read_text())


def chord(duration_s: float, sample_rate: int) -> Wave:
    """A plucked, decaying C major chord, twice a second."""
    t = np.arange(int(duration_s * sample_rate)) / sample_rate
    tones = sum(np.sin(2 * np.pi * pitch_hz * t) / 6 for pitch_hz in (261.6, 329.6, 392.0))
    return (tones * np.exp(-6 * (t % 0.5))).astype(np.float32)


class TestEveryAudioEncoder:
    @pytest.fixture(scope="class", params=["musicnn_msd", "musicnn_mtt", "clap"])
    def encoder(self, request: pytest.FixtureRequest, toy_hub: Path) -> Iterator[AudioEncoder]:
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "clap":
                patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
            yield audio_encoder(request.param)

    def test_there_is_one_vector_for_every_whole_patch(self, encoder: AudioEncoder) -> None:
        for patches in (1, 3, 9):
            wave = chord(encoder.patch_s * (patches + 0.3), encoder.sample_rate)
            assert encoder.encode(wave).shape == (patches, encoder.dimensions)

    def test_what_comes_later_does_not_change_earlier_vectors(self, encoder: AudioEncoder) -> None:
        wave = chord(encoder.patch_s * 3.2, encoder.sample_rate)
        longer = np.concatenate([wave, np.full(len(wave), 0.5, np.float32)])
        assert np.allclose(encoder.encode(longer)[:2], encoder.encode(wave)[:2], atol=1e-5)

    @pytest.mark.parametrize("level", [0.0, 1.0])
    def test_silence_and_full_scale_give_finite_vectors(self, encoder: AudioEncoder, level: float) -> None:
        square = level * np.sign(chord(encoder.patch_s, encoder.sample_rate) + 1e-9)
        assert np.isfinite(encoder.encode(square.astype(np.float32))).all()

    def test_sound_shorter_than_a_patch_fills_one(self, encoder: AudioEncoder) -> None:
        assert len(encoder.encode(chord(encoder.patch_s / 5, encoder.sample_rate))) == 1

    def test_stereo_other_dtypes_and_no_sound_are_refused(self, encoder: AudioEncoder) -> None:
        with pytest.raises(ParameterError, match=r"give float32 of shape \(N,\), mono"):
            encoder.encode(np.zeros((1000, 2), np.float32))
        with pytest.raises(ParameterError, match="int16"):
            encoder.encode(np.zeros(1000, np.int16))
        with pytest.raises(ClipTooShortError, match="has 0 samples"):
            encoder.encode(np.zeros(0, np.float32))


class TestMusicnnFrontEnd:
    def test_its_filters_are_librosas(self) -> None:
        wanted = librosa.filters.mel(sr=16000, n_fft=512, n_mels=96, htk=False, norm="slaney")
        assert np.abs(musicnn.mel_filters().numpy() - wanted).max() < 2e-9

    def test_its_log_mel_is_librosas(self) -> None:
        noise = np.random.default_rng(0).uniform(-1, 1, 48000).astype(np.float32)
        wave = np.concatenate([noise, chord(3, 16000), 1e-4 * noise])
        power = np.abs(librosa.stft(wave, n_fft=512, hop_length=256, center=True, pad_mode="reflect")) ** 2
        wanted = np.log10(1 + 10000 * librosa.filters.mel(sr=16000, n_fft=512, n_mels=96) @ power).T
        found = musicnn.log_mel(torch.from_numpy(wave)).numpy()
        assert found.shape == wanted.shape and np.abs(found - wanted).max() < 2e-5

    @settings(deadline=None)
    @given(frames=st.integers(1, 600))
    def test_patches_are_the_features_in_order_repeated_when_too_few(self, frames: int) -> None:
        features = torch.arange(frames * 96.0).reshape(frames, 96)
        patches = musicnn.to_patches(features)
        assert patches.shape == (max(1, frames // 187), 187, 96)
        rows = patches.reshape(-1, 96)
        assert torch.equal(rows, features[torch.arange(len(rows)) % frames])


@pytest.mark.parametrize("collection", ["msd", "mtt"])
class TestMusicnn:
    def test_it_answers_as_the_network_rebuilt_from_the_checkpoint_did(self, collection: str) -> None:
        answer, golden = MusicnnEncoder(collection).tags(chord(9, 16000)), GOLDEN[collection]
        assert np.abs(answer.probabilities - np.array(golden["probabilities"])).max() < 2e-6
        assert np.abs(answer.vectors[:, ::10] - np.array(golden["vectors"])).max() < 1e-5

    def test_the_chords_likeliest_tags_are_those_that_were_published(self, collection: str) -> None:
        published = {"msd": ["electronic", "ambient", "electronica"], "mtt": ["slow", "ambient", "quiet"]}
        answer = MusicnnEncoder(collection).tags(chord(9, 16000))
        best = answer.probabilities.mean(0).argsort()[::-1][:3]
        assert [answer.names[i] for i in best] == published[collection]


@pytest.mark.usefixtures("hub_profile")
class TestHubProfile:
    def test_its_default_is_clap(self) -> None:
        assert audio_encoder().name == "clap"

    def test_each_patch_answers_as_the_transformers_class_does(self, hub_profile: Path) -> None:
        from transformers import AutoFeatureExtractor, ClapModel

        encoder = ClapEncoder()
        extract = AutoFeatureExtractor.from_pretrained(hub_profile / "clap")
        model = ClapModel.from_pretrained(hub_profile / "clap")
        wave = np.concatenate([chord(1, 8000), np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)])
        inputs = extract([wave[:8000], wave[8000:]], sampling_rate=8000, return_tensors="pt")
        with torch.inference_mode():
            wanted = model.get_audio_features(input_features=inputs["input_features"]).pooler_output.numpy()
        found = encoder.encode(wave)
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        assert ((found * wanted).sum(1) >= 0.999).all()
