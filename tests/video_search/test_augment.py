"""What an augmentation does to a sequence: the same to every frame, another thing at every draw, as its fields say."""

from dataclasses import replace

import numpy as np
import pytest

from core.video_search.augment import WHOLE, Augmentation, Augmenter, Pictures, Sticker
from tests.factories import numbered_picture

SIZE = 32
PLAIN = Augmentation()


def film(frames: int = 3, width: int = 33, height: int = 17, seed: int = 1) -> Pictures:
    """A moving film, (frames, height, width, 3)."""
    return np.stack([numbered_picture(number, width, height, seed) for number in range(frames)])


def draws(count: int, seed: int = 0, web_copies: bool = True) -> list[Augmentation]:
    random, augmenter = np.random.default_rng(seed), Augmenter(web_copies)
    return [augmenter.draw(random) for _ in range(count)]


def apart(first: Pictures, second: Pictures) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(first.astype(float) - second).mean())


def test_every_draw_works_on_films_of_odd_sizes_and_leaves_them_as_they_are() -> None:
    frames, behind = film(2, 33, 17), film(3, 41, 29, seed=2)
    kept = frames.copy(), behind.copy()
    for change in draws(300):
        changed = change.apply(frames, behind, 31)
        assert changed.shape == (2, 31, 31, 3) and changed.dtype == np.uint8
        assert changed.max() > changed.min()
    np.testing.assert_array_equal(frames, kept[0])
    np.testing.assert_array_equal(behind, kept[1])


def test_a_film_of_one_pixel_can_be_changed_too() -> None:
    dot = film(2, 1, 1)
    for change in draws(60):
        assert change.apply(dot, dot, 5).shape == (2, 5, 5, 3)


def test_frames_that_are_alike_stay_alike() -> None:
    still, behind = np.repeat(film(1), 4, 0), np.repeat(film(1, seed=2), 4, 0)
    for change in draws(60):
        changed = change.apply(still, behind, SIZE)
        assert (changed == changed[0]).all()


def test_what_becomes_of_a_frame_does_not_depend_on_the_others() -> None:
    frames, behind = film(4), film(4, seed=2)
    for change in draws(30):
        together = change.apply(frames, behind, SIZE)
        np.testing.assert_array_equal(together[2:3], change.apply(frames[2:3], behind[2:3], SIZE))


def test_the_same_seed_draws_the_same_and_every_draw_differs_from_the_others() -> None:
    frames, behind = film(1), film(1, seed=2)
    first, again, other = (
        [change.apply(frames, behind, SIZE).tobytes() for change in draws(25, seed)] for seed in (5, 5, 6)
    )
    assert first == again
    assert len({*first, *other}) == 50


def test_without_web_copies_nothing_but_the_six_of_the_document_is_drawn() -> None:
    for change in draws(100, web_copies=False):
        assert (change.place, change.stickers, change.quality) == (WHOLE, (), 100)
    web = draws(200)
    assert {change.place == WHOLE for change in web} == {change.quality == 100 for change in web} == {True, False}
    assert any(change.stickers for change in web) and any(change.canvas is None for change in web)


def test_half_of_the_films_are_mirrored_and_a_fifth_turned_grey() -> None:
    drawn = draws(2000, web_copies=False)
    grey = [change.colour is not None and np.ptp(change.colour, axis=0).max() == 0 for change in drawn]
    assert np.mean([change.flip for change in drawn]) == pytest.approx(0.5, abs=0.04)
    assert np.mean(grey) == pytest.approx(0.2, abs=0.04)
    colourful = film()
    for change, is_grey in zip(drawn[:60], grey[:60], strict=True):
        changed = replace(change, blur_share=0.0).apply(colourful, colourful, SIZE)
        assert (np.ptp(changed, axis=3).max() == 0) == is_grey


def test_a_crop_lies_within_the_picture_and_keeps_a_quarter_of_it_or_more() -> None:
    for left, top, right, bottom in (change.crop for change in draws(300)):
        assert 0 <= left < right <= 1 + 1e-9 and 0 <= top < bottom <= 1 + 1e-9
        assert (right - left) * (bottom - top) >= 0.25 - 1e-9
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


def test_colour_jitter_leaves_grey_grey_and_moves_other_colours() -> None:
    maps = [change.colour for change in draws(200) if change.colour is not None]
    for colour in maps:
        np.testing.assert_allclose(colour[:, :3].sum(1), colour[0, :3].sum(), atol=1e-5)
        np.testing.assert_allclose(colour[:, 3], colour[0, 3], atol=1e-4)
    assert max(np.abs(colour[:, :3] - np.eye(3)).max() for colour in maps) > 0.3


def test_a_mirrored_film_is_the_film_with_left_and_right_exchanged() -> None:
    frames = film()
    mirrored = replace(PLAIN, flip=True).apply(frames, frames, SIZE)
    np.testing.assert_array_equal(mirrored, PLAIN.apply(frames, frames, SIZE)[:, :, ::-1])


def test_a_crop_shows_its_part_of_the_picture() -> None:
    frames = film(2, 40, 20)
    cropped = replace(PLAIN, crop=(0.5, 0.25, 1.0, 0.75)).apply(frames, frames, SIZE)
    np.testing.assert_array_equal(cropped, PLAIN.apply(frames[:, 5:15, 20:], frames, SIZE))


def test_a_blur_takes_detail_away_and_leaves_the_brightness() -> None:
    frames = film(2, 64, 64)
    means, edges = [], []
    for blur_share in (0, 0.01, 0.03):
        pictures = replace(PLAIN, blur_share=blur_share).apply(frames, frames, 64).astype(float)
        means.append(pictures.mean())
        edges.append(np.square(np.diff(pictures, axis=2)).mean())
    assert edges[0] > 1.3 * edges[1] and edges[1] > 1.5 * edges[2]
    assert means == pytest.approx([means[0]] * 3, abs=1.5)


def test_around_a_small_picture_lies_the_colour_of_the_canvas_or_another_film() -> None:
    frames, behind = film(3), film(2, seed=2)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[8:24, 16:32] = True
    framed = replace(PLAIN, place=(0.5, 0.25, 1.0, 0.75), canvas=(10, 200, 30))
    over = replace(framed, canvas=None)
    for change, around in (
        (framed, np.full((3, SIZE, SIZE, 3), (10, 200, 30))),
        (over, PLAIN.apply(behind[[0, 1, 0]], behind, SIZE)),
    ):
        changed = change.apply(frames, behind, SIZE)
        np.testing.assert_array_equal(changed[:, ~inside], around[:, ~inside])
        np.testing.assert_array_equal(changed[:, 8:24, 16:32], PLAIN.apply(frames, frames, 16))


def test_a_logo_and_letters_are_laid_over_the_picture_in_their_colour() -> None:
    frames = film(2, 64, 64)
    plain = PLAIN.apply(frames, frames, 64)
    logo, letters = (Sticker((0.25, 0.5, 0.75, 0.75), (255, 0, 255), text) for text in ("", "Wide"))
    with_logo = replace(PLAIN, stickers=(logo,)).apply(frames, frames, 64)
    with_letters = replace(PLAIN, stickers=(letters,)).apply(frames, frames, 64)
    assert (with_logo[:, 40, 32] == (255, 0, 255)).all()
    assert (with_letters == (255, 0, 255)).all(3).any((1, 2)).all()
    for changed in (with_logo, with_letters):
        np.testing.assert_array_equal(changed[:, :24], plain[:, :24])
        np.testing.assert_array_equal(changed[:, :, :12], plain[:, :, :12])


def test_coarse_compression_changes_a_picture_a_little_and_a_coarser_one_more() -> None:
    frames = film(2, 64, 64)
    plain = PLAIN.apply(frames, frames, 64)
    fine, coarse = (replace(PLAIN, quality=quality).apply(frames, frames, 64) for quality in (45, 8))
    assert 0 < apart(fine, plain) < apart(coarse, plain) < 25
    assert apart(coarse, plain) < 0.5 * apart(coarse, plain[..., ::-1])
