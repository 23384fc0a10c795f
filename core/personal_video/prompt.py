"""Words of concepts, and the places in a prompt where they stand.

A word is compared without regard to case and to how its accents are coded. In a prompt it is found bare
(``biscuit runs``) or in angle brackets (``<biscuit> runs``); where several words begin at one place the longest counts.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from core.errors import ParameterError

LONGEST_WORD = 40
LONGEST_PROMPT = 20_000
"""Characters; about 3,000 words. A text encoder reads far less: MiniLM the first 256 tokens."""
_NEAREST = 5
_JOINERS = "\u200c\u200d"
"""Without width, between letters of Persian and Indic scripts."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese do not part words by spaces."""
_BRACKETED = re.compile(r"[<＜]([^<>＜＞\s](?:[^<>＜＞\n]*[^<>＜＞\s])?)[>＞]")


@dataclass(frozen=True)
class ConceptSpan:
    """A place in a prompt that stands for a concept: the characters ``start`` to ``end`` (exclusive)."""

    start: int
    end: int
    word: str
    """As it is written in the database."""


@dataclass(frozen=True)
class ParsedPrompt:
    """A prompt, and which of its characters stand for concepts.

    Attributes:
        text: for the text encoder: the prompt without the brackets around words, otherwise unchanged.
        spans: in order, without overlap; a word that occurs twice has two.
    """

    text: str
    spans: tuple[ConceptSpan, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The concepts that occur, each once, in order of their first place."""
        return tuple(dict.fromkeys(span.word for span in self.spans))


def checked_word(word: str) -> str:
    """The word as it is kept: composed characters (NFC), single spaces, no brackets around it.

    It is made of letters of any script, digits and dashes; single spaces may part it (``old grey cat``), as prompts are
    searched for the longest match anyway. It holds at least one letter or digit, and at most `LONGEST_WORD` characters.

    Raises:
        ParameterError: it is not such a word.

    >>> checked_word(" <Biscuit> ")
    'Biscuit'
    """
    text = " ".join(unicodedata.normalize("NFC", word).split())
    if bracketed := _BRACKETED.fullmatch(text):
        text = bracketed[1]
    if not text:
        raise ParameterError("The concept's word is empty; type a word, such as biscuit.")
    if len(text) > LONGEST_WORD:
        raise ParameterError(
            f"The concept's word has {len(text)} characters, more than {LONGEST_WORD}; choose a shorter one."
        )
    strange = [c for c in text if not (_is_wordly(c) or c == " " or unicodedata.category(c) == "Pd")]
    if strange:
        named = " ".join(f"{c!r}" for c in dict.fromkeys(strange))
        raise ParameterError(f"The concept's word holds {named}; use letters, digits, dashes and single spaces.")
    if not any(c.isalnum() for c in text):
        raise ParameterError(f"The concept's word {text!r} holds no letter or digit; choose a word, such as biscuit.")
    return text


def word_key(word: str) -> str:
    """What two words have in common when they are the same word.

    >>> word_key("STRASSE") == word_key("Straße")
    True
    """
    return "".join(_folded(word[start:end]) for start, end in _clusters(word))


def parse_prompt(prompt: str, words: Iterable[str]) -> ParsedPrompt:
    """Find the words of concepts in a prompt.

    A bare word is found where it is not part of a longer one: ``cat`` in ``cat's`` and in ``(cat)``, not in
    ``cattle``; in scripts without spaces it is found anywhere. A word in brackets must be one of the database;
    brackets around what is no word at all (``<->``) are left as they are.

    Args:
        prompt: any text.
        words: of the database, as `checked_word` gives them.

    Raises:
        ParameterError: the prompt is empty or too long, or a word in brackets is unknown; the message names the known
            words, the most alike first.
    """
    if not prompt.strip():
        raise ParameterError("The prompt is empty; say what is to be seen, such as: <biscuit> runs along a beach.")
    if len(prompt) > LONGEST_PROMPT:
        raise ParameterError(f"The prompt has {len(prompt)} characters, more than {LONGEST_PROMPT}; shorten it.")
    known = {word_key(word): word for word in words}
    bare = _BareWords(known)
    text, done = "", 0
    spans: list[ConceptSpan] = []
    for bracketed in _BRACKETED.finditer(prompt):
        if not any(c.isalnum() for c in bracketed[1]):
            continue
        before = prompt[done : bracketed.start()]
        spans += bare.spans(before, len(text))
        text += before
        word = known.get(word_key(" ".join(bracketed[1].split())))
        if word is None:
            raise ParameterError(_unknown(bracketed[1], list(known.values())))
        spans.append(ConceptSpan(len(text), len(text) + len(bracketed[1]), word))
        text += bracketed[1]
        done = bracketed.end()
    spans += bare.spans(prompt[done:], len(text))
    return ParsedPrompt(text + prompt[done:], tuple(spans))


def nearest_words(word: str, words: Sequence[str]) -> list[str]:
    """The words, those spelt most alike first, equals by alphabet."""
    key = word_key(word)
    return sorted(words, key=lambda other: (-SequenceMatcher(None, key, word_key(other)).ratio(), other))


class _BareWords:
    """Finds words that stand without brackets; the longest at each place."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known
        lengths: dict[str, set[int]] = defaultdict(set)
        for key in known:
            lengths[key[0]].add(len(key))
        self._lengths = {first: sorted(all, reverse=True) for first, all in lengths.items()}

    def spans(self, text: str, offset: int) -> Iterator[ConceptSpan]:
        """The places of words in a text whose first character is number ``offset`` of the prompt."""
        clusters = _clusters(text)
        folded = [_folded(text[start:end]) for start, end in clusters]
        joined = "".join(folded)
        cluster_at, place = {}, 0
        for number, piece in enumerate(folded):
            cluster_at[place] = number
            place += len(piece)
        cluster_at[place] = len(folded)
        begin = 0
        while begin < len(joined):
            end = self._match(joined, begin, text, clusters, cluster_at) if begin in cluster_at else None
            if end is None:
                begin += 1
                continue
            start, stop = clusters[cluster_at[begin]][0], clusters[cluster_at[end] - 1][1]
            yield ConceptSpan(offset + start, offset + stop, self._known[joined[begin:end]])
            begin = end

    def _match(
        self, joined: str, begin: int, text: str, clusters: list[tuple[int, int]], cluster_at: dict[int, int]
    ) -> int | None:
        """Where the longest word that begins here ends; None when none does."""
        if not _parts(text, clusters[cluster_at[begin]][0]):
            return None
        for length in self._lengths.get(joined[begin], ()):
            end = begin + length
            is_known = end in cluster_at and joined[begin:end] in self._known
            if is_known and _parts(text, clusters[cluster_at[end] - 1][1]):
                return end
        return None


def _unknown(word: str, known: list[str]) -> str:
    if not known:
        return f"No concept is called <{word}>, and the database is empty; add one with some pictures first."
    nearest = nearest_words(word, known)
    named = ", ".join(f"<{other}>" for other in nearest[:_NEAREST])
    more = f" and {len(nearest) - _NEAREST} more" if len(nearest) > _NEAREST else ""
    return (
        f"No concept is called <{word}>; there is {named}{more}. Correct the word, add the concept, or take the"
        " brackets away if none is meant."
    )


def _is_wordly(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in _JOINERS


def _parts(text: str, place: int) -> bool:
    """Whether a word may begin or end before the character at a place."""
    if place in (0, len(text)):
        return True
    before, after = text[place - 1], text[place]
    return not (_is_wordly(before) and _is_wordly(after)) or any(map(_UNSPACED.match, (before, after)))


def _clusters(text: str) -> list[tuple[int, int]]:
    """Start and end of each character with all that combines with it; a run of spaces is one character."""
    starts = [n for n in range(len(text)) if n == 0 or not _belongs(text[n - 1], text[n])]
    return list(pairwise([*starts, len(text)])) if text else []


def _belongs(before: str, character: str) -> bool:
    """Whether a character goes on what stands before it: an accent, a later part of a Hangul, a further space."""
    if character.isspace():
        return before.isspace()
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def _folded(cluster: str) -> str:
    if cluster.isspace():
        return " "
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", cluster).casefold())
