"""Which networks lie on a GPU: the least recently used one leaves when the next does not fit; one in use never does.

A network is put on its device whole when it is housed, if it takes no more than `core.runtime.SHARE` of what is free.
Where it does not fit, those that nobody uses go to main memory, the one whose last use is longest ago first, until it
does; each comes back when it is used again. Where even that would not give enough room, nothing is moved, and
accelerate carries the network's layers to the GPU one by one: slower, with the same results. So nobody ever waits for a
network of another's to leave, and two jobs cannot wait for each other.

A CPU has room for all: its networks lie in main memory already, and moving them would free nothing.
"""

import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal
from weakref import WeakSet

import torch
from accelerate import cpu_offload
from accelerate.hooks import remove_hook_from_module
from accelerate.utils.memory import clear_device_cache
from torch import nn

from core.runtime import SHARE, Placement, free_bytes, network_bytes

Lies = Literal["whole", "layers", "away"]
"""All of it on the device; in main memory, carried there layer by layer; in main memory until it is used."""
MAIN_MEMORY = torch.device("cpu")
_log = logging.getLogger(__name__)
_residences: dict[torch.device, "Residence"] = {}
_lock = threading.Lock()


class Resident:
    """A network that shares a device with others; `Residence.take_in` makes it.

    Attributes:
        name: for the log.
        bytes: of its parameters and buffers.
        lies: where it is now.
        users: how many use it now.
    """

    def __init__(self, network: nn.Module, name: str, residence: "Residence") -> None:
        self.name, self.bytes = name, network_bytes(network)
        self.lies: Lies = "away"
        self.users, self.used = 0, 0
        self._network, self._residence, self._turn = network, residence, threading.RLock()

    @contextmanager
    def in_use(self) -> Iterator[Any]:
        """The network, ready to compute on its device, which it does not leave before the context ends.

        Several threads may use it at once; one that is carried layer by layer they use one after the other.
        """
        self._residence.enter(self)
        try:
            with self._turn if self.lies == "layers" else nullcontext():
                yield self._network
        finally:
            self._residence.leave(self)

    def move(self, lies: Lies, device: torch.device) -> None:
        """Bring it there. For its residence, which holds the lock.

        Raises:
            torch.OutOfMemoryError: it does not fit after all; it then lies in main memory.
        """
        with torch.inference_mode(False), torch.no_grad():
            if self.lies == "layers":
                remove_hook_from_module(self._network, recurse=True)
            self.lies = "away"
            if lies == "layers":
                cpu_offload(self._network.to(MAIN_MEMORY), execution_device=device)
            else:
                self._moved_whole(device if lies == "whole" else MAIN_MEMORY)
        self.lies = lies

    def _moved_whole(self, device: torch.device) -> None:
        try:
            self._network.to(device)
        except torch.OutOfMemoryError:
            self._network.to(MAIN_MEMORY)
            raise


class Residence:
    """The networks of one device. All methods may be called from any thread.

    Args:
        device: where they compute.
        free: bytes of it that are free now; measured by default, and without bound on a CPU.
    """

    def __init__(self, device: torch.device, free: Callable[[], int] | None = None) -> None:
        self.device = device
        self._free = free or (partial(free_bytes, device) if device.type != "cpu" else lambda: sys.maxsize)
        self._lock, self._clock = threading.RLock(), itertools.count(1)
        self._residents: WeakSet[Resident] = WeakSet()

    def take_in(self, network: nn.Module, name: str) -> Resident:
        """Put a frozen network, in eval mode, where there is room for it; it stays a resident while somebody holds it.

        Args:
            network: in main memory.
            name: for the log.
        """
        resident = Resident(network.eval().requires_grad_(False), name, self)
        with self._lock:
            self._bring(resident)
            self._residents.add(resident)
        return resident

    def enter(self, resident: Resident) -> None:
        """Somebody begins to use it: bring it to the device, and let it stay there."""
        with self._lock:
            resident.users += 1
            try:
                self._bring(resident)
            except BaseException:
                resident.users -= 1
                raise

    def leave(self, resident: Resident) -> None:
        """Somebody has done with it."""
        with self._lock:
            resident.users -= 1

    def make_room(self) -> bool:
        """Send every network to main memory that nobody uses; false where there is none, or nothing to be won."""
        with self._lock:
            idle = self._idle() if self.device.type != "cpu" else []
            for resident in idle:
                self._send_away(resident)
            return bool(idle)

    def _bring(self, resident: Resident) -> None:
        resident.used = next(self._clock)
        if resident.lies == "whole" or (resident.lies == "layers" and resident.users > 1):
            return
        idle = self._idle()
        if resident.bytes <= SHARE * (self._free() + sum(other.bytes for other in idle)):
            for other in idle:
                if self._fits(resident):
                    break
                self._send_away(other)
        if self._fits(resident) and self._came_whole(resident):
            return
        if resident.lies != "layers":
            resident.move("layers", self.device)
            _log.info("%s (%.2f GB) does not fit on %s; its layers come one by one.", *self._told(resident))

    def _came_whole(self, resident: Resident) -> bool:
        try:
            resident.move("whole", self.device)
        except torch.OutOfMemoryError:
            clear_device_cache()
            return False
        _log.info("%s (%.2f GB) lies on %s.", *self._told(resident))
        return True

    def _fits(self, resident: Resident) -> bool:
        return resident.bytes <= SHARE * self._free()

    def _idle(self) -> list[Resident]:
        """Those that may leave, the one whose last use is longest ago first."""
        idle = [one for one in self._residents if one.lies == "whole" and not one.users]
        return sorted(idle, key=lambda one: one.used)

    def _send_away(self, resident: Resident) -> None:
        resident.move("away", self.device)
        clear_device_cache()
        _log.info("%s (%.2f GB) left %s for main memory.", *self._told(resident))

    def _told(self, resident: Resident) -> tuple[str, float, torch.device]:
        return resident.name, resident.bytes / 1e9, self.device


def house(network: nn.Module, where: Placement, name: str) -> Resident:
    """Let a frozen network share this process's device with the others; see the head of this module.

    Args:
        network: in main memory; it is put in eval mode.
        where: its device.
        name: for the log.
    """
    return _residence(where.device).take_in(network, name)


def make_room(device: torch.device) -> bool:
    """Send every network of a device to main memory that nobody uses; false where there is none."""
    return _residence(device).make_room()


def _residence(device: torch.device) -> Residence:
    with _lock:
        return _residences.setdefault(device, Residence(device))
