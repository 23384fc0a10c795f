"""Lance's errors in the house's words, and patience with its commit conflicts.

Lance raises RuntimeError, ValueError and OSError alike for all that can go wrong, so the text has to tell a conflict
with another writer from a library that is damaged or out of reach.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from core.errors import CoreError, StoreError
from core.store.address import is_remote

_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.05
_CONFLICT = ("conflict", "concurrent", "contention")
Answer = TypeVar("Answer")


class CommitConflictError(StoreError):
    """Another writer was faster, again and again."""


@contextmanager
def told_as_store_error(address: str) -> Iterator[None]:
    """Turn Lance's errors into `StoreError`, with the remedy."""
    try:
        yield
    except CoreError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0].replace(address.strip("/"), "…")
        if any(word in reason.lower() for word in _CONFLICT):
            raise CommitConflictError(f"Others kept writing to the library {address}; try again.") from error
        if is_remote(address):
            remedy = "check the address, the AWS_* variables and the connection"
        else:
            remedy = "bring the folder back from a copy, or name a new folder and add the files again"
        raise StoreError(f"The library {address} cannot be read or written ({reason[:200]}); {remedy}.") from error


def patiently(address: str, write: Callable[[], Answer]) -> Answer:
    """Call ``write``, and call it again when another writer got in between; at most 8 times within about 10 s.

    Raises:
        StoreError: it still does not work, or it fails for another reason.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with told_as_store_error(address):
                return write()
        except CommitConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1))
    raise AssertionError("the last attempt returns or raises")
