"""Interlaced pictures made progressive, one out for one in, with their timestamps."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.filter import Graph


class Deinterlacer:
    """FFmpeg's bwdif (Weston's three-field filter with yadif's edge test), applied to frames flagged interlaced.

    The field order is the one each frame names. A picture comes out once its successor went in.
    """

    def __init__(self, first: VideoFrame, time_base: Fraction) -> None:
        self._time_base = time_base
        self._shape = _shape(first)
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def fits(self, frame: VideoFrame) -> bool:
        """Whether the frame has the size and format of the first one."""
        return _shape(frame) == self._shape

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Put one frame in; yields those that are ready."""
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[VideoFrame]:
        """Yield what is left at the end."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            if frame.pts is not None and frame.time_base is not None:
                frame.pts = round(frame.pts * frame.time_base / self._time_base)
            yield frame


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
