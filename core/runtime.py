"""Where and how things run: profile, device, dtype, seeds, progress and cancelling.

One progress callback type serves every job, ``progress(done, total, what)``, and it is also the place where a job
can be stopped: `cancellable` wraps a callback so that the next report after `CancelToken.cancel` raises
`CancelledError`. A job therefore needs no second argument for it, and stops between two of its steps.
"""

import os
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import torch
from accelerate import PartialState, cpu_offload
from accelerate.utils import is_bf16_available

from core.errors import CancelledError, ParameterError

Progress = Callable[[int, int, str], None]
Profile = Literal["embedded", "hub"]
PROFILE_VARIABLE = "SHOWREEL_PROFILE"


def silent(done: int, total: int, what: str) -> None:
    """A progress callback that says nothing."""


class CancelToken:
    """A flag that one thread raises and a job in another thread obeys.

    >>> token = CancelToken()
    >>> token.cancel()
    >>> cancellable(silent, token)(1, 3, "frames")
    Traceback (most recent call last):
    core.errors.CancelledError: Stopped at your request after 1 of 3 (frames); what was finished is kept.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop; may be called from any thread, more than once."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()


def cancellable(progress: Progress, token: CancelToken) -> Progress:
    """Return a callback that reports to ``progress`` and raises `CancelledError` once ``token`` is cancelled."""

    def report(done: int, total: int, what: str) -> None:
        if token.cancelled:
            raise CancelledError(
                f"Stopped at your request after {done} of {total} ({what}); what was finished is kept."
            )
        progress(done, total, what)

    return report


def current_profile() -> Profile:
    """The profile of this process: ``SHOWREEL_PROFILE``, or ``embedded`` when that is not set.

    Raises:
        ParameterError: the variable names no profile.
    """
    name = os.environ.get(PROFILE_VARIABLE, "embedded")
    if name not in get_args(Profile):
        raise ParameterError(f"{PROFILE_VARIABLE} is {name!r}; set it to 'embedded' or 'hub', or leave it out.")
    return cast(Profile, name)


@dataclass(frozen=True)
class Placement:
    """Where a network lives and in which number format it computes."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which matrix products run in ``dtype`` (nothing changes for float32)."""
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def placement(low_precision: bool = True) -> Placement:
    """Choose device and dtype for this process through accelerate.

    Args:
        low_precision: allow bfloat16 where the hardware has fast instructions for it (a GPU, or a CPU with AMX or
            AVX-512 BF16).
    """
    device = PartialState().device
    if device.type == "cuda":
        fast = is_bf16_available()
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return Placement(device, torch.bfloat16 if low_precision and fast else torch.float32)


def place(network: torch.nn.Module, where: Placement) -> torch.nn.Module:
    """Move a frozen network to its device, in eval mode; one that does not fit is offloaded layer by layer.

    The rule: a network whose parameters take more than 80 % of the free GPU memory stays in main memory, and
    accelerate carries each layer to the GPU when it is needed.
    """
    network.eval().requires_grad_(False)
    if where.device.type == "cuda":
        need = sum(p.numel() * p.element_size() for p in network.parameters())
        if need > 0.8 * torch.cuda.mem_get_info(where.device)[0]:
            return cpu_offload(network, execution_device=where.device)
    return network.to(where.device)


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, numpy and torch, and return a generator on the CPU with the same seed.

    Args:
        seed: 0 .. 2**32 - 1.

    Raises:
        ParameterError: the seed is outside that range.
    """
    if not 0 <= seed < 2**32:
        raise ParameterError(f"The seed is {seed}; choose one from 0 to {2**32 - 1}.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


PART = 1000
"""Steps into which `part_of` divides each part of a job."""


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """Return a callback for part ``index`` of ``count`` equal parts of a job, in thousandths of a part.

    >>> part_of(lambda done, total, what: print(done, total, what), 1, 4)(5, 10, "b.mp4")
    1500 4000 b.mp4
    """

    def report(done: int, total: int, what: str) -> None:
        progress(index * PART + PART * min(done, total) // max(total, 1), count * PART, what)

    return report
