"""Copies that are kept, and the measure that is taken with them."""

from pathlib import Path

import pytest

from core.bulk import ALONE, Workers
from core.encoders.image import ImageEncoder
from core.errors import CancelledError, ParameterError
from core.runtime import CancelToken, cancellable, silent
from core.video_search import kept_copies
from core.video_search.assessment import as_table, assess
from core.video_search.copies import TRANSFORMS
from core.video_search.descriptor import Descriptor, MeanDescriptor
from core.video_search.kept_copies import kept_copy
from tests.factories import moving_clip, still_picture
from tests.video_search.colours import ColourEncoder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [moving_clip(folder / f"{seed}.mp4", 96, 64, duration_s=1, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def colours() -> tuple[ImageEncoder, Descriptor]:
    encoder = ColourEncoder()
    return encoder, MeanDescriptor(encoder)


def measured(films: list[Path], cache: Path) -> dict[str, float]:
    scores = assess(films, colours, cache)
    return {row.transform: row.recall_at_1.value for row in scores}


def test_a_copy_is_made_once_and_stays_the_same_when_its_film_is_renamed(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept_copy(films[0], "picture_in_picture", tmp_path, films)
    assert first.path.exists() and first.background in films[1:] and first.strengths
    renamed = tmp_path / "renamed.mp4"
    renamed.write_bytes(films[0].read_bytes())
    monkeypatch.setattr(kept_copies, "make_copy", lambda *arguments: pytest.fail("made again"))
    again = kept_copy(renamed, "picture_in_picture", tmp_path, films)
    assert (again.path, again.strengths, again.background) == (first.path, first.strengths, first.background)
    assert (again.start_s, again.end_s) == (first.start_s, first.end_s)


def test_a_copy_whose_making_was_cut_short_is_made_again(films: list[Path], tmp_path: Path) -> None:
    copy = kept_copy(films[1], "crop", tmp_path)
    whole = copy.path.read_bytes()
    copy.path.write_bytes(b"half")
    copy.path.with_suffix(".json").unlink()
    assert kept_copy(films[1], "crop", tmp_path).path.read_bytes() == whole


def test_every_transform_is_measured_and_what_cannot_be_copied_is_left_out(films: list[Path], cache: Path) -> None:
    picture = still_picture(cache / "still.png")
    found = measured([*films, picture], cache)
    assert list(found) == ["overall", *TRANSFORMS]
    assert found["reencode"] == found["frame_rate"] == 1
    assert {path.name for path in cache.rglob("*.mp4")} == {f"{transform}.mp4" for transform in TRANSFORMS}


def test_the_film_behind_a_small_picture_is_not_counted_against_it(films: list[Path], cache: Path) -> None:
    """Of two films the one is behind the other, and more of it is seen: its copies would all be missed."""
    assert measured(films[:2], cache / "pairs")["picture_in_picture"] == 1


def test_too_few_films_are_refused_and_a_wish_to_stop_is_heard(films: list[Path], cache: Path) -> None:
    with pytest.raises(ParameterError, match="fewer than two"):
        assess(films[:1], colours, cache)
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        assess(films, colours, cache, cancellable(silent, token))


def test_the_table_has_a_line_for_every_row(films: list[Path], cache: Path) -> None:
    scores = assess(films, colours, cache)
    lines = as_table(scores).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {row.transform}" for row in scores]
    assert all(str(row.recall_at_1) in line for row, line in zip(scores, lines[2:], strict=True))


def test_the_scores_are_the_same_however_many_processes_measure(films: list[Path], tmp_path: Path) -> None:
    alone, shared = (assess(films, colours, tmp_path / name, how=how) for name, how in
                     (("alone", ALONE), ("shared", Workers(2))))  # fmt: skip
    assert shared == alone and len(list((tmp_path / "shared").rglob("*.mp4"))) == len(films) * len(TRANSFORMS)
