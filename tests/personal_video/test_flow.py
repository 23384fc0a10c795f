"""From noise to a clip: steps, guidance, the second network."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.errors import ParameterError
from core.personal_video.flow import Guided, SampleConfig, drawn_levels, joined, levels_of, noised, walk
from core.personal_video.network import Dilation
from core.personal_video.redilation import EnlargeConfig, Redilated, bicubic, enlarged
from tests.personal_video.made import given, small_network

CLIP = (2, 4, 3, 32, 32)


def last(steps: Iterator[Tensor]) -> Tensor:
    *_, result = steps
    return result


def guided(config: SampleConfig | None = None) -> Guided:
    network = small_network().requires_grad_(False)
    return Guided(network.generation, network.conditioner("a", given()), config or SampleConfig())


def test_levels_rise_and_lie_as_dense_as_those_of_training() -> None:
    levels = levels_of(50)
    assert levels[0] == 0 and levels[-1] == 1 and levels == sorted(set(levels))
    drawn = drawn_levels(20_000, torch.Generator().manual_seed(0))
    shares = [float((drawn < level).float().mean()) for level in levels[1:-1]]
    assert max(abs(share - (n + 1) / 50) for n, share in enumerate(shares)) < 0.02


def test_from_a_level_on_there_are_as_many_steps_between_what_is_left() -> None:
    levels = levels_of(6, 0.4)
    assert levels[0] == 0.4 and len(levels) == 7 and levels == sorted(levels)


def test_a_noised_clip_is_noise_at_level_zero_and_the_clip_at_one() -> None:
    clip, noise = torch.randn(2, 1, 3, 4, 4), torch.randn(2, 1, 3, 4, 4)
    mixed = noised(clip, noise, torch.tensor([0.0, 1.0]))
    assert torch.equal(mixed[0], noise[0]) and torch.equal(mixed[1], clip[1])


def test_more_steps_come_nearer_to_the_exact_end_of_the_walk() -> None:
    """Clips that are normal with spread s have an exact denoiser, and the walk takes noise n exactly to s · n."""
    spread, noise = 0.3, torch.randn(4, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def denoise(x: Tensor, level: float, done: float) -> Tensor:
        return x * level * spread**2 / (level**2 * spread**2 + (1 - level) ** 2)

    errors = [float((last(walk(denoise, noise, levels_of(steps))) - spread * noise).abs().mean())
              for steps in (8, 16, 32, 64)]  # fmt: skip
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.03 and errors[3] < errors[1] / 10


def test_every_step_shows_the_clip_and_the_last_is_the_result() -> None:
    target = torch.rand(CLIP)
    shown = list(walk(lambda x, level, done: target, torch.randn(CLIP), levels_of(5)))
    assert len(shown) == 5 and all(torch.equal(clip, target) for clip in shown)


def test_guidance_of_one_is_no_guidance_and_more_goes_on_along_the_difference() -> None:
    x = torch.randn(CLIP)
    plain = guided(SampleConfig(text_guidance=1))
    (full,) = plain.told(x, 0.3, [plain.condition])
    torch.testing.assert_close(plain(x, 0.3, 0.0), full.clamp(-1, 1), atol=1e-5, rtol=1e-4)
    more = guided(SampleConfig(text_guidance=3, subject_guidance=2))
    without = more.condition.without_text()
    full, no_text, bare = more.told(x, 0.3, [more.condition, without, without.without_subject()])
    expected = bare + 2 * (no_text - bare) + 3 * (full - no_text)
    torch.testing.assert_close(more(x, 0.3, 0.0), expected.clamp(-1, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(more(x, 0.3, 0.9), full.clamp(-1, 1), atol=1e-5, rtol=1e-4)


def test_conditions_in_one_batch_answer_as_each_alone() -> None:
    x, first = torch.randn(CLIP), guided()
    conditions = [first.condition, first.condition.without_text()]
    together = first.told(x, 0.4, conditions)
    for clip, condition in zip(together, conditions, strict=True):
        (alone,) = first.told(x, 0.4, [condition])
        torch.testing.assert_close(clip, alone, atol=1e-5, rtol=1e-4)
    with pytest.raises(ParameterError, match="no condition"):
        joined([])


def test_kernels_lie_apart_by_stage_and_for_their_share_of_the_steps() -> None:
    config = EnlargeConfig(factor=2, patches_until=0.2, large_until=0.5, small_until=0.8)
    expected = [Dilation(2), Dilation(1, 2, 2), Dilation(1, 2, 2), Dilation(1, 1, 2), Dilation(1, 1, 2), Dilation()]
    assert [config.dilation(done) for done in (0.0, 0.2, 0.49, 0.5, 0.79, 0.8)] == expected


def test_noise_is_told_by_the_kernels_as_they_were_and_the_text_by_those_pulled_apart() -> None:
    """Equation 6 of ScaleCrafter, step by step."""
    first, x = guided(SampleConfig(text_guidance=4)), torch.randn(2, 4, 3, 64, 64)
    apart = replace(first, dilation=Dilation(2))
    (steady,) = first.told(x, 0.5, [first.condition.without_text()])
    asked, unasked = apart.told(x, 0.5, [first.condition, first.condition.without_text()])
    expected = (steady + 4 * (asked - unasked)).clamp(-1, 1)
    torch.testing.assert_close(Redilated(first, EnlargeConfig())(x, 0.5, 0.0), expected)
    assert not torch.allclose(asked, first.told(x, 0.5, [first.condition])[0], atol=1e-2)


def test_after_the_damped_steps_the_second_network_is_the_first() -> None:
    first, x = guided(), torch.randn(2, 4, 3, 64, 64)
    config = EnlargeConfig(patches_until=0.5, small_until=0.5, large_until=0.5, damped_until=0.5)
    torch.testing.assert_close(Redilated(first, config)(x, 0.5, 0.9), first(x, 0.5, 0.9))


def test_a_video_is_enlarged_from_itself_and_by_its_seed() -> None:
    first, config = guided(), EnlargeConfig(steps=2)
    videos = torch.zeros(CLIP), torch.ones(CLIP)
    made = [last(enlarged(first, video, config, torch.Generator().manual_seed(3))) for video in (*videos, videos[0])]
    assert made[0].shape == (2, 4, 3, 64, 64)
    assert torch.equal(made[0], made[2]) and not torch.allclose(made[0], made[1])
    assert not torch.equal(made[0], last(enlarged(first, videos[0], config, torch.Generator().manual_seed(4))))


def test_sides_that_are_no_multiples_of_eight_are_refused() -> None:
    with pytest.raises(ParameterError, match="multiples of 8"):
        bicubic(torch.zeros(1, 2, 3, 20, 24), 2)
