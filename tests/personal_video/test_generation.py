"""Videos from requests: seeds, several concepts, images, and what is missing."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.personal_video.flow import SampleConfig
from core.personal_video.generation import (
    KEPT_PX,
    Looks,
    VideoMaker,
    VideoRequest,
    as_clip,
    as_pictures,
    as_pixels,
    looks_of,
)
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.subjects import Pixels
from tests.personal_video.made import PlainEncoder, WordEncoder, figure, small_network

STEPS = SampleConfig(steps=2)


def cutout(number: int) -> Pixels:
    return figure(number).pictures[0]


def looks(*numbers: int) -> Looks:
    return looks_of([cutout(number) for number in numbers], PlainEncoder())


REQUEST = VideoRequest("a", "rex hops", (((0, 3), 0),), (looks(1),), frames=4, side_px=32)


@pytest.fixture(scope="module")
def maker() -> VideoMaker:
    return VideoMaker(small_network().requires_grad_(False), WordEncoder())


def video(maker: VideoMaker, request: VideoRequest) -> Pixels:
    *_, last = maker.first_steps(request, STEPS)
    return last


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(maker: VideoMaker) -> None:
    assert np.array_equal(video(maker, REQUEST), video(maker, REQUEST))
    assert not np.array_equal(video(maker, REQUEST), video(maker, replace(REQUEST, seed=1)))


def test_two_users_at_once_get_what_each_alone_gets(maker: VideoMaker) -> None:
    requests = [REQUEST, replace(REQUEST, text="it spins", spans=(((0, 2), 0),), seed=4)]
    alone = [video(maker, request) for request in requests]
    together: list[Pixels] = [np.zeros(0, np.uint8)] * 2

    def make(number: int) -> None:
        together[number] = video(maker, requests[number])

    threads = [threading.Thread(target=make, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_each_concept_of_a_prompt_counts(maker: VideoMaker) -> None:
    request = replace(REQUEST, text="rex and max hop", spans=(((0, 3), 0), ((8, 11), 1)), concepts=(looks(1), looks(2)))
    made = video(maker, request)
    assert not np.array_equal(made, video(maker, replace(request, concepts=(looks(1), looks(3)))))
    assert not np.array_equal(made, video(maker, replace(request, concepts=(looks(2), looks(1)))))


def test_in_mode_b_it_matters_which_concept_the_image_shows(maker: VideoMaker) -> None:
    request = replace(REQUEST, mode="b", text="rex and max hop", spans=(((0, 3), 0), ((8, 11), 1)),
                      concepts=(looks(1), looks(2)), image=looks(4))  # fmt: skip
    assert not np.array_equal(video(maker, request), video(maker, replace(request, shown=1)))


def test_concepts_may_have_different_numbers_of_pictures(maker: VideoMaker) -> None:
    request = replace(REQUEST, text="rex and max hop", spans=(((0, 3), 0), ((8, 11), 1)),
                      concepts=(looks(1, 5), looks(2)))  # fmt: skip
    assert video(maker, request).shape == (4, 32, 32, 3)


def test_the_second_video_is_as_many_times_larger_and_repeats_by_its_seed(maker: VideoMaker) -> None:
    first, how = video(maker, REQUEST), EnlargeConfig(steps=2)
    one, other = (list(maker.enlarged_steps(REQUEST, first, STEPS, how))[-1] for _ in range(2))
    assert one.shape == (4, 64, 64, 3) and np.array_equal(one, other)


@pytest.mark.parametrize(
    "wrong",
    [{"concepts": ()}, {"mode": "e"}, {"spans": (((0, 3), 1),)}, {"side_px": 60}, {"frames": 2}, {"seed": -1}],
)
def test_a_request_that_lacks_something_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        replace(REQUEST, **wrong)  # type: ignore[arg-type]


def test_looks_are_whole_squares_and_one_direction() -> None:
    two = looks(1, 2)
    assert two.pictures.shape == (2, KEPT_PX, KEPT_PX, 4) and two.vector.shape == (1280,)
    one, other = looks(1).vector, looks(2).vector
    np.testing.assert_allclose(two.vector, (one + other) / 2, atol=1e-6)
    with pytest.raises(ParameterError, match="no picture"):
        looks_of([], PlainEncoder())


def test_squares_become_colours_from_minus_one_to_one_times_opacity() -> None:
    square = np.zeros((1, 64, 64, 4), np.uint8)
    square[0, :32] = (255, 0, 128, 255)
    pictures = as_pictures(square, 32)
    torch.testing.assert_close(pictures[0, :, 4, 4], torch.tensor([1.0, -1.0, 0.0039, 1.0]), atol=1e-3, rtol=0)
    assert pictures[0, :, 28, 4].abs().max() == 0


def test_frames_come_back_from_a_clip_as_they_were() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    assert np.array_equal(as_pixels(as_clip(frames)), frames)
