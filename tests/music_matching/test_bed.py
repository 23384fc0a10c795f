"""The bed: exact length, joints on bars, fades, equal-power crossfades."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ParameterError
from core.music_matching.bed import BedPlan, Piece, plan_pieces, render_bed

RATE = 1000
BARS = np.arange(0, 60, 2.0)


@settings(max_examples=200, deadline=None)
@given(
    track_s=st.floats(8, 200), wanted_s=st.floats(0.2, 900), share=st.floats(0, 0.99), bar_s=st.floats(0.8, 4),
    crossfade_s=st.floats(0.01, 2),
)  # fmt: skip
def test_pieces_fill_the_wanted_length_within_the_track_and_join_on_bars(
    track_s: float, wanted_s: float, share: float, bar_s: float, crossfade_s: float
) -> None:
    bars = np.arange(0.3, track_s, bar_s)
    start = float(bars[int(share * len(bars))])
    try:
        pieces = plan_pieces(track_s, bars, start, wanted_s, crossfade_s)
    except ParameterError as error:
        assert "too short" in str(error)
        assert track_s - start < crossfade_s + 1.1 * max(bar_s, 1) or crossfade_s > 1
        return
    assert sum(piece.end_s - piece.begin_s for piece in pieces) == pytest.approx(wanted_s, abs=1e-6)
    assert pieces[0].begin_s == start
    for piece, after in pairwise(pieces):
        assert np.abs(bars - after.begin_s).min() < 1e-9
        assert np.abs(bars - piece.end_s).min() < 1e-9 or piece.end_s == pytest.approx(track_s - crossfade_s)
        assert piece.end_s + crossfade_s <= track_s + 1e-9
    assert all(0 <= piece.begin_s < piece.end_s <= track_s + 1e-9 for piece in pieces)


def test_a_long_track_is_cut_and_a_short_one_goes_round() -> None:
    assert plan_pieces(60, BARS, 10, 30, 0.5) == (Piece(10, 40),)
    pieces = plan_pieces(60, BARS, 10, 100, 0.5)
    assert pieces == (Piece(10, 58), Piece(10, 58), Piece(10, 14))


def test_a_start_near_the_end_goes_round_from_the_first_bar() -> None:
    assert plan_pieces(60, BARS, 54, 20, 0.5) == (Piece(54, 58), Piece(0, 16))


def test_music_without_beats_goes_round_as_a_whole() -> None:
    assert plan_pieces(10, np.zeros(0), 0, 15, 0.5) == (Piece(0, 9.5), Piece(0, 5.5))


@pytest.mark.parametrize(("start", "words"), [(60.0, "start within it"), (-1.0, "start within it")])
def test_a_start_outside_the_track_is_refused(start: float, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        plan_pieces(60, BARS, start, 5, 0.5)


def test_a_bed_is_the_track_itself_away_from_joints_and_fades() -> None:
    track = np.random.default_rng(0).standard_normal((60 * RATE, 2)).astype(np.float32)
    plan = BedPlan(plan_pieces(60, BARS, 10, 100, 0.5), 0.5, 1.0, 2.0)
    bed = np.concatenate(list(render_bed(track, plan, RATE)))
    assert bed.shape == (100 * RATE, 2)
    assert np.array_equal(bed[RATE : 48 * RATE], track[11 * RATE : 58 * RATE])
    assert np.array_equal(bed[48 * RATE + 500 : 96 * RATE], track[10 * RATE + 500 : 58 * RATE])


def test_a_crossfade_keeps_the_power_of_unlike_music() -> None:
    track = np.random.default_rng(1).standard_normal((60 * RATE, 1)).astype(np.float32)
    plan = BedPlan((Piece(10, 30), Piece(40, 55)), 4.0, 0.0, 0.0)
    bed = np.concatenate(list(render_bed(track, plan, RATE)))
    joint = bed[20 * RATE : 24 * RATE]
    assert float(np.square(joint).mean()) == pytest.approx(1, abs=0.1)
    middle = track[42 * RATE] * np.sin(np.pi / 4) + track[32 * RATE] * np.cos(np.pi / 4)
    assert joint[2 * RATE] == pytest.approx(middle, abs=1e-5)


def test_fades_begin_and_end_in_silence() -> None:
    track = np.ones((30 * RATE, 1), np.float32)
    bed = np.concatenate(list(render_bed(track, BedPlan((Piece(0, 10),), 0.5, 1.0, 2.0), RATE)))[:, 0]
    assert bed[0] == 0 and bed[-1] < 1e-5 and (bed[RATE : 8 * RATE] == 1).all()
    assert (np.diff(bed[:RATE]) >= 0).all() and (np.diff(bed[8 * RATE :]) <= 0).all()
    assert bed[RATE // 2] == pytest.approx(0.5, abs=1e-3)
