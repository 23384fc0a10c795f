"""How much one session may ask for, and the sentences that say so."""

import threading
import time
from collections import OrderedDict, deque

_MINUTE_S = 60.0
_SESSIONS = 10_000


class Rates:
    """Requests of the last minute, by owner; the owners that asked longest ago are forgotten beyond ten thousand.

    Args:
        per_minute: how many requests of one owner are admitted in any 60 seconds.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute, self._lock = per_minute, threading.Lock()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def admits(self, owner: str) -> bool:
        """Whether one more is within the limit; if so, it counts."""
        now = time.monotonic()
        with self._lock:
            times = self._times.setdefault(owner, deque())
            self._times.move_to_end(owner)
            if len(self._times) > _SESSIONS:
                self._times.popitem(last=False)
            while times and now - times[0] > _MINUTE_S:
                times.popleft()
            if len(times) >= self._per_minute:
                return False
            times.append(now)
            return True


def too_many_requests(per_minute: int) -> str:
    """What an owner is told beyond the limit of `Rates`."""
    return f"You asked more than {per_minute} times within a minute, which is the limit here; wait a little."


def too_many_jobs(jobs: int) -> str:
    """What an owner is told whose jobs are as many as may wait or run."""
    counted = f"{jobs} job is" if jobs == 1 else f"{jobs} jobs are"
    return f"{counted} waiting or running for you, which is the limit here; wait until one is done, or stop one."
