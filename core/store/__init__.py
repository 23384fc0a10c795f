"""Libraries of videos, segments, tracks and concepts: rows with one vector each, found by likeness.

`open_library` is the door; what comes back keeps to the `Library` protocol, whatever engine stands behind it (today
LanceDB, in `core.store.lance`). Importing this package loads no engine.
"""

from core.store.library import Kind, Library, open_library, other_versions, remove_version
from core.store.record import EncoderVersion, Match, Record
from core.store.settings import read_setting, write_setting

__all__ = [
    "EncoderVersion",
    "Kind",
    "Library",
    "Match",
    "Record",
    "open_library",
    "other_versions",
    "read_setting",
    "remove_version",
    "write_setting",
]
