"""What a kind of file must offer so that it can be read as a film; `VideoReader` does the rest."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.media.info import MediaInfo
from core.media.timebase import Clock

Size = tuple[int, int]
Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)


class Picture(NamedTuple):
    """One decoded picture: its tick on the source's clock, and the picture as the source keeps it."""

    pts: int
    image: Any


class Luma(NamedTuple):
    """The brightness of a picture, upright: (H, W) as decoded, read only, and the values of black and white in it."""

    plane: NDArray[np.uint8] | NDArray[np.uint16]
    black: int
    white: int


class Source(Protocol):
    """One open file; every call of `pictures` or `pictures_from` is a new pass and ends the one before."""

    info: MediaInfo
    clock: Clock
    decoded_frames: int
    damaged_packets: int

    def pictures(self) -> Iterator[Picture]:
        """All pictures from the first, with rising ticks."""
        ...

    def seek_pays(self, here: int, target: int) -> bool:
        """Whether jumping to ``target`` is cheaper than decoding on from ``here`` (both in ticks)."""
        ...

    def pictures_from(self, target: int) -> Iterator[Picture]:
        """The pictures from a keyframe at or before ``target`` on; none if the file cannot be searched after all."""
        ...

    def pixels(self, picture: Picture, size: Size | None, background: Colour | None) -> NDArray[np.uint8]:
        """The picture upright as uint8 (H, W, 3), or (H, W, 4) when ``background`` is None."""
        ...

    def luma(self, picture: Picture) -> Luma:
        """The picture's brightness, upright; not copied where it is stored as a plane of its own."""
        ...

    def close(self) -> None:
        """Release the file; may be called twice."""
        ...
