"""Re-dilation: a network made for small pictures works at a larger size with the same weights, spread wider.

Source: He et al., "ScaleCrafter: Tuning-free Higher-Resolution Visual Generation with Diffusion Models", 2023 (METHODS
2, the second network). At twice the size a kernel sees half as much of the picture as it was trained to, and objects
are repeated. With its taps twice as far apart it sees as much as before. That holds for the deeper stages, which lay
the picture out, and while there is much noise; details at the end need the kernels as they were trained.

Deviations: a fractional factor is rounded up, and features are not scaled to make up for it. Which stages are dilated,
and down to how much noise, is our choice.

It works on any network of ``torch.nn.Conv2d`` and changes nothing but their dilation and padding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from torch import Tensor, nn

from core.errors import ParameterError


@dataclass(frozen=True)
class StageDilation:
    """How the kernels of one stage are spread.

    Attributes:
        stage: how the names of its modules begin, such as ``mid_block`` or ``down_blocks.2``; empty for all.
        factor: the distance between taps, in distances of before, from 1.
        down_to: the noise from which on they are spread: 1 is pure noise, 0 none. Below it they are as trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    stage: str
    factor: int = 2
    down_to: float = 0.0

    def __post_init__(self) -> None:
        if self.factor < 1 or not 0 <= self.down_to <= 1:
            raise ParameterError(
                f"Stage {self.stage!r} has factor {self.factor} and down_to {self.down_to}; choose a factor from 1 and"
                " a share of noise from 0 to 1."
            )


class Redilation:
    """The kernels of a network that can be spread; a context manager that leaves them as they were.

    Only kernels wider than one tap, of stride 1 and with zeros around the picture are spread; those that halve the
    picture stay, as they must fall on the same places. Where several entries name a module the last one counts.

    Args:
        network: any; it keeps its weights.
        stages: which, and how.

    Raises:
        ParameterError: a stage has no such kernel.

    Use::

        with Redilation(network, [StageDilation("mid_block", 2, 0.3)]) as kernels:
            for noise in steps:
                kernels.at(noise)
                network(...)
    """

    def __init__(self, network: nn.Module, stages: Sequence[StageDilation]) -> None:
        self._kernels: dict[str, tuple[nn.Conv2d, StageDilation]] = {}
        for stage in stages:
            found = {name: kernel for name, kernel in _spreadable(network) if _in_stage(name, stage.stage)}
            if not found:
                raise ParameterError(f"The network has no kernels in stage {stage.stage!r}; correct its name.")
            self._kernels |= {name: (kernel, stage) for name, kernel in found.items()}
        self._trained = {name: (kernel.dilation, kernel.padding) for name, (kernel, _) in self._kernels.items()}
        self._noise: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.at(None)

    @property
    def active(self) -> bool:
        """Whether any kernel is spread now."""
        return self._noise is not None and any(self._factor(stage) > 1 for _, stage in self._kernels.values())

    def at(self, noise: float | None) -> None:
        """Spread the kernels as for this much noise, 0 to 1; None: all as they were trained."""
        self._noise = noise
        for name, (kernel, stage) in self._kernels.items():
            dilation, padding = self._trained[name]
            factor = self._factor(stage)
            kernel.dilation = tuple(factor * taps for taps in dilation)
            kernel.padding = tuple(factor * int(pixels) for pixels in padding)

    @contextmanager
    def as_trained(self) -> Iterator[None]:
        """All kernels as they were trained, for a moment."""
        noise = self._noise
        self.at(None)
        try:
            yield
        finally:
            self.at(noise)

    def _factor(self, stage: StageDilation) -> int:
        return stage.factor if self._noise is not None and self._noise >= stage.down_to else 1


def noise_damped(trained: Tensor, spread: Tensor, spread_conditional: Tensor, scale: float) -> Tensor:
    """What noise-damped guidance predicts: the trained network takes the noise away, the spread one says where to.

    Spread kernels lay out well but leave noise behind; classifier-free guidance would add to it. So the prediction
    without condition comes from the kernels as trained, and only the direction from the spread ones:
    ``trained + scale · (spread_conditional - spread)``.

    Args:
        trained: without condition, kernels as trained, any shape.
        spread: without condition, kernels spread.
        spread_conditional: with the condition, kernels spread.
        scale: of guidance, from 1.
    """
    return trained + scale * (spread_conditional - spread)


def _spreadable(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d) or isinstance(module.padding, str) or module.padding_mode != "zeros":
            continue
        if max(module.kernel_size) > 1 and set(module.stride) == {1}:
            yield name, module


def _in_stage(name: str, stage: str) -> bool:
    return not stage or name == stage or name.startswith(f"{stage}.")
