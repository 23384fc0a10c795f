"""Words, and where they stand in prompts."""

import unicodedata

import pytest

from core.errors import ParameterError
from core.personal_video.prompt import LONGEST_PROMPT, LONGEST_WORD, checked_word, nearest_words, parse_prompt, word_key


def found(prompt: str, *words: str) -> list[tuple[str, str]]:
    """What is written at each span, and the concept it stands for."""
    parsed = parse_prompt(prompt, words)
    return [(parsed.text[span.start : span.end], span.word) for span in parsed.spans]


@pytest.mark.parametrize(
    "word", ["biscuit", "小白", "Ёжик", "เจ้าเหมียว", "हिन्दी", "R2-D2", "old grey cat", "강아지", "7"]
)
def test_letters_of_any_script_digits_dashes_and_single_spaces_make_a_word(word: str) -> None:
    assert checked_word(word) == unicodedata.normalize("NFC", word)
    assert found(f"<{word}> runs", word) == [(checked_word(word), word)]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("<>", "holds '<'"),
        ("---", "no letter or digit"),
        ("!?", "holds '!' '\\?'"),
        ("dog🐶", "holds '🐶'"),
        ("a/b", "holds '/'"),
        ("a\0b", "holds"),
        ("x" * (LONGEST_WORD + 1), f"more than {LONGEST_WORD}"),
    ],
)
def test_what_is_no_word_is_refused_with_the_reason(word: str, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        checked_word(word)


def test_case_the_coding_of_accents_brackets_and_spaces_around_do_not_make_another_word() -> None:
    assert (
        len({word_key(checked_word(w)) for w in ("Zoë", "ZOË", unicodedata.normalize("NFD", "zoë"), " <zoë>  ")}) == 1
    )
    assert word_key("zoe") != word_key("zoë")


@pytest.mark.parametrize(
    ("prompt", "places"),
    [
        ("biscuit runs", ["biscuit"]),
        ("(Biscuit), BISCUIT's bone; “biscuit”!", ["Biscuit", "BISCUIT", "biscuit"]),
        ("a biscuit-coloured sofa", ["biscuit"]),
        ("🐶biscuit🐶", ["biscuit"]),
        ("<biscuit>的朋友 biscuit在跑", ["biscuit", "biscuit"]),
        ("two biscuits and shortbiscuit", []),
        ("＜biscuit＞", ["biscuit"]),
    ],
)
def test_a_word_is_found_in_brackets_or_bare_but_not_inside_another_word(prompt: str, places: list[str]) -> None:
    assert found(prompt, "biscuit") == [(place, "biscuit") for place in places]


def test_a_chinese_word_is_found_without_spaces_around_it() -> None:
    assert found("我的小白在跑", "小白") == [("小白", "小白")]


def test_the_longest_word_counts_and_a_shorter_one_is_found_where_the_longer_one_is_not() -> None:
    words = ("cat", "old grey cat", "old", "小白", "小白狗")
    assert found("the OLD  grey\ncat, an old cat", *words) == [
        ("OLD  grey\ncat", "old grey cat"),
        ("old", "old"),
        ("cat", "cat"),
    ]
    assert found("小白狗和小白", *words) == [("小白狗", "小白狗"), ("小白", "小白")]


def test_spans_stay_in_place_where_lower_case_or_composing_changes_the_length() -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    assert found(f"İİ ßß {decomposed} 각 STRASSE", "zoë", "straße") == [(decomposed, "zoë"), ("STRASSE", "straße")]
    assert found(unicodedata.normalize("NFD", "강아지"), "강아지")[0][1] == "강아지"


def test_a_word_is_not_found_in_the_half_of_a_letter() -> None:
    assert found("cafe\u0301", "cafe") == []
    assert found("Straße", "stras") == []


def test_the_text_for_the_encoder_has_no_brackets_around_words_and_is_otherwise_unchanged() -> None:
    parsed = parse_prompt("a <Biscuit>  <-> 1 < 2,\n<biscuit>🐾", ["biscuit"])
    assert parsed.text == "a Biscuit  <-> 1 < 2,\nbiscuit🐾"
    assert [(span.start, span.end) for span in parsed.spans] == [(2, 9), (22, 29)]


def test_the_same_word_twice_is_one_concept_with_two_spans_and_several_concepts_keep_their_order() -> None:
    parsed = parse_prompt("<milo> and <biscuit> chase <Milo>", ["biscuit", "milo"])
    assert parsed.words == ("milo", "biscuit")
    assert [span.word for span in parsed.spans] == ["milo", "biscuit", "milo"]


def test_an_unknown_word_in_brackets_is_an_error_that_names_the_nearest_known_words_first() -> None:
    with pytest.raises(ParameterError, match=r"<biscit>; there is <biscuit>, .* and 2 more"):
        parse_prompt("a <biscit> runs", ["zebra", "milo", "biscuit", "tom", "ada", "otto", "小白"])
    with pytest.raises(ParameterError, match="database is empty"):
        parse_prompt("a <biscuit> runs", [])
    assert nearest_words("MILOO", ["biscuit", "milo", "mila"])[0] == "milo"


@pytest.mark.parametrize("prompt", ["", " \n\t"])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(ParameterError, match="prompt is empty"):
        parse_prompt(prompt, ["biscuit"])


def test_two_thousand_words_are_read_and_more_than_can_be_meant_is_refused() -> None:
    prompt = " ".join(["word"] * 1999) + " biscuit"
    (span,) = parse_prompt(prompt, ["biscuit", *(f"word-{n}" for n in range(200))]).spans
    assert prompt[span.start : span.end] == "biscuit"
    with pytest.raises(ParameterError, match="shorten it"):
        parse_prompt("x" * (LONGEST_PROMPT + 1), [])


def test_every_span_holds_the_word_it_stands_for_whatever_stands_around_it() -> None:
    words = ["biscuit", "小白", "zoë", "old grey cat"]
    around = ["", " ", ",", "🐶", "👩‍👩‍👧", "«", "\u200b", "在", "'", "\n", "<", ">", "< >", " é "]
    for word in words:
        for before in around:
            for after in around:
                for written in (word, word.upper(), f"<{word}>"):
                    parsed = parse_prompt(f"{before}{written}{after}", words)
                    places = [parsed.text[span.start : span.end] for span in parsed.spans if span.word == word]
                    assert [word_key(place) for place in places] == [word_key(word)], (before, written, after)
