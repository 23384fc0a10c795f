"""Coding in memory: as many pictures come back, near the originals, and damage does what it says."""

from fractions import Fraction

import numpy as np
import pytest

from core.errors import MediaError
from core.media.coding import Codec, coded
from tests.factories import Pixels, number_of, numbered_pictures

RATE = Fraction(10)
LIGHT = {
    "libx264": {"crf": "18", "preset": "superfast"},
    "libx265": {"crf": "18", "preset": "ultrafast", "x265-params": "log-level=none:pools=none"},
    "libvpx-vp9": {"crf": "20", "b:v": "0", "deadline": "realtime", "cpu-used": "8"},
    "mpeg4": {"qmin": "3", "qmax": "3", "b": "100000000"},
}


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    return list(numbered_pictures(12))


def difference(first: list[Pixels], second: list[Pixels]) -> float:
    return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(first, second, strict=True)]))


@pytest.mark.parametrize("name", LIGHT)
def test_every_picture_comes_back_in_its_place_and_near_what_it_was(name: str, pictures: list[Pixels]) -> None:
    made = coded(pictures, RATE, Codec(name, LIGHT[name]))
    assert [number_of(picture) for picture in made] == list(range(12))
    assert difference(made, pictures) < 6


def test_a_lower_quality_strays_further(pictures: list[Pixels]) -> None:
    errors = [
        difference(coded(pictures, RATE, Codec("libx264", {"crf": crf, "preset": "superfast"})), pictures)
        for crf in ("10", "30", "45")
    ]
    assert errors == sorted(errors) and errors[0] < errors[2] / 2


def test_damage_is_the_same_for_a_seed_grows_with_its_share_and_spares_the_first_picture(
    pictures: list[Pixels],
) -> None:
    options = {"crf": "18", "preset": "superfast", "slices": "4", "bf": "0", "threads": "1"}
    whole = coded(pictures, RATE, Codec("libx264", options))
    some, again, most = (
        coded(pictures, RATE, Codec("libx264", options, lost=share, seed=3)) for share in (0.2, 0.2, 1.0)
    )
    assert len(some) == len(most) == len(pictures)
    assert all(np.array_equal(a, b) for a, b in zip(some, again, strict=True))
    assert np.array_equal(most[0], whole[0])
    assert 0 < difference(some, whole) < difference(most, whole)


def test_options_that_cannot_be_are_told(pictures: list[Pixels]) -> None:
    with pytest.raises(MediaError, match="libx264 cannot encode"):
        coded(pictures, RATE, Codec("libx264", {"preset": "fastest-of-all"}))
