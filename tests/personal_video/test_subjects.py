"""Cut-out subjects: trimmed, named, and known to be the same where they are."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import MediaDamagedError, MediaOpenError, ParameterError
from core.personal_video.subjects import (
    Pixels,
    SubjectConfig,
    cut_out,
    is_plural,
    phrase_of,
    read_frames,
    read_pack,
    read_subjects,
    sources_of,
    write_pack,
)


def card(width: int = 80, height: int = 40, frames: int = 1) -> Pixels:
    """An opaque card within a clear border of 10; the frames differ in blue."""
    pictures = np.zeros((frames, height + 20, width + 20, 4), np.uint8)
    pictures[:, 10:-10, 10:-10] = (200, 100, 0, 255)
    pictures[:, 10:-10, 10:-10, 2] = np.linspace(0, 250, frames).astype(np.uint8)[:, None, None]
    return pictures


def manifest(folder: Path, *rows: tuple[str, str, str]) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("file", "name", "caption"), *rows])
    return path


def test_a_subject_is_trimmed_and_its_anchor_is_the_middle_of_what_is_seen() -> None:
    subject = cut_out("card", "card", card())
    assert subject.pictures.shape == (1, 40, 80, 4) and subject.anchor == (39.5, 19.5)
    heavy = card()
    heavy[:, 10:-10, 10:50, 3] = 128
    x, y = cut_out("card", "card", heavy).anchor
    assert x == pytest.approx((19.5 * 128 + 59.5 * 255) / (128 + 255)) and y == 19.5


def test_colours_are_multiplied_by_opacity_and_averaged_down_without_a_fringe() -> None:
    """What is clear may have any colour; none of it may be seen in the small picture."""
    picture = card(200, 100)
    picture[0, :, :, :3][picture[0, :, :, 3] == 0] = (0, 255, 255)
    picture[0, 10:-10, 10:-10, 3] = np.tile([255, 0], (100, 100))
    small = cut_out("card", "card", picture, side_px=50).pictures[0].astype(float)
    straight = small[..., :3] / small[..., 3:] * 255
    np.testing.assert_allclose(straight[2:-2, 2:-2], np.broadcast_to((200, 100, 0), (21, 46, 3)), atol=2)


def test_a_picture_in_which_nothing_is_visible_and_one_without_opacity_are_refused() -> None:
    with pytest.raises(ParameterError, match="Nothing is visible in ghost"):
        cut_out("ghost", "ghost", card() * np.array([1, 1, 1, 0], np.uint8))
    with pytest.raises(ParameterError, match="with opacity"):
        cut_out("photo", "photo", card()[..., :3])


@pytest.mark.parametrize(
    ("name", "phrase", "plural"),
    [
        ("frog-1", "a frog", False),
        ("An owl.", "an owl", False),
        ("Some grapes", "some grapes", True),
        ("clapping hands", "clapping hands", True),
        ("octopus", "an octopus", False),
        ("The letter R.", "the letter R", False),
        ("unicorn", "a unicorn", False),
        ("wine glass", "a wine glass", False),
        ("slices of bread", "slices of bread", True),
        ("bunch of flowers", "a bunch of flowers", False),
    ],
)
def test_a_caption_calls_a_subject_by_its_noun_and_article(name: str, phrase: str, plural: bool) -> None:
    assert phrase_of(name) == phrase and is_plural(phrase) == plural


def test_variants_share_a_source_and_different_subjects_do_not() -> None:
    named = [
        ("animals/frog.png", "frog"),
        ("animals/frog-1.png", "a frog"),
        ("animals/heron.png", "heron"),
        ("animals/heron_flying.png", "a bird in the air"),
        ("emoji/1f44b-1f3fb.webp", "waving hand"),
        ("emoji/1f44b-1f3ff.webp", "waving hand"),
        ("emoji/1f468-1f3fb-200d-1f373.webp", "man cook"),
        ("emoji/1f469-1f3fd-200d-1f373.webp", "woman cook"),
        ("emoji/1f468-1f3fb-200d-1f692.webp", "man firefighter"),
        ("emoji/1f438.webp", "frog face"),
        ("toys/frog.png", "A frog."),
    ]
    sources = dict(zip([file for file, _ in named], sources_of(named), strict=True))
    groups = {frozenset(file for file in sources if sources[file] == source) for source in sources.values()}
    assert groups == {
        frozenset({"animals/frog.png", "animals/frog-1.png", "toys/frog.png"}),
        frozenset({"animals/heron.png", "animals/heron_flying.png"}),
        frozenset({"emoji/1f44b-1f3fb.webp", "emoji/1f44b-1f3ff.webp"}),
        frozenset({"emoji/1f468-1f3fb-200d-1f373.webp", "emoji/1f469-1f3fd-200d-1f373.webp"}),
        frozenset({"emoji/1f468-1f3fb-200d-1f692.webp"}),
        frozenset({"emoji/1f438.webp"}),
    }


def test_sources_do_not_depend_on_which_other_subjects_are_listed_between() -> None:
    frogs = [("a/frog.png", "frog"), ("a/frog-1.png", "frog")]
    between = [("a/toad.png", "toad"), ("a/frogfish.png", "frogfish")]
    assert len(set(sources_of(frogs))) == 1
    alone, among = sources_of(frogs), sources_of([frogs[0], *between, frogs[1]])
    assert alone[0] == among[0] == among[3] and among[2] != among[0]


def test_a_manifest_is_read_with_animated_and_still_subjects_and_without_drawings_and_small_ones(
    tmp_path: Path,
) -> None:
    Image.fromarray(card()[0]).save(tmp_path / "card.png")
    Image.fromarray(card(30, 30)[0]).save(tmp_path / "small.png")
    film = [Image.fromarray(picture) for picture in card(frames=10)]
    for suffix in ("webp", "png"):
        film[0].save(tmp_path / f"film.{suffix}", save_all=True, append_images=film[1:], duration=40, lossless=True)
    (tmp_path / "drawing.svg").write_text("<svg/>")
    listed = manifest(
        tmp_path,
        ("card.png", "card", "A red card."),
        ("small.png", "dot", ""),
        ("film.webp", "flag it", ""),
        ("film.png", "flickering card", "Look at it. It flickers in all the colours that there are, and more."),
        ("drawing.svg", "drawing", ""),
    )
    still, webp, apng = read_subjects(listed, SubjectConfig(frames=5, side_px=40))
    assert [subject.phrase for subject in (still, webp, apng)] == ["a red card", "a flag", "a flickering card"]
    assert still.pictures.shape == (1, 20, 40, 4) and not still.animated
    for moving in (webp, apng):
        assert moving.animated and moving.pictures[:, 10, 20, 2].tolist() == [0, 55, 111, 166, 222]


def test_files_that_are_missing_or_damaged_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MediaOpenError, match=r"nowhere\.csv is not there"):
        read_subjects(tmp_path / "nowhere.csv")
    with pytest.raises(MediaOpenError, match=r"gone\.png"):
        read_subjects(manifest(tmp_path, ("gone.png", "gone", "")))
    listed = tmp_path / "short.csv"
    listed.write_text("file\na.png\n")
    with pytest.raises(MediaOpenError, match="caption, name"):
        read_subjects(listed)
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 4)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:5000])
    with pytest.raises(MediaDamagedError, match=r"half\.png cannot be decoded"):
        read_frames(tmp_path / "half.png", 4)


def test_a_pack_gives_back_what_was_kept(tmp_path: Path) -> None:
    subjects = [cut_out("card", "some cards", card()), cut_out("film", "film", card(frames=3), source="films")]
    write_pack(subjects, tmp_path / "pack")
    for before, after in zip(subjects, read_pack(tmp_path / "pack"), strict=True):
        told = ("key", "phrase", "source", "plural", "anchor")
        assert all(getattr(before, name) == getattr(after, name) for name in told)
        np.testing.assert_array_equal(before.pictures, after.pictures)
    with pytest.raises(MediaOpenError, match="write_pack"):
        read_pack(tmp_path / "other")
    with pytest.raises(ParameterError, match="no subjects"):
        write_pack([], tmp_path / "none")
