"""Libraries of videos, segments, tracks and concepts: rows with one vector each, found by likeness.

`open_library` is the door; what comes back keeps to the `Library` protocol, whatever engine stands behind it: LanceDB
(`core.store.lance`) for folders and object storage, Milvus (`core.store.milvus`) for a cluster that answers one query
together. Where jobs run in forks of the server, a process of its own holds them (`core.store.apart`). Importing this
package loads no engine. `core.store.migration` copies a library from one to the other.
"""

from core.store.library import Kind, Library, open_library, other_versions, remove_version
from core.store.record import EncoderVersion, Match, Record
from core.store.settings import read_setting, read_settings, write_setting

__all__ = [
    "EncoderVersion",
    "Kind",
    "Library",
    "Match",
    "Record",
    "open_library",
    "other_versions",
    "read_setting",
    "read_settings",
    "remove_version",
    "write_setting",
]
