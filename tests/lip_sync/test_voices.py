"""Speech from text: phones that agree with what is heard, and refusals."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from core.errors import ParameterError
from core.lip_sync.articulation import SILENCE, Phone
from core.lip_sync.voices import MOST_CHARACTERS, Spoken, VoiceConfig, clauses, languages, speak, variants

GREETINGS = {
    "fr": "Bonjour, un pain.",
    "ru": "Привет, мир.",
    "el": "Καλημέρα κόσμε.",
    "cmn": "你好 世界",
    "ja": "こんにちは",
}


def loudness_db(spoken: Spoken, start_s: float, stop_s: float) -> float:
    part = spoken.wave[round(start_s * spoken.sample_rate) : round(stop_s * spoken.sample_rate)]
    return 10 * float(np.log10(np.square(part).mean() + 1e-10))


def letters(spoken: Spoken) -> str:
    return "".join(phone.symbol.strip("ː") for phone in spoken.phones if phone.symbol != SILENCE)


def phone_named(spoken: Spoken, symbol: str) -> list[Phone]:
    return [phone for phone in spoken.phones if phone.symbol == symbol]


class TestSpeak:
    @pytest.mark.parametrize("language", GREETINGS)
    @pytest.mark.parametrize("rate", [80, 170, 450])
    def test_phones_cover_the_sound_without_a_gap(self, language: str, rate: int) -> None:
        spoken = speak(GREETINGS[language], VoiceConfig(language, rate_wpm=rate))
        assert spoken.phones[0].start_s == 0
        assert spoken.phones[-1].stop_s == len(spoken.wave) / spoken.sample_rate
        assert all(before.stop_s == after.start_s for before, after in pairwise(spoken.phones))
        assert all(phone.start_s < phone.stop_s for phone in spoken.phones)

    def test_phones_are_those_of_the_text(self) -> None:
        assert letters(speak("A map, a papa.", VoiceConfig("en-us"))) == "ɐmæpɐpɑpə"
        assert letters(speak("привет", VoiceConfig("ru"))) == "prʲivʲet"

    def test_between_sentences_there_is_silence_and_it_is_silent(self) -> None:
        spoken = speak("Go home. Now.", VoiceConfig("en-us"))
        (pause,) = (phone for phone in phone_named(spoken, SILENCE) if 0.5 < phone.start_s < 1.2)
        assert 0.2 < pause.stop_s - pause.start_s < 0.6
        assert loudness_db(spoken, pause.start_s, pause.stop_s) < -60

    @pytest.mark.parametrize("variant", ["", "m3", "klatt"])
    def test_a_voiceless_stop_begins_with_its_closure(self, variant: str) -> None:
        """Where the lips are shut nothing is heard, and right behind the stop its vowel is."""
        spoken = speak("A papa. A papa.", VoiceConfig("en-us", variant))
        stops = phone_named(spoken, "p")
        assert len(stops) == 4
        for stop in stops:
            closed = loudness_db(spoken, stop.start_s, stop.start_s + 0.02)
            assert closed < loudness_db(spoken, stop.stop_s, stop.stop_s + 0.05) - 25
            assert closed < loudness_db(spoken, stop.start_s - 0.03, stop.start_s) - 15

    def test_lips_that_shut_are_softer_than_the_vowels_beside_them(self) -> None:
        spoken = speak("Abba, amma, a baba.", VoiceConfig("en-us"))
        vowels = [phone for phone in spoken.phones if phone.symbol.strip("ː") in "æɑə"]
        loud = min(loudness_db(spoken, phone.start_s, phone.stop_s) for phone in vowels)
        for phone in phone_named(spoken, "b") + phone_named(spoken, "m"):
            third = (phone.stop_s - phone.start_s) / 3
            assert loudness_db(spoken, phone.start_s + third, phone.stop_s - third) < loud - 4

    @pytest.mark.parametrize("language", GREETINGS)
    def test_sound_begins_and_ends_with_the_phones(self, language: str) -> None:
        spoken = speak(GREETINGS[language], VoiceConfig(language))
        heard = [phone for phone in spoken.phones if phone.symbol != SILENCE]
        loud = np.flatnonzero(np.abs(spoken.wave) > 0.02 * np.abs(spoken.wave).max()) / spoken.sample_rate
        assert heard[0].start_s == pytest.approx(loud[0], abs=0.09)  # 80 ms of closure at most
        assert heard[-1].stop_s == pytest.approx(loud[-1], abs=0.06)

    def test_faster_is_shorter_and_higher_is_higher(self) -> None:
        slow, fast = (speak("Where were you?", VoiceConfig(rate_wpm=rate)) for rate in (100, 200))
        assert len(slow.wave) == pytest.approx(2 * len(fast.wave), rel=0.25)
        deep, high = (speak("Where were you?", VoiceConfig(pitch=pitch)).wave for pitch in (10, 90))
        crossings = [
            int(np.count_nonzero(np.diff(np.signbit(wave - np.convolve(wave, np.ones(60) / 60, "same")))))
            for wave in (deep, high)
        ]
        assert crossings[1] > crossings[0]

    def test_voices_speak_at_once_from_many_threads(self) -> None:
        """Each gets its own phones, whatever the others ask for."""
        asked = [("en-us", "A map.", "ɐmæp"), ("ru", "привет", "prʲivʲet"), ("es", "mapa", "mapa")] * 8
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda job: letters(speak(job[1], VoiceConfig(job[0]))), asked))
        assert found == [wanted for _, _, wanted in asked]

    @pytest.mark.parametrize("text", ["", "  \n\t", "...", "!?", "\0", "\ud800"])
    def test_a_text_without_words_is_refused(self, text: str) -> None:
        with pytest.raises(ParameterError, match="write words"):
            speak(text)

    def test_a_text_that_is_too_long_is_refused_and_the_longest_is_not(self) -> None:
        with pytest.raises(ParameterError, match="at most 5000"):
            speak("a" * (MOST_CHARACTERS + 1))
        longest = speak("ma " * (MOST_CHARACTERS // 3), VoiceConfig(rate_wpm=450))
        assert len(phone_named(longest, "m")) == MOST_CHARACTERS // 3


class TestClauses:
    def test_each_clause_comes_with_its_words_and_the_mark_it_ends_with(self) -> None:
        told = clauses('Good morning, papa! He said: "Go home." Why… now')
        assert [mark for _, mark in told] == [",", "!", ":", ".", "…", ""]
        assert told[0][0] == "ɡˈʊd mˈɔːɹnɪŋ" and told[1][0] == "pˈɑːpə"

    def test_dots_within_numbers_and_behind_titles_end_nothing(self) -> None:
        assert [mark for _, mark in clauses("It costs 3.5 dollars.")] == ["."]
        assert [mark for _, mark in clauses("Dr. Smith met J. Bach. No. Yes")] == ["", "", ".", ".", ""]

    def test_nothing_of_a_text_is_lost(self) -> None:
        assert sum(words.count("m") for words, _ in clauses("ma " * (MOST_CHARACTERS // 3))) == MOST_CHARACTERS // 3

    @pytest.mark.parametrize("language", ["fr", "ru", "el"])
    def test_words_are_those_that_are_spoken(self, language: str) -> None:
        """The letters are the same, whether they are read or heard."""
        written = "".join(words for words, _ in clauses(GREETINGS[language], language))
        assert {*letters(speak(GREETINGS[language], VoiceConfig(language)))} - {"ː"} == {*written} - {*"ːˈˌ "}

    def test_a_text_without_words_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="write words"):
            clauses("!?")
        with pytest.raises(ParameterError, match="No language is called"):
            clauses("a", "en-uz")


class TestVoices:
    def test_every_language_that_is_listed_speaks(self) -> None:
        for code, _ in languages():
            assert len(speak("mama 1 2 3", VoiceConfig(code)).wave) > 5000, code

    def test_languages_are_listed_once_and_may_be_named_by_other_codes(self) -> None:
        codes = [code for code, _ in languages()]
        assert len(codes) == len(set(codes)) > 100
        assert dict(languages())["en-us"] == "English (America)"
        assert letters(speak("vin", VoiceConfig("fr"))) == letters(speak("vin", VoiceConfig("fr-fr"))) == "vɛ̃"
        assert letters(speak("你好", VoiceConfig("zh"))) == letters(speak("你好", VoiceConfig("cmn")))

    def test_a_variant_changes_the_voice_and_not_the_words(self) -> None:
        assert {"f2", "m3"} <= set(variants())
        woman, man = (speak("A map.", VoiceConfig("en-us", variant)) for variant in ("f2", "m3"))
        assert letters(woman) == letters(man)
        count = min(len(woman.wave), len(man.wave))
        assert abs(np.corrcoef(woman.wave[:count], man.wave[:count])[0, 1]) < 0.5

    def test_unknown_names_are_refused_with_names_that_are_near(self) -> None:
        with pytest.raises(ParameterError, match=r"No language is called 'en-uz'; .*en-us"):
            speak("a", VoiceConfig("en-uz"))
        with pytest.raises(ParameterError, match=r"No variant is called '\.\./f2'; .*f2"):
            speak("a", VoiceConfig("en-us", "../f2"))

    def test_rate_and_pitch_have_their_ranges(self) -> None:
        for wrong in ({"rate_wpm": 79}, {"rate_wpm": 451}, {"pitch": -1}, {"pitch": 100}):
            with pytest.raises(ParameterError, match=f"{next(iter(wrong))} is"):
                VoiceConfig(**wrong)  # type: ignore[arg-type]
