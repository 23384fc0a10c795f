"""The second network of the hub profile: the first one's UNet with spread kernels and noise-damped guidance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.personal_video.hub_redilation import Redilation, StageDilation, noise_damped


@contextmanager
def second_network(
    unet: nn.Module, stages: Sequence[StageDilation], training_steps: int, guided: bool
) -> Iterator[nn.Module]:
    """Let a diffusers UNet work as the second network for a while; afterwards it is the first one again.

    Before each call the kernels are spread as the noise of its time step asks for. Where they are spread and there is
    guidance, the branch without condition is computed once more with the kernels as trained. The answer has both
    branches so that the pipeline's own guidance, ``u + s · (c - u)``, gives `noise_damped` for every scale s.

    Args:
        unet: called with latents whose first half is without condition, and the time step.
        stages: which kernels are spread, how far, and down to how much noise.
        training_steps: the time step of pure noise, plus one.
        guided: whether there are two branches.

    Raises:
        ParameterError: the network has no such stage.
    """
    damping = _Damping(training_steps, guided)
    with Redilation(unet, stages) as damping.kernels:
        before = unet.register_forward_pre_hook(damping.spread, with_kwargs=True)
        after = unet.register_forward_hook(damping.damp, with_kwargs=True)
        try:
            yield unet
        finally:
            before.remove()
            after.remove()


class _Damping:
    """The two hooks; `kernels` is set before they are used."""

    kernels: Redilation

    def __init__(self, training_steps: int, guided: bool) -> None:
        self._training_steps, self._guided = training_steps, guided
        self._again = False

    def spread(self, unet: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not self._again:
            self.kernels.at(float(arguments[1]) / self._training_steps)

    def damp(self, unet: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
        if self._again or not self._guided or not self.kernels.active:
            return output
        self._again = True
        try:
            with self.kernels.as_trained():
                trained = unet(*map(_first_half, arguments), **{k: _first_half(v) for k, v in named.items()}).sample
        finally:
            self._again = False
        unconditional, conditional = output.sample.chunk(2)
        return type(output)(sample=torch.cat([trained, noise_damped(trained, unconditional, conditional, 1.0)]))


def _first_half(value: Any) -> Any:
    """The branch without condition of an argument; a time step, which has no branches, as it is."""
    if isinstance(value, Tensor):
        return value.chunk(2)[0] if value.ndim > 1 else value
    if isinstance(value, dict):
        return {key: _first_half(part) for key, part in value.items()}
    return [_first_half(part) for part in value] if isinstance(value, list) else value
