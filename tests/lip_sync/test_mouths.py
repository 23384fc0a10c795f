"""Groups and windows of the mouths that are made: oracles at the rates for which they can be written down."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.lip_sync.crops import CROP_PX, crop, crop_matrix
from core.lip_sync.mouths import MouthMaker, Place, Reference, blurred_crop, calmest, nearest_groups, place, steered
from core.lip_sync.network import new_network
from core.lip_sync.sound import frame_windows, mfcc, silent_column
from core.lip_sync.speech import DrivingSpeech
from tests.lip_sync.made import made_face
from tests.lip_sync.stand_ins import PlainNetwork, bursts, level_of

Picture = NDArray[np.uint8]
REST = np.full((25, 2), 64, np.float32)
LOOKS = Reference(np.full((CROP_PX, CROP_PX, 3), 90, np.uint8), REST)


def shaded(number: int) -> Picture:
    """A picture of one shade of grey, its number."""
    return np.full((CROP_PX, CROP_PX, 3), number, np.uint8)


def places(frames: Sequence[int], frame_rate: Fraction) -> list[Place]:
    window = np.repeat(silent_column()[:, None], 20, axis=1)
    return [Place(n, (n + Fraction(1, 2)) / frame_rate, shaded(n), REST, window) for n in frames]


def made(maker: MouthMaker, given: Sequence[Place]) -> dict[int, Picture]:
    """All mouths of a run, by picture; each is made once, and in order."""
    mouths = [mouth for here in given for mouth in maker.add(here)] + list(maker.finish())
    assert [frame for frame, _ in mouths] == [here.frame for here in given]
    return dict(mouths)


def shades(network: PlainNetwork) -> list[list[int]]:
    """The shades of the groups that a network saw."""
    return [(255 * group[:, 0, 0, 0]).round().int().tolist() for group in network.groups]


@pytest.mark.parametrize("batch", [1, 3, 16, 256])
@pytest.mark.parametrize(("frame_rate", "step"), [(25, 1), (50, 2), (100, 4), (Fraction(25, 3), None)])
def test_a_group_is_the_pictures_at_40_ms_and_the_ends_of_a_run_are_repeated(
    batch: int, frame_rate: Fraction, step: int | None
) -> None:
    """At 25 a second frames n - 2 to n + 2, at 50 every second one, at 100 every fourth; at 8 1/3 its neighbours."""
    network, run = PlainNetwork(), range(10, 50)
    made(MouthMaker(network, LOOKS, batch), places(run, Fraction(frame_rate)))

    def at(frame: int) -> int:
        return min(max(frame, run[0]), run[-1])

    steps = [-2 * step, -step, 0, step, 2 * step] if step else [-1, 0, 0, 0, 1]
    assert shades(network) == [[at(n + away) for away in steps] for n in run]


def test_runs_do_not_reach_into_each_other() -> None:
    network = PlainNetwork()
    maker = MouthMaker(network, LOOKS, 4)
    for run in (range(5), range(5, 7), range(7, 8)):
        made(maker, places(run, Fraction(25)))
    assert shades(network)[3:] == [[1, 2, 3, 4, 4], [2, 3, 4, 4, 4], [5, 5, 5, 6, 6], [5, 5, 6, 6, 6], [7] * 5]


def test_groups_of_uneven_times_are_the_nearest_pictures() -> None:
    """A slow twin over a film in which the distance of pictures changes all the time."""
    random = np.random.default_rng(4)
    times = np.cumsum(random.integers(5, 90, 60))
    exact = [Fraction(int(t), 1000) for t in times]
    for n, group in zip(range(60), nearest_groups(exact, range(60)), strict=True):
        for step, chosen in zip((-80, -40, 0, 40, 80), group, strict=True):
            away = [abs(int(t) - int(times[n]) - step) for t in times]
            assert away[chosen] == min(away)


def test_the_size_of_batches_changes_nothing() -> None:
    torch.manual_seed(3)
    network = new_network().eval()
    random = np.random.default_rng(5)
    speech = DrivingSpeech.of_wave(bursts(1), gate=False)
    middles = [(n + Fraction(1, 2)) / 30 for n in range(9)]
    windows = speech.windows(middles)
    blurred = random.integers(0, 256, (9, CROP_PX, CROP_PX, 3), np.uint8)
    given = [Place(n, middles[n], blurred[n], REST, windows[n]) for n in range(9)]
    whole, single, three = (made(MouthMaker(network, LOOKS, batch), given) for batch in (16, 1, 3))
    for n in range(9):
        for other in (single, three):
            assert np.abs(whole[n].astype(int) - other[n]).max() <= 3
    assert np.abs(whole[0].astype(int) - whole[8]).max() > 10


def test_it_holds_back_a_batch_and_two_steps_and_no_more() -> None:
    maker, waiting = MouthMaker(PlainNetwork(), LOOKS, 8), []
    for here in places(range(200), Fraction(50)):
        list(maker.add(here))
        first = maker.first_waiting
        waiting.append(here.frame - first + 1 if first is not None else 0)
        assert len(maker._places) < 8 + 3 * 4 + 2
    assert max(waiting) <= 8 + 5
    list(maker.finish())
    assert maker.first_waiting is None


def test_windows_at_25_frames_are_those_of_training() -> None:
    wave = bursts(3)
    speech = DrivingSpeech.of_wave(wave, gate=False)
    wanted = frame_windows(mfcc(wave), 80)
    middles = [(n + Fraction(1, 2)) / 25 for n in range(80)]
    np.testing.assert_allclose(speech.windows(middles), wanted, atol=1e-3)
    one_by_one = np.concatenate([speech.windows([middle]) for middle in middles])
    np.testing.assert_allclose(one_by_one, wanted, atol=1e-3)


def test_what_is_heard_reaches_the_picture_for_which_it_is_meant() -> None:
    speech = DrivingSpeech.of_wave(bursts(2), gate=False)
    middles = [(n + Fraction(1, 2)) / 30 for n in range(60)]
    given = [Place(n, middles[n], shaded(0), REST, speech.windows([middles[n]])[0]) for n in range(60)]
    mouths = made(MouthMaker(PlainNetwork(), LOOKS), given)
    seen = np.array([mouths[n][64, 64, 0] / 255 for n in range(60)])
    wanted = level_of(torch.from_numpy(speech.windows(middles))).numpy()
    assert np.abs(seen - wanted).max() < 0.02 and wanted.min() < 0.1 and wanted.max() > 0.8


def test_less_openness_lies_nearer_to_silence_and_more_of_it_farther_away() -> None:
    """On a half circle from silence to the loudest, a mouth that opens less is turned back by so much."""
    network = PlainNetwork()
    silence = torch.from_numpy(np.repeat(silent_column()[None, :, None], 20, axis=2))
    windows = torch.from_numpy(
        DrivingSpeech.of_wave(bursts(1), gate=False).windows([Fraction(n, 10) for n in range(9)])
    )
    quiet, heard = network.features.hearing(silence), network.features.hearing(windows)
    likeness = [(steered(network, heard, openness) @ quiet.T).mean().item() for openness in (0.2, 0.6, 1, 1.4)]
    assert likeness == sorted(likeness, reverse=True) and likeness[0] > likeness[3] + 0.3
    assert torch.equal(steered(network, heard, 1.0), heard)
    torch.testing.assert_close(steered(network, heard, 0.5).norm(dim=1), torch.ones(9))


def test_looks_are_taken_from_a_picture_with_the_mouth_nearly_shut() -> None:
    assert calmest([0.3, 0.1, 0.2]) == 1
    assert calmest([0.5, 0.0, 0.02, *(0.1 * n for n in range(1, 9))]) == 2


def test_a_blurred_crop_shows_no_lips_and_lies_where_the_crop_does() -> None:
    picture = np.full((300, 400, 3), (190, 140, 120), np.uint8)
    face = made_face(200, 150, 60, 12)
    picture[140:161, 172:229] = (150, 20, 40)
    matrix = crop_matrix(face)
    clear, blurred = crop(picture, matrix), blurred_crop(picture, face, matrix)
    other, rest = place(picture, face, matrix)
    np.testing.assert_array_equal(other, blurred)
    x, y = rest[:12].mean(axis=0).round().astype(int)
    assert np.abs(clear[y, x].astype(int) - (150, 20, 40)).max() < 3
    assert np.abs(clear[y, x].astype(int) - blurred[y, x]).max() > 25
