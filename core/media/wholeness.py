"""Whether a file is all there: what its outermost boxes promise against the bytes it has.

libav plays what is left of a file that was cut short, and says nothing. Three families of containers write the length
of their outermost boxes at the front, so that a missing end can be told exactly: ISO media (MP4, MOV: ISO/IEC 14496-12,
4.2), Matroska and WebM (RFC 8794, 6), and RIFF (AVI, WebP). Streams made for broadcast or live recording promise
nothing, and a cut goes unnoticed there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_ISO_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_MOST_BOXES = 100_000
_EBML_HEADER, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """How many bytes a file promises beyond its end; 0 when it is whole, or when its kind promises nothing."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        stream.seek(0)
        if head[4:8] in _ISO_FIRST_BOXES:
            promised = _iso_end(stream, size)
        elif head[:4] == _EBML_HEADER:
            promised = _matroska_end(stream)
        elif head[:4] == b"RIFF":
            promised = _riff_end(stream, size)
        else:
            promised = size
    return max(0, promised - size)


def movie_header_s(path: Path) -> float:
    """The seconds that the movie header of an ISO file claims; 0 for other kinds, and where it claims nothing.

    libav believes the table of samples instead, so that this claim, which players show, is not to be had from it.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(12)[4:8] not in _ISO_FIRST_BOXES:
            return 0
        for kind, begin, end in _iso_boxes(stream, 0, size):
            for inner, start, _ in _iso_boxes(stream, begin, min(end, size)) if kind == b"moov" else ():
                if inner == b"mvhd":
                    stream.seek(start)
                    return _movie_header_s(stream.read(32))
    return 0


def _movie_header_s(body: bytes) -> float:
    """``mvhd``, ISO/IEC 14496-12, 8.2.2: version and flags, two dates, then the time scale and the duration."""
    wide = body[:1] == b"\1"
    scale, length = (body[20:24], body[24:32]) if wide else (body[12:16], body[16:20])
    if not any(scale) or length.count(0xFF) == len(length):
        return 0
    return int.from_bytes(length, "big") / int.from_bytes(scale, "big")


def _iso_end(stream: BinaryIO, size: int) -> int:
    return max((end for _, _, end in _iso_boxes(stream, 0, size)), default=0)


def _iso_boxes(stream: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places of a file, each with its kind, the place of its body, and its promised end."""
    for _ in range(_MOST_BOXES):
        if begin + 8 > end:
            return
        stream.seek(begin)
        head = stream.read(16)
        length, body = int.from_bytes(head[:4], "big"), begin + 8
        if length == 1:
            length, body = int.from_bytes(head[8:16], "big"), begin + 16
        if length < 8:  # 0 means "to the end"; anything else is no box
            length = end - begin
        yield head[4:8], body, begin + length
        begin += length


def _matroska_end(stream: BinaryIO) -> int:
    stream.seek(4)
    header = _vint(stream)
    stream.seek(header or 0, 1)
    if stream.read(4) != _SEGMENT:
        return 0
    length = _vint(stream)
    return 0 if length is None else stream.tell() + length


def _vint(stream: BinaryIO) -> int | None:
    """A length of Matroska: as many more bytes as its first has leading zeros; all ones mean "unknown"."""
    first = (stream.read(1) or b"\0")[0]
    more = 8 - first.bit_length()
    value = int.from_bytes(bytes([first & (0x7F >> more)]) + stream.read(more), "big") if more < 8 else 0
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _riff_end(stream: BinaryIO, size: int) -> int:
    end = 0
    while end + 8 <= size:
        stream.seek(end)
        head = stream.read(8)
        if head[:4] != b"RIFF":
            return size if end else 0
        length = int.from_bytes(head[4:], "little")
        end += 8 + length + length % 2
    return end
