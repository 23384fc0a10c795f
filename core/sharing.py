"""One batch for several processes, so that they train as one would: each takes its rows, and gradients are averaged.

What `accelerate launch` starts is such a process; with one alone all of this does nothing. A loss that is a mean over
rows is the mean of its processes' losses, as long as all have equally many rows, which `even` sees to; where some rows
do not count, their sum is divided by a number that is `evened`. A loss that compares rows with one another is computed
in every process from `gathered` rows. What is drawn at random in a network differs between processes (`seed_of`). Batch
statistics are over all rows in `SharedBatchNorm1d` and `SharedBatchNorm2d`, and over a process's own rows in torch's.
"""

from typing import TypeVar

import numpy as np
import torch
import torch.distributed as distributed
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Rows = TypeVar("Rows", Tensor, NDArray[np.int64], NDArray[np.float32])
_APART = 1_000_000_007
"""Between the seeds of two processes."""


def even(size: int, accelerator: Accelerator) -> int:
    """The largest number of rows up to ``size`` that all processes can share equally, at least one each.

    >>> even(7, Accelerator())
    7
    """
    return max(1, size // accelerator.num_processes) * accelerator.num_processes


def rows_of_mine(batch: Rows, accelerator: Accelerator) -> Rows:
    """The rows of a batch (B, …) that this process works on: every n-th of n processes."""
    return batch[share_of_mine(accelerator)]


def share_of_mine(accelerator: Accelerator) -> slice:
    """The same as a slice, for what is no tensor or array."""
    return slice(accelerator.process_index, None, accelerator.num_processes)


def seed_of(seed: int, accelerator: Accelerator) -> int:
    """The seed of what is drawn inside a network; of the first process the one given."""
    return seed + _APART * accelerator.process_index


def share_gradients(module: nn.Module, accelerator: Accelerator) -> None:
    """The mean of all processes' gradients in each of them."""
    if accelerator.num_processes == 1:
        return
    for parameter in module.parameters():
        if parameter.requires_grad:
            mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(mine, reduction="mean")


def mean_of_all(loss: Tensor, accelerator: Accelerator) -> float:
    """The mean of a number over all processes."""
    told = loss.detach()
    return float(told if accelerator.num_processes == 1 else accelerator.reduce(told, reduction="mean"))


def evened(number: Tensor) -> Tensor:
    """The mean of a number () over all processes; no gradient flows through it.

    The sum of a process's rows divided by the evened number of those that count is a loss whose mean over processes is
    the mean of all rows that count, however they are spread.
    """
    mean = number.detach().float()
    if not distributed.is_initialized():
        return mean
    mean = mean.clone()
    distributed.all_reduce(mean)
    return mean / distributed.get_world_size()


def from_first(drawn: Tensor, accelerator: Accelerator) -> Tensor:
    """What the first process drew, in all of them."""
    if accelerator.num_processes > 1:
        distributed.broadcast(drawn, 0)
    return drawn


def gathered(z: Tensor) -> Tensor:
    """The rows of all processes, (B · processes, D); gradients flow back to the process that a row is from.

    There they are the sum over processes, of which `share_gradients` makes the mean. The rows stand process by process,
    as `in_order` puts the rows of a whole batch.
    """
    if not distributed.is_initialized():
        return z
    count, mine = distributed.get_world_size(), distributed.get_rank()
    nothing = torch.zeros_like(z)
    return summed(torch.cat([nothing] * mine + [z] + [nothing] * (count - mine - 1)))


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes; its gradient is that of all of them, summed too."""
    total: Tensor = _Sum.apply(x)
    return total


class _Sum(torch.autograd.Function):
    """Sum going forth and coming back; torch's own differentiable collectives are renamed from release to release."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


class _SharedBatchNorm(_BatchNorm):
    """Batch normalisation over the rows of all processes, each of which has equally many; torch's with one process.

    Source: Ioffe and Szegedy, "Batch normalization", 2015, algorithm 1. torch has it for several processes on GPUs
    only (`SyncBatchNorm`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C) or (B, C, H, W) to the same size."""
        if not (self.training and distributed.is_initialized()):
            return super().forward(x)
        count, places = distributed.get_world_size(), (0, *range(2, x.ndim))
        wide = (slice(None), *(None for _ in range(2, x.ndim)))
        mean = summed(x.float().mean(places)) / count
        apart = x.float() - mean[wide]
        variance = summed(apart.square().mean(places)) / count
        self._remember(mean.detach(), variance.detach(), count * x.numel() // x.shape[1])
        normal = apart * torch.rsqrt(variance + self.eps)[wide]
        if self.affine:
            normal = normal * self.weight[wide] + self.bias[wide]
        return normal.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        momentum = self.momentum or 0.0
        self.running_mean.lerp_(mean, momentum)
        self.num_batches_tracked.add_(1)
        self.running_var.lerp_(variance * values / max(1, values - 1), momentum)


class SharedBatchNorm1d(_SharedBatchNorm, nn.BatchNorm1d):
    """Over the rows of all processes, of vectors (B, C)."""


class SharedBatchNorm2d(_SharedBatchNorm, nn.BatchNorm2d):
    """Over the rows and places of all processes, of maps (B, C, H, W)."""


def in_order(batch: Rows, accelerator: Accelerator) -> Rows:
    """The rows of a whole batch, in the order in which `gathered` gives those of `rows_of_mine`."""
    count = accelerator.num_processes
    if count == 1:
        return batch
    order = np.concatenate([np.arange(len(batch))[first::count] for first in range(count)])
    return batch[order]
