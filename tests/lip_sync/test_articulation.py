"""The course of the mouth: lips that shut, rounding that comes early, silence that rests."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.articulation import ARTICULATION, Phone, articulation, visemes_of
from core.lip_sync.voices import VoiceConfig, speak

OPENING, SPREAD, TUCK, TONGUE = range(4)
RATES = [Fraction(25), Fraction(24000, 1001), Fraction(60)]
TEXTS = {
    "be": "Адэлаіда ляціць",
    "bg": "Здравей, свят",
    "ca": "Bon dia, un gos petit",
    "cmn": "你好 世界 去 日",
    "da": "Rødgrød med fløde",
    "de": "Schöne Füße, Pfütze, ich auch",
    "el": "Καλημέρα κόσμε, γεια",
    "en": "The church measures this joyful boy",
    "es": "El perro grande, niño, hacer",
    "fr": "Un bon vin blanc, œuf, rue, feuille",
    "it": "Gli gnocchi, zio, famiglia",
    "ja": "こんにちは、ふゆ",
    "ml": "നമസ്കാരം",
    "nl": "Goedemorgen, huis, vuur",
    "ro": "Bună ziua, mâine",
    "ru": "Привет, мир, щи, ты",
    "sv": "Sju sjösjuka sjömän",
    "ta": "வணக்கம்",
}


def spoken_at(symbols: str, seconds: float, start_s: float = 0.4) -> list[Phone]:
    """Phones of one length each, separated by blanks, with silence around them."""
    phones = [Phone("_", 0, start_s)]
    for symbol in symbols.split():
        phones.append(Phone(symbol, phones[-1].stop_s, phones[-1].stop_s + seconds))
    return [*phones, Phone("_", phones[-1].stop_s, phones[-1].stop_s + 1)]


def middle_of(phones: list[Phone], symbol: str) -> float:
    (phone,) = (phone for phone in phones if phone.symbol == symbol)
    return (phone.start_s + phone.stop_s) / 2


def fine(phones: list[Phone]) -> NDArray[np.float32]:
    """The course a thousand times a second."""
    return articulation(phones, round(phones[-1].stop_s * 1000), 1000)


def of(symbol: str, seconds: float = 0.3) -> NDArray[np.float32]:
    """(4,), in the middle of one long phone."""
    phones = spoken_at(symbol, seconds)
    return fine(phones)[round(middle_of(phones, symbol) * 1000)]


class TestLips:
    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("symbol", ["p", "b", "m", "M", "pʰ", "mː"])
    @pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1])
    def test_they_shut_in_the_frame_nearest_to_p_b_and_m(self, symbol: str, seconds: float, rate: Fraction) -> None:
        """However short the closure, and wherever it falls between two frames."""
        for shift in np.linspace(0, 0.08, 17):
            phones = spoken_at(f"ɑː ɑ {symbol} æ ɑː", 0.12, 0.4 + shift)
            start = phones[3].start_s
            phones[3:] = [Phone(symbol, start, start + seconds), Phone("æ", start + seconds, start + 0.3)]
            course = articulation(phones, round((start + 0.3) * rate), rate)[:, OPENING]
            first, last = (int((start + part * seconds) * rate) for part in (0.34, 0.48))
            assert course[first : last + 1].min() < 0.06
            assert course[:first].max() > 0.8 and course[last:].max() > 0.6

    @pytest.mark.parametrize("rate_wpm", [120, 250, 400])
    def test_they_shut_for_every_p_b_and_m_of_a_text_that_is_read(self, rate_wpm: int) -> None:
        spoken = speak(
            "Bob, my mother put a big purple pumpkin on top of the map. A baby bumps.",
            VoiceConfig("en-us", "f2", rate_wpm),
        )
        course = articulation(spoken.phones, int(len(spoken.wave) / spoken.sample_rate * 25) + 1)[:, OPENING]
        shut = [phone for phone in spoken.phones if phone.symbol in ("p", "b", "m")]
        assert len(shut) >= 18
        for phone in shut:
            frames = course[int(phone.start_s * 25) : int(phone.stop_s * 25) + 1]
            assert frames.min() < 0.15 * np.quantile(course, 0.9), phone

    def test_a_vowel_opens_as_wide_as_it_is_low(self) -> None:
        openings = [of(symbol)[OPENING] for symbol in ("m", "uː", "e", "ɛ", "æ", "ɑː")]
        assert openings == sorted(openings)
        assert openings[0] < 0.03 and openings[-1] > 0.95

    def test_they_spread_for_ee_round_for_oo_and_the_lower_one_is_tucked_for_f(self) -> None:
        assert of("iː")[SPREAD] > 0.9 and of("uː")[SPREAD] < -0.9 and of("w")[SPREAD] < -0.9
        assert of("f")[TUCK] > 0.95 and of("V")[TUCK] > 0.95 and of("ɑ")[TUCK] < 0.01
        assert of("θ")[TONGUE] > 0.9 > of("l")[TONGUE] > 0.6 > of("t")[TONGUE] > 0.2 > of("k")[TONGUE]

    def test_rounding_is_seen_before_its_vowel_and_after_it(self) -> None:
        """Cohen and Massaro's example: the lips are round during the consonants of "stew"."""
        round_lips, spread_lips = fine(spoken_at("s t uː", 0.1)), fine(spoken_at("s t iː", 0.1))
        in_t = round(0.55 * 1000)
        assert round_lips[in_t, SPREAD] < -0.4 and spread_lips[in_t, SPREAD] > 0.4
        after = fine(spoken_at("uː t s", 0.1))
        assert after[in_t, SPREAD] < -0.4

    def test_quick_speech_opens_less(self) -> None:
        slow, quick = (fine(spoken_at("t ɑ t ɑ t", seconds))[:, OPENING].max() for seconds in (0.15, 0.04))
        assert quick < slow - 0.15


class TestRest:
    @pytest.mark.parametrize("vowel", ["ɑː", "iː", "uː"])
    def test_silence_shuts_the_mouth_within_120_ms(self, vowel: str) -> None:
        phones = spoken_at(vowel, 0.3)
        course = fine(phones)
        assert np.abs(course[round((phones[-1].start_s + 0.12) * 1000) :]).max() < 0.1
        assert np.abs(course[round((phones[-1].start_s + 0.3) * 1000) :]).max() < 0.01
        assert np.abs(course[: round((phones[0].stop_s - 0.15) * 1000)]).max() < 0.15

    def test_a_short_stop_of_the_voice_does_not_shut_it(self) -> None:
        phones = [Phone("ɑ", 0, 0.3), Phone("_", 0.3, 0.34), Phone("ɑ", 0.34, 0.7)]
        assert articulation(phones, 700, 1000)[150:550, OPENING].min() > 0.5

    def test_where_there_are_no_phones_it_rests(self) -> None:
        assert not articulation([], 5).any()
        alone = [Phone("ɑ", 1.0, 1.3)]
        course = articulation(alone, 100)
        np.testing.assert_array_equal(course, articulation([Phone("_", 0, 1), *alone, Phone("SIL", 1.3, 4)], 100))
        assert course[27:31, OPENING].min() > 0.9 and np.abs(course[60:]).max() < 1e-3


class TestSymbols:
    @pytest.mark.parametrize(
        ("arpabet", "ipa"),
        [("AA1", "ɑ"), ("IY0", "iː"), ("UW", "u"), ("CH", "tʃ"), ("DH", "ð"), ("OW2", "oʊ"), ("HH", "h"), ("SIL", "_")],
    )
    def test_arpabet_is_the_same_as_the_international_alphabet(self, arpabet: str, ipa: str) -> None:
        assert visemes_of(arpabet) == visemes_of(ipa)

    @pytest.mark.parametrize(("marked", "plain"), [("ˈɑ̃ː", "ɑ"), ("t̪ʰ", "t"), ("i.", "i"), ("sʲ", "s"), ("ɑ5", "ɑ")])
    def test_marks_are_left_out(self, marked: str, plain: str) -> None:
        assert visemes_of(marked) == visemes_of(plain)

    def test_diphthongs_move_and_affricates_have_two_parts(self) -> None:
        phones = spoken_at("aʊ", 0.3)
        course = fine(phones)
        assert course[475, OPENING] > 0.7 and course[640, SPREAD] < -0.5 and course[640, OPENING] < 0.5
        assert visemes_of("pf") == visemes_of("p") + visemes_of("f")

    def test_what_is_not_known_is_a_vowel_or_a_consonant_by_its_name(self) -> None:
        assert "Ꜿ".lower() == "ꜿ" and visemes_of("ᴀ")[0].target[OPENING] == 0.45
        assert visemes_of("ƛ") == visemes_of("1") == visemes_of("k")

    def test_all_phones_of_many_languages_are_known(self) -> None:
        """A symbol that is not falls back on the neutral vowel's 0.45; no known viseme has that and no spread."""
        for language, text in TEXTS.items():
            for phone in speak(text, VoiceConfig(language)).phones:
                assert all(viseme.target[:2] != (0.45, 0) for viseme in visemes_of(phone.symbol)), (language, phone)


class TestCourse:
    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from([*"pbmfvwʃθltskhiuɑæə_", "aɪ", "tʃ"]), st.floats(0.01, 0.5)), max_size=30),
        st.sampled_from(RATES),
    )
    def test_it_stays_within_its_ranges_and_follows_the_clock(
        self, sounds: list[tuple[str, float]], rate: Fraction
    ) -> None:
        phones: list[Phone] = []
        for symbol, seconds in sounds:
            start = phones[-1].stop_s if phones else 0.0
            phones.append(Phone(symbol, start, start + seconds))
        course = articulation(phones, 40, rate)
        assert course.shape == (40, len(ARTICULATION)) and np.isfinite(course).all()
        assert (course[:, [OPENING, TUCK, TONGUE]] >= 0).all() and (np.abs(course) <= 1).all()
        later = [
            Phone(phone.symbol, phone.start_s + float(7 / rate), phone.stop_s + float(7 / rate)) for phone in phones
        ]
        np.testing.assert_allclose(articulation(later, 47, rate)[7:], course, atol=0.02)

    def test_it_is_the_formula_of_the_paper(self) -> None:
        """F = ΣDT / ΣD, written out for one vowel between two silences."""
        (vowel,), (rest,) = visemes_of("ɑ"), visemes_of("_")
        time = 0.75
        distances = [(vowel, time - (0.4 + 0.8 * 0.3)), (rest, time - 0.34), (rest, 0.7 + 0.09 - time)]
        dominance = [v.strength[OPENING] * np.exp(-v.rate[OPENING] * distance) for v, distance in distances]
        wanted = dominance[0] * vowel.target[OPENING] / sum(dominance)
        assert articulation(spoken_at("ɑ", 0.3), 751, 1000)[750, OPENING] == pytest.approx(wanted, abs=0.02)

    def test_long_speech_is_computed_in_blocks_without_a_seam(self) -> None:
        phones = spoken_at("t ɑ p uː " * 60, 0.11)
        whole = articulation(phones, 600)
        (times,) = np.nonzero(np.abs(np.diff(whole[:, OPENING])) > 1)
        assert not len(times)
        shifted = [Phone(p.symbol, p.start_s - 4, p.stop_s - 4) for p in phones if p.start_s >= 4]
        np.testing.assert_allclose(articulation(shifted, 500)[50:], whole[150:], atol=1e-4)

    def test_phones_that_overlap_and_impossible_rates_are_refused(self) -> None:
        with pytest.raises(ParameterError, match="in the order of time"):
            articulation([Phone("a", 0, 0.5), Phone("b", 0.4, 0.6)], 5)
        with pytest.raises(ParameterError, match="in the order of time"):
            articulation([Phone("a", 0, float("nan"))], 5)
        with pytest.raises(ParameterError, match="numbers above zero"):
            articulation([], 5, 0)
