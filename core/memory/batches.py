"""Batches that fit into memory: as large as measured, halved when memory runs out, and at one thing a clear error.

What counts as running out of memory, and how memory is freed, is accelerate's. Its `find_executable_batch_size` is not
used, for it computes again from the beginning what was already done, collects garbage at each call, and frees memory
while the traceback still holds it.
"""

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from core.errors import OutOfMemoryError
from core.memory.residence import make_room
from core.runtime import free_bytes

GROWTH = 8
"""How many times the first batch a later one may be."""
CAUTION = 0.5
"""Share of the free memory that a batch may take, by what the one before took."""
Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)


class Meter(Protocol):
    """Measures a device's memory."""

    def free(self) -> int:
        """Bytes that are free now."""
        ...

    def start(self) -> None:
        """Begin to look for the most that is taken."""
        ...

    def most(self) -> int:
        """Bytes that were taken at most since `start`, beyond what was taken then."""
        ...


class GpuMeter:
    """A `Meter` of a GPU. What other threads take at the same time counts too, so that batches are rather too small."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._before = device, 0

    def free(self) -> int:
        """See `Meter`."""
        return free_bytes(self._device)

    def start(self) -> None:
        """See `Meter`."""
        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def most(self) -> int:
        """See `Meter`."""
        return torch.cuda.max_memory_allocated(self._device) - self._before


class Batches:
    """Runs a network over any number of things, some at once; one object serves one network, from any thread.

    The first batch has ``first`` things. On a GPU its memory is measured, and each later batch has as many as fit into
    half of what is free, at most eight times ``first``; on a CPU, where larger batches are not quicker, ``first``.
    Where memory runs out nevertheless, the networks that nobody uses leave the device first; then the batch is halved,
    and only what was not done yet is computed. Every halving stands in the log. Results do not depend on the sizes,
    but for rounding.

    Args:
        what: the network, for the log and the error.
        device: where it computes.
        first: things in the first batch, from 1.
        most: in any batch; 8 · ``first`` by default.
        meter: measures memory; by default that of a GPU, and none on a CPU.

    Attributes:
        size: things in the next batch.
    """

    def __init__(
        self, what: str, device: torch.device, first: int, most: int | None = None, meter: Meter | None = None
    ) -> None:
        self.size, self._most = first, GROWTH * first if most is None else most
        self._what, self._device = what, device
        self._meter = meter or (GpuMeter(device) if device.type == "cuda" else None)

    def run(self, count: int, work: Callable[[slice], Answer]) -> list[Answer]:
        """What ``work`` answers for each batch, in order.

        Args:
            count: of things.
            work: computes those of a slice; it may be called again for some of them.

        Raises:
            OutOfMemoryError: there is no room even for one of them.
        """
        answers: list[Answer] = []
        done, most, size, cleared = 0, self._most, min(self.size, self._most), 0
        while done < count:
            part = slice(done, min(done + size, count))
            if self._meter:
                self._meter.start()
            answer, trouble = _tried(work, part)
            if trouble:
                things = part.stop - done
                size = most = self._after(trouble, things, may_clear=cleared != things)
                cleared = things
            else:
                answers += answer
                size = self._fitting(part.stop - done, most, size)
                done = part.stop
            self.size = size
        return answers

    def _fitting(self, things: int, most: int, size: int) -> int:
        """How many may come next, after a batch of so many things that went well."""
        taken = self._meter.most() if self._meter else 0
        if not self._meter or taken <= 0:
            return min(size, most)
        return max(1, min(most, int(CAUTION * self._meter.free() * things / taken)))

    def _after(self, trouble: str, things: int, may_clear: bool) -> int:
        """How many to try next, after a batch of so many for which there was no room."""
        clear_device_cache(garbage_collection=True)
        if may_clear and make_room(self._device):
            _log.warning("%s: no room for %d at once; idle networks left %s.", self._what, things, self._device)
            return things
        if things == 1:
            raise OutOfMemoryError(
                f"{self._what} has no room on {self._device} even for one thing at a time ({trouble}). Stop other "
                "programs that use its memory, give smaller or shorter files, or use the embedded profile."
            )
        _log.warning("%s: no room for %d at once; going on with %d. %s", self._what, things, things // 2, trouble)
        return things // 2


def _tried(work: Callable[[slice], Answer], part: slice) -> tuple[list[Answer], str]:
    """The answer; or the first line of why there was no room. Nothing of the attempt is held any longer."""
    try:
        return [work(part)], ""
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not should_reduce_batch_size(error):
            raise
        return [], (str(error) or type(error).__name__).splitlines()[0]
