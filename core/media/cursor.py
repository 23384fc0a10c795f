"""One walk through the pictures of a source, with jumps ahead where they pay."""

from collections.abc import Iterator

from core.errors import ClipTooShortError
from core.media.source import Picture, Source


class Cursor:
    """Walks once through the pictures of a source and tells which one is shown at a tick."""

    def __init__(self, source: Source, seeking: bool) -> None:
        self._source, self._seeking = source, seeking
        self._pictures = source.pictures()
        self._shown: Picture | None = None
        self._next = next(self._pictures, None)

    def at(self, pts: int) -> Picture:
        """The last picture at or before ``pts``, or the first one."""
        if self._seeking and self._next is not None and self._source.seek_pays(self._next.pts, pts):
            self._jump(pts)
        while self._next is not None and (self._shown is None or self._next.pts <= pts):
            self._shown, self._next = self._next, next(self._pictures, None)
        if self._shown is None:
            raise ClipTooShortError("No picture is left to show; open the file again.")
        return self._shown

    def between(self, begin: int, end: int) -> Iterator[Picture]:
        """The pictures with ticks from ``begin`` to before ``end``; where there is none, the one shown at ``begin``."""
        picture = self.at(begin - 1)
        alone = picture.pts < begin
        if not alone:
            yield picture
        while self._next is not None and self._next.pts < end:
            self._shown, self._next, alone = self._next, next(self._pictures, None), False
            yield self._shown
        if alone:
            yield picture

    def _jump(self, pts: int) -> None:
        """Go on from the keyframe before ``pts``; where that fails, from the start and without further jumps."""
        here = self._next.pts if self._next is not None else 0
        self._pictures = self._source.pictures_from(pts)
        self._next = next(self._pictures, None)
        self._shown = None
        if self._next is not None and here < self._next.pts <= pts:
            return
        self._seeking = False
        if self._next is None or self._next.pts > pts:
            self._pictures = self._source.pictures()
            self._next = next(self._pictures, None)
