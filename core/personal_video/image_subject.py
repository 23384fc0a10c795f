"""The image that may come with a prompt: its subject, cut out (METHODS 2, modes b, c and e)."""

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from core.digest import sha256_of
from core.encoders.image import ImageEncoder
from core.media import checked_path
from core.personal_video.concepts import Vector, described
from core.personal_video.config import ConceptConfig
from core.personal_video.cutting import Cutout, SubjectCutter

_KEPT = 16
_Key = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class ImageSubject:
    """The subject of an image.

    Attributes:
        name: of the image's file.
        sha256: of its content.
        cutouts: one, or several of an animated image.
    """

    name: str
    sha256: str
    cutouts: tuple[Cutout, ...] = field(repr=False)
    _vectors: dict[str, Vector] = field(default_factory=dict, repr=False)

    def vector(self, encoder: ImageEncoder) -> Vector:
        """What an image encoder says of it, as `described`; asked once."""
        key = f"{encoder.name} {encoder.version}"
        if key not in self._vectors:
            self._vectors[key] = described(self.cutouts, encoder)
        return self._vectors[key]


class ImageSubjects:
    """Cuts subjects out of images; those of the last sixteen images are kept. May be shared by threads.

    Args:
        config: how images are looked at.
    """

    def __init__(self, config: ConceptConfig | None = None) -> None:
        self._config, self._lock = config or ConceptConfig(), Lock()
        self._kept: OrderedDict[_Key, ImageSubject] = OrderedDict()

    def known(self, path: str | Path) -> ImageSubject | None:
        """The subject of an image that was looked at of late; None of any other."""
        with self._lock:
            return self._kept.get(_key_of(path))

    def of(self, path: str | Path) -> ImageSubject:
        """The subject of an image.

        Raises:
            MediaError: the file cannot be read, is too large, or shows no subject.
        """
        checked_path(path, self._config.limits)
        if (known := self.known(path)) is not None:
            return known
        key = _key_of(path)
        with SubjectCutter(self._config) as cutter:
            found = ImageSubject(Path(path).name, sha256_of(path), tuple(cutter.cut_file(path)))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def _key_of(path: str | Path) -> _Key:
    try:
        told = Path(path).stat()
    except OSError:
        return str(path), 0, 0
    return str(path), told.st_mtime_ns, told.st_size
