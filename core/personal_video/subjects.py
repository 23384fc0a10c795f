"""Cut-out subjects for training clips: pictures with transparency, their names, and which of them are the same subject.

A manifest (CSV with a header) names the files. PNG, WebP and APNG are read, animated ones with their frames; SVG is
passed over, since nothing that the app installs can rasterise it. Pictures that show one and the same subject (skin
tones, ``frog`` and ``frog-1``, two drawings of one noun) share a source, so that a subject is kept out of training as
a whole.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import MediaDamagedError, MediaOpenError, ParameterError, check_ranges
from core.media.whole_file import written_whole
from core.runtime import Progress, silent

Pixels = NDArray[np.uint8]
Point = tuple[float, float]
_READABLE = {".png", ".apng", ".webp"}
_SEEN = 8
"""Opacity (of 255) from which a pixel belongs to the subject."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One cut-out subject.

    Attributes:
        key: names the picture, usually its file.
        phrase: what a caption calls it, with its article: "a frog", "some grapes".
        source: shared by all pictures of the same subject.
        pictures: (T, h, w, 4), RGB times opacity, and opacity; trimmed to what is visible; T is 1 unless animated.
        plural: several things, so that the verb takes no "s".
    """

    key: str
    phrase: str
    source: str
    pictures: Pixels
    plural: bool = False

    @cached_property
    def anchor(self) -> Point:
        """The middle of the opacity, averaged over the frames: (x, y) in pixels of `pictures`, from a corner pixel's
        centre.
        """
        weight = self.pictures[..., 3].sum(axis=0, dtype=np.float64)
        total = weight.sum()
        across, down = np.arange(weight.shape[1]), np.arange(weight.shape[0])
        return float(weight.sum(axis=0) @ across / total), float(weight.sum(axis=1) @ down / total)

    @property
    def animated(self) -> bool:
        """It moves by itself."""
        return len(self.pictures) > 1


@dataclass(frozen=True)
class SubjectConfig:
    """How subjects are read.

    Raises:
        ParameterError: a value is out of its range.
    """

    side_px: int = field(default=96, metadata={"help": "longest side that a subject is kept at, 16 to 512"})
    frames: int = field(default=16, metadata={"help": "frames kept of an animated subject, 2 to 64"})
    least_px: int = field(default=64, metadata={"help": "subjects with a smaller longest side are left out, 1 to 512"})

    def __post_init__(self) -> None:
        check_ranges(self, ("side_px", 16, 512), ("frames", 2, 64), ("least_px", 1, 512))


def cut_out(key: str, name: str, pictures: Pixels, side_px: int = 96, source: str = "") -> Subject:
    """A subject from its pictures.

    Args:
        key: names the picture.
        name: what it shows, with or without an article: "frog", "A frog.".
        pictures: uint8 (T, H, W, 4), RGB and opacity, not multiplied.
        side_px: its longest side after trimming is made this small; smaller ones stay as they are.
        source: what it shares with other pictures of the same subject; its phrase when empty.

    Raises:
        ParameterError: the pictures have no opacity channel, or nothing in them is visible.
    """
    if pictures.ndim != 4 or pictures.shape[3] != 4:
        raise ParameterError(f"The pictures of {key} have shape {pictures.shape}; give (T, H, W, 4) with opacity.")
    seen = pictures[..., 3].max(axis=0) >= _SEEN
    if not seen.any():
        raise ParameterError(f"Nothing is visible in {key}; give a picture with opaque parts.")
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    trimmed = pictures[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint16)
    trimmed[..., :3] = (trimmed[..., :3] * trimmed[..., 3:] + 127) // 255
    phrase = phrase_of(name)
    shrunk = shrink(trimmed.astype(np.uint8), side_px)
    return Subject(key, phrase, source or phrase, shrunk, is_plural(phrase))


def shrink(pictures: Pixels, side_px: int) -> Pixels:
    """The pictures (T, h, w, C), averaged down until the longest side is `side_px`; smaller ones as they are."""
    height, width = pictures.shape[1:3]
    if max(height, width) <= side_px:
        return pictures
    scale = side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures])


def read_subjects(
    manifest: Path, config: SubjectConfig | None = None, progress: Progress = silent, licences: Sequence[str] = ()
) -> list[Subject]:
    """The subjects that a manifest names, in its order.

    Args:
        manifest: CSV with the columns ``file`` (relative to the manifest), ``name`` and ``caption``.
        config: sizes.
        progress: told of every file.
        licences: only rows whose column ``licence`` says one of these; all when empty.

    Raises:
        MediaOpenError: the manifest is missing, has no such columns, or names a picture that is not there.
        MediaDamagedError: a picture cannot be decoded.
    """
    config = config or SubjectConfig()
    rows = [row for row in _rows(manifest) if Path(row["file"]).suffix.lower() in _READABLE]
    rows = [row for row in rows if not licences or row.get("licence") in licences]
    sources = sources_of([(row["file"], _name(row)) for row in rows])
    subjects = []
    for number, (row, source) in enumerate(zip(rows, sources, strict=True)):
        progress(number, len(rows), row["file"])
        pictures = read_frames(manifest.parent / row["file"], config.frames)
        seen = pictures[..., 3].max(axis=0) >= _SEEN
        if max(seen.any(axis=0).sum(), seen.any(axis=1).sum()) >= config.least_px:
            subjects.append(cut_out(row["file"], _name(row), pictures, config.side_px, source))
    return subjects


def _rows(manifest: Path) -> list[dict[str, str]]:
    try:
        with manifest.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except FileNotFoundError as error:
        raise MediaOpenError(f"{manifest} is not there; give the CSV file that lists the subjects.") from error
    missing = {"file", "name", "caption"} - set(rows[0] if rows else ())
    if missing:
        raise MediaOpenError(f"{manifest} lacks the columns {', '.join(sorted(missing))}; add them to its first line.")
    return rows


def read_frames(path: Path, most: int) -> Pixels:
    """The frames of a picture, uint8 (T, H, W, 4), RGB and opacity; of an animated one at most `most`, evenly spread.

    Raises:
        MediaOpenError: the file is missing or no picture.
        MediaDamagedError: it cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            count = int(getattr(opened, "n_frames", 1))
            wanted = [index * count // min(most, count) for index in range(min(most, count))]
            frames = []
            for index in wanted:
                opened.seek(index)
                frames.append(np.asarray(opened.convert("RGBA"), np.uint8))
    except (FileNotFoundError, UnidentifiedImageError) as error:
        raise MediaOpenError(f"{path} is not there or is no picture; mend or remove its line in the list.") from error
    except (OSError, EOFError, SyntaxError) as error:
        raise MediaDamagedError(f"{path} cannot be decoded ({error}); fetch it again or remove its line.") from error
    return np.stack(frames)


_PLAIN_CAPTION = re.compile(
    r"(an?|the|some|two|three|several) (?!.*\b(is|are|means|carries|resembles)\b).+", re.IGNORECASE
)
_ARTICLE = re.compile(r"(an?|the|some|two|three|several|many) ", re.IGNORECASE)
_MANY = re.compile(r"(some|two|three|several|many) ", re.IGNORECASE)
_NO_PLURAL = ("ss", "us", "is", "ous", "lens", "compass", "gas", "tennis", "mars", "christmas")
_SKIN = re.compile(r" ?emoji modifier fitzpatrick type-[\d-]+| ?emoji component")
_MOST_WORDS = 10
_WITH = MappingProxyType(
    {
        "cooking": "cook", "fire engine": "firefighter", "rocket": "astronaut", "airplane": "pilot",
        "school": "teacher", "wrench": "mechanic", "microphone": "singer", "artist palette": "painter",
        "factory": "welder", "scales": "judge", "staff of aesculapius": "doctor", "graduation cap": "student",
        "microscope": "scientist", "ear of rice": "farmer", "briefcase": "office worker",
        "personal computer": "programmer", "baby bottle": "with a baby", "manual wheelchair": "in a wheelchair",
        "motorized wheelchair": "in a wheelchair", "probing cane": "with a cane", "bald": "without hair",
        "curly hair": "with curly hair", "red hair": "with red hair", "white hair": "with white hair",
    }
)  # fmt: skip
"""What Unicode's sequences of "man" or "woman" and a thing stand for."""


def phrase_of(name: str) -> str:
    """What a caption calls a subject, with its article.

    >>> phrase_of("An owl."), phrase_of("owl"), phrase_of("grapes"), phrase_of("tree_frog-1")
    ('an owl', 'an owl', 'grapes', 'a tree frog')
    """
    noun = re.sub(r"[-_ ]*\d+$", "", name.strip().rstrip(".!")) or name
    noun = re.sub(r"[_ ]+", " ", noun)
    start = _ARTICLE.match(noun)
    if start:
        return noun[: start.end()].lower() + noun[start.end() :]
    if is_plural(noun):
        return noun
    vowel = noun[0].lower() in "aeiou" and not noun.lower().startswith(("uni", "ura", "euro"))
    return f"{'an' if vowel else 'a'} {noun}"


def is_plural(phrase: str) -> bool:
    """Whether a verb after it takes no "s"."""
    if _MANY.match(phrase):
        return True
    last = re.split(r" (?:of|with|in|on|and|at|without) ", phrase)[0].split()[-1]
    return not _ARTICLE.match(phrase) and last.endswith("s") and not last.endswith(_NO_PLURAL)


def _name(row: dict[str, str]) -> str:
    """The caption's beginning where it is a short noun phrase, otherwise the name without numbers and skin tones."""
    caption = row["caption"].strip()
    start = re.split(r"[.,;:!?—(“]", caption)[0].strip()
    few = len(start.split()) <= _MOST_WORDS
    if few and _PLAIN_CAPTION.fullmatch(start):
        return start
    if start and caption == start + "." and len(start.split()) <= 2:
        return start.lower()
    name = re.sub(r"^(\w )?\d+[-_ ]*(?=[a-zA-Z])", "", _SKIN.sub("", row["name"] or Path(row["file"]).stem).strip())
    if name.startswith("flag "):
        return "flag"
    who, _, thing = name.partition(" ")
    if who in {"man", "woman", "adult"} and thing:
        family = {"boy", "girl"} & set(thing.split())
        return "family" if family else f"{who} {_WITH.get(thing, thing)}"
    for ending, before in ((" female sign", "woman "), (" male sign", "man ")):
        if name.endswith(ending):
            return before + name.removesuffix(ending)
    return re.sub(r"^(squared|white|digit) (?=\w)|( hands?) sign$| combining enclosing keycap$", r"\2", name)


def sources_of(named: Sequence[tuple[str, str]]) -> list[str]:
    """Which pictures show the same subject: for each of (file, name) the first file, by alphabet, that shows it too.

    They do when they have the same noun, when the files lie in one folder and differ in a number or in what follows
    ``_`` or ``-`` (``frog``, ``frog-1``, ``heron_flying`` beside ``heron``), or in the code points of skin and sex.
    """
    leader = list(range(len(named)))

    def lead(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    def join(key: Callable[[str, str], str]) -> None:
        first: dict[str, int] = {}
        for index, (file, name) in enumerate(named):
            other = lead(first.setdefault(key(file, name), index))
            low, high = sorted((other, lead(index)))
            leader[high] = low

    join(lambda _, name: phrase_of(name).lower())
    join(lambda file, _: _bare(file))
    for shorter, longer in _prefixes([_bare(file) for file, _ in named]):
        low, high = sorted((lead(shorter), lead(longer)))
        leader[high] = low
    leads = [lead(index) for index in range(len(named))]
    names = {
        index: min(file for (file, _), its in zip(named, leads, strict=True) if its == index) for index in set(leads)
    }
    return [names[index] for index in leads]


def _bare(file: str) -> str:
    """The file without suffix, trailing number, and the code points that tell skin and sex."""
    stem = re.sub(r"-(1f3f[b-f]|fe0f|200d-264[02])(?=-|$)", "", file.rpartition(".")[0].lower())
    stem = re.sub(r"(^|/)(1f468|1f469|1f9d1)(?=-|$)", r"\g<1>person", stem)
    return stem if re.fullmatch(r"(.*/)?(person-)?[0-9a-f-]{4,}", stem) else re.sub(r"[-_]*\d+$", "", stem)


def _prefixes(stems: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Pairs of which the first stem begins the second, before ``_`` or ``-``; code points and initials do not."""
    order = sorted(range(len(stems)), key=lambda index: re.sub("[-_]", " ", stems[index]))
    for one, two in pairwise(order):
        shorter, rest = stems[one], stems[two].removeprefix(stems[one])
        name = re.split(r"/|__", shorter)[-1]
        worded = len(name) > 2 and re.search("[g-z]", name) and "person" not in name
        if worded and rest != stems[two] and re.match("[-_](?!_)", rest):
            yield one, two


def write_pack(subjects: Sequence[Subject], path: Path) -> None:
    """Keep subjects in one file, so that workers start at once and share their pixels.

    Args:
        subjects: at least one.
        path: gets the suffix ``.npy``; the names lie beside it in ``.json``.

    Raises:
        ParameterError: there are none.
    """
    if not subjects:
        raise ParameterError("There are no subjects to keep; read some first.")
    told = [[s.key, s.phrase, s.source, s.plural, *s.pictures.shape[:3]] for s in subjects]
    with written_whole(path.with_suffix(".npy")) as part, part.open("wb") as out:
        np.save(out, np.concatenate([subject.pictures.ravel() for subject in subjects]))
    with written_whole(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(told), encoding="utf-8")


def read_pack(path: Path) -> list[Subject]:
    """The subjects that `write_pack` kept; their pixels stay in the file until they are used.

    Raises:
        MediaOpenError: the files are not there.
    """
    try:
        pixels = np.load(path.with_suffix(".npy"), mmap_mode="r")
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MediaOpenError(f"{path} holds no pack of subjects; write one with write_pack first.") from error
    subjects, start = [], 0
    for key, phrase, source, plural, count, height, width in told:
        end = start + 4 * count * height * width
        pictures = np.asarray(pixels[start:end]).reshape(count, height, width, 4)
        subjects.append(Subject(key, phrase, source, pictures, plural))
        start = end
    return subjects
