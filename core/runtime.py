"""Where and how things run: profile, home, device, dtype, seeds, progress and cancelling.

One progress callback type serves every job, ``progress(done, total, what)``, and it is also the place where a job
can be stopped: `cancellable` wraps a callback so that the next report after `CancelToken.cancel` raises
`CancelledError`. A job therefore needs no second argument for it, and stops between two of its steps.
"""

import ctypes
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import torch
from accelerate import PartialState, cpu_offload
from accelerate.utils import get_max_memory, is_bf16_available

from core.errors import CancelledError, ParameterError

Progress = Callable[[int, int, str], None]
Profile = Literal["embedded", "hub"]
PROFILE_VARIABLE = "SHOWREEL_PROFILE"
HOME_VARIABLE = "SHOWREEL_HOME"
SPACE_VARIABLE = "SPACE_ID"
"""Set on every Space, by the Space."""
SPACE_DISK = Path("/data")
"""Where a Space mounts the disk or bucket that outlives a restart."""


def silent(done: int, total: int, what: str) -> None:
    """A progress callback that says nothing."""


AT_REQUEST = "Stopped at your request"
"""Why a job stops, unless another reason is given."""


class CancelToken:
    """A flag that one thread raises and a job in another thread obeys.

    >>> token = CancelToken()
    >>> token.cancel()
    >>> cancellable(silent, token)(1, 3, "frames")
    Traceback (most recent call last):
    core.errors.CancelledError: Stopped at your request after 1 of 3 (frames); what was finished is kept.
    """

    def __init__(self) -> None:
        self._event, self.why = threading.Event(), AT_REQUEST

    def cancel(self, why: str = "") -> None:
        """Ask the job to stop; may be called from any thread, more than once: the first reason counts.

        Args:
            why: how the sentence begins that the job ends with; by default that its user asked for it.
        """
        if why and not self.cancelled:
            self.why = why
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()


def cancellable(progress: Progress, token: CancelToken) -> Progress:
    """Return a callback that reports to ``progress`` and raises `CancelledError` once ``token`` is cancelled."""

    def report(done: int, total: int, what: str) -> None:
        if token.cancelled:
            raise CancelledError(f"{token.why} after {done} of {total} ({what}); what was finished is kept.")
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


@contextmanager
def using_profile(profile: Profile | None) -> Iterator[None]:
    """Let this process, and those it starts, run a profile for as long as the context lasts; None changes nothing."""
    before = os.environ.get(PROFILE_VARIABLE)
    if profile is not None:
        os.environ[PROFILE_VARIABLE] = profile
    try:
        yield
    finally:
        if profile is not None:
            os.environ.pop(PROFILE_VARIABLE)
            if before is not None:
                os.environ[PROFILE_VARIABLE] = before


def home() -> Path | None:
    """The folder below which lies all that must outlive a restart; None when each thing lies in its usual place.

    It is ``SHOWREEL_HOME``; or, on a Space, its disk, where one is mounted and may be written to.

    Raises:
        ParameterError: the variable names something that is no folder, or one that may not be written to.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        folder = Path(chosen).expanduser().absolute()
        if folder.exists() and not _writable(folder):
            raise ParameterError(f"{HOME_VARIABLE} names {folder}, which is no folder to write to; name another one.")
        return folder
    return SPACE_DISK if os.environ.get(SPACE_VARIABLE) and _writable(SPACE_DISK) else None


_LOADING = threading.RLock()


@contextmanager
def loading_alone() -> Iterator[None]:
    """Keep other threads from loading networks of transformers or diffusers meanwhile; also a decorator.

    These import their parts when they are first named, and a thread that names one which another thread is just
    importing may be told that there is none (``cannot import name 'AutoModel'``).
    """
    with _LOADING:
        yield


def give_back_memory() -> None:
    """Hand memory that is free back to the system.

    glibc keeps what a thread has freed for that thread, which in a server of many threads looks like a leak. Where the
    C library is another one, it is left to it.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def below_home(place: str) -> str:
    """A relative folder put below `home`; a full path, one from ``~``, an address, and everything without a home stay.

    Raises:
        ParameterError: as `home`.
    """
    root = home()
    return place if root is None or "://" in place or place.startswith("~") else str(root / place)


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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


SHARE = 0.8
"""The share of a device's free memory that the parameters of a network may take; the rest is for what it computes."""


def free_bytes(device: torch.device) -> int:
    """Memory that this process may still take: of a GPU, with what torch keeps there unused; or main memory."""
    if device.type != "cuda":
        return int(get_max_memory()["cpu"])
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def network_bytes(network: torch.nn.Module) -> int:
    """The size of a network's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))


def place(network: torch.nn.Module, where: Placement) -> torch.nn.Module:
    """Move a frozen network to its device, in eval mode; one that does not fit is offloaded layer by layer.

    The rule: a network that takes more than 80 % of the free GPU memory stays in main memory, and accelerate carries
    each layer to the GPU when it is needed. Large networks that several tools take turns with are for
    `core.memory.house`.
    """
    network.eval().requires_grad_(False)
    if where.device.type == "cuda" and network_bytes(network) > SHARE * free_bytes(where.device):
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
