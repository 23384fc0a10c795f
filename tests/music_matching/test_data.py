"""Which samples are kept, how a film is cut at shots, and what the cache keeps."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.music_matching.data import PART_S, Cache, parts_at_shots, samples_of, unfit
from core.music_matching.features import TrackFeatures
from tests.factories import moving_clip
from tests.music_matching.test_features import made_track


@pytest.mark.parametrize(
    ("description", "word"),
    [
        ("Rock band plays a concert in the rain", "concert"),
        ("A live session of two guitarists", "concert"),
        ("A man speaking at a lectern", "talk"),
        ("Podcast about gardening", "talk"),
        ("Timelapse of clouds, no sound", "silent"),
        ("", "no description"),
    ],
)
def test_descriptions_of_other_things_are_refused_with_the_reason(description: str, word: str) -> None:
    assert word in unfit(description)


@pytest.mark.parametrize(
    "description", ["Waves at sunset with calm piano", "A walk in concertina hills", "Stalking cat"]
)
def test_descriptions_of_films_with_music_are_kept(description: str) -> None:
    assert unfit(description) == ""


def test_descriptions_stand_beside_the_films_or_in_a_table(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        moving_clip(tmp_path / f"{name}.mp4", duration_s=1)
    (tmp_path / "a.txt").write_text("Boats in a harbour\n")
    (tmp_path / "descriptions.tsv").write_text("b.mp4\tAn interview with a sailor\na.mp4\tnot this one\n")
    told = {sample.path.stem: sample for sample in samples_of(tmp_path)}
    assert told["a"].description == "Boats in a harbour" and told["a"].reason == ""
    assert "talk" in told["b"].reason and "no description" in told["c"].reason


@given(st.lists(st.integers(1, 2000), unique=True, max_size=30), st.integers(1, 2000))
def test_parts_cover_the_film_and_begin_with_shots(cuts: list[int], end: int) -> None:
    times = [Fraction(cut, 10) for cut in sorted(cuts) if cut < end]
    parts = parts_at_shots(times, Fraction(end, 10))
    assert parts[0][0] == 0 and parts[-1][1] == Fraction(end, 10)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert all(begin in (0, *times) for begin, _ in parts)
    assert all(stop - begin >= PART_S for begin, stop in parts[:-1])


def test_the_cache_makes_a_thing_once_and_a_broken_making_leaves_nothing(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path / "features"), []

    def make() -> TrackFeatures:
        made.append(1)
        return made_track()

    first, again = cache.track("one", make), cache.track("one", make)
    assert len(made) == 1 and np.array_equal(first.patches, again.patches)

    def fail() -> TrackFeatures:
        raise OSError

    with pytest.raises(OSError):
        cache.track("two", fail)
    assert [path.name for path in cache.folder.iterdir()] == ["one.safetensors"]
