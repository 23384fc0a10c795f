"""Who says a text on which profile, on the command line and in the tab."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.lip_sync_handlers import Handlers
from apps.lip_sync_layout import voice_choices
from apps.runtime import AppSettings
from core.command_line import run
from core.errors import ParameterError
from core.lip_sync import pipeline
from core.lip_sync.__main__ import parser
from core.lip_sync.articulation import SILENCE
from core.lip_sync.neural_voice import SPEAKERS, WEIGHTS, NeuralVoice
from core.lip_sync.speaking import Voices
from core.lip_sync.voices import ESPEAK, VoiceConfig, speak, variants
from core.media import probe, read_audio
from tests.lip_sync.hub_toys import served
from tests.lip_sync.stand_ins import MOUTH, PlainNetwork, head, head_film, pictures_of_film, spots
from tests.weights.hub_double import HubDouble


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubDouble]:
    with served(tmp_path) as double:
        yield double


class TestVoices:
    @pytest.mark.parametrize(
        ("language", "variant", "hub"),
        [
            ("en-us", "", WEIGHTS),
            ("en-gb", "speaker-5", WEIGHTS),
            ("en-us", "f2", ESPEAK),
            ("en-us", ESPEAK, ESPEAK),
            ("de", "", ESPEAK),
            ("de", "m3", ESPEAK),
        ],
    )
    def test_the_neural_voice_says_english_on_the_hub_profile_and_espeak_all_else(
        self, language: str, variant: str, hub: str
    ) -> None:
        voice = VoiceConfig(language, variant)
        assert Voices("hub").who(voice) == hub
        if variant not in SPEAKERS:
            assert Voices("embedded").who(voice) == ESPEAK

    @pytest.mark.parametrize(
        ("profile", "voice", "said"),
        [
            ("embedded", VoiceConfig(variant="speaker-3"), "belongs to the hub profile; .* set SHOWREEL_PROFILE"),
            ("hub", VoiceConfig("de", "speaker-3"), "speaks English only, not 'de'; choose a language such as 'en-us'"),
            ("hub", VoiceConfig(variant="speaker-109"), "choose from speaker-0 to speaker-108"),
            ("hub", VoiceConfig(pitch=60), "cannot speak at pitch 60; leave it at 50"),
            ("hub", VoiceConfig("en-uz"), "No language is called 'en-uz'"),
            ("hub", VoiceConfig("de", "nobody"), "No variant is called 'nobody'"),
        ],
    )
    def test_what_a_voice_cannot_say_is_refused_with_what_can(
        self, profile: Any, voice: VoiceConfig, said: str
    ) -> None:
        with pytest.raises(ParameterError, match=said):
            Voices(profile).speak("Hello", voice)

    def test_languages_tell_who_says_them_and_variants_are_those_of_the_profile(self) -> None:
        whom = {code: who for code, _, who in Voices("hub").languages()}
        assert whom["en-us"] == whom["en-gb-scotland"] == WEIGHTS and whom["de"] == whom["cmn"] == ESPEAK
        assert {who for _, _, who in Voices("embedded").languages()} == {ESPEAK}
        assert Voices("embedded").variants() == variants()
        assert Voices("hub").variants() == (*SPEAKERS, ESPEAK, *variants())
        assert len(set(Voices("hub").variants())) == len(Voices("hub").variants())

    def test_the_profile_is_that_of_the_process(self, hub: HubDouble) -> None:
        told = Voices().speak("Good morning.", VoiceConfig(variant="speaker-2"))
        assert told.voice == f"{WEIGHTS} speaker-2"
        assert np.array_equal(told.wave, NeuralVoice().speak("Good morning.", VoiceConfig(variant="speaker-2")).wave)

    def test_espeak_says_other_languages_on_the_hub_profile_without_a_download(self, hub: HubDouble) -> None:
        for voice in (VoiceConfig("de"), VoiceConfig("en-us", ESPEAK)):
            told = Voices().speak("Mama", voice)
            plain = speak("Mama", VoiceConfig(voice.language))
            heard, wanted = ([p.symbol for p in one.phones if p.symbol != SILENCE] for one in (told, plain))
            assert told.voice == ESPEAK and heard == wanted
        assert not hub.requests


def test_say_makes_a_film_with_the_neural_voice(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "load_network", PlainNetwork)
    film, out = head_film(tmp_path / "film.mp4", map(head, range(30))), tmp_path / "out.mp4"
    drawn = f"0:{','.join(str(side) for side in MOUTH)}"
    say = ["say", str(film), "Good morning.", "--out", str(out), "--mouth", drawn, "--no-silence-gate"]
    assert run(parser(), [*say, "--variant", "speaker-4", "--seed", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["voice"] == f"{WEIGHTS} speaker-4" and answer["frames_changed"] == answer["frame_count"] > 0
    spoken = NeuralVoice().speak("Good morning.", VoiceConfig(variant="speaker-4", seed=2))
    info = probe(out)
    assert info.audio is not None and abs(float(info.duration_s) - len(spoken.wave) / spoken.sample_rate) < 0.1
    assert np.abs(read_audio(out).samples).max() > 0.05 and spots(pictures_of_film(out)[1]).max() > 0.5
    assert run(parser(), [*say, "--language", "de", "--variant", "speaker-4"]) == 2
    assert "speaks English only" in capsys.readouterr().err


def test_the_command_line_lists_the_voices_of_the_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for profile, who in (("hub", WEIGHTS), ("embedded", ESPEAK)):
        monkeypatch.setenv("SHOWREEL_PROFILE", profile)
        assert run(parser(), ["voices", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert {row["id"]: row["voice"] for row in answer["results"]}["en-us"] == who
        assert ("speaker-0" in answer["variants"]) == (profile == "hub")


def test_the_tab_offers_and_previews_the_voices_of_the_profile(hub: HubDouble, tmp_path: Path) -> None:
    languages, offered = voice_choices(Voices())
    assert ("Speaker 3", "speaker-3") in offered and ("espeak-ng, plain", ESPEAK) in offered
    assert ("German", "de") in languages
    assert voice_choices(Voices("embedded"))[1] == [(name, name) for name in variants()]
    handlers = Handlers(AppSettings(output=str(tmp_path / "output")))
    assert handlers.lip_sync_voices()["variants"][:2] == ["speaker-0", "speaker-1"]
    first, again = (handlers.lip_sync_speak("Good morning.", "en-us", "speaker-6", 160, 50) for _ in range(2))
    assert first["voice"] == f"{WEIGHTS} speaker-6" and first["duration_s"] > 0
    assert np.array_equal(read_audio(first["file"]).samples, read_audio(again["file"]).samples)
    assert handlers.lip_sync_speak("Guten Morgen", "de", "", 160, 50)["voice"] == ESPEAK
