"""The peers' side of `tests.benchmarks.copy_methods`: runs in the peers' own interpreter and imports nothing of ours.

    PEERS_PYTHON tests/benchmarks/copy_peers.py available
    PEERS_PYTHON tests/benchmarks/copy_peers.py METHOD        < lines "INPUT <tab> OUTPUT"
    PEERS_PYTHON tests/benchmarks/copy_peers.py tmk_scores OUT.npy  < lines "q <tab> FILE" and "r <tab> FILE"

``pdq`` turns frames (T, H, W, 3) in a .npy file into (T, 257): 256 bits and the quality, 0 to 100. ``videohash`` turns
a film into 64 bits, ``tmk`` into TMK's own file. What fails is named on standard error and leaves no output.
"""

import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np

PACKAGES = {"pdq": "pdqhash", "videohash": "videohash", "tmk": "tmkpy"}


def pdq(frames: Path, out: Path) -> None:
    """PDQ of every frame, as the reference code computes it."""
    pdqhash = import_module("pdqhash")
    hashes = [pdqhash.compute(np.ascontiguousarray(frame)) for frame in np.load(frames)]
    np.save(out, np.array([[*bits, min(quality, 100)] for bits, quality in hashes], np.uint8))


def videohash(film: Path, out: Path) -> None:
    """videohash 3.0.1, which asks for a name that Pillow has dropped, and for a downloader that is not needed here."""
    image = import_module("PIL.Image")
    vars(image)["ANTIALIAS"] = vars(image)["Resampling"].LANCZOS
    sys.modules.setdefault("yt_dlp", types.ModuleType("yt_dlp"))
    described = import_module("videohash").VideoHash(path=str(film))
    np.save(out, np.array(described.bitlist, np.uint8))
    described.delete_storage_path()


def tmk(film: Path, out: Path) -> None:
    """TMK+PDQF of the whole film at its default 15 frames a second."""
    tmkpy = import_module("tmkpy")
    tmkpy.hashVideo(str(film), str(ffmpeg())).writeToOutputFile(str(out), "copy_detection")


def tmk_scores(out: Path) -> None:
    """TMK's level-2 score of every query against every reference; -1 where one cannot be read."""
    tmkpy = import_module("tmkpy")
    rows = list(lines())
    references = [name for kind, name in rows if kind == "r"]
    queries = [name for kind, name in rows if kind == "q"]
    np.save(out, np.array([score(tmkpy, query, references) for query in queries], np.float64))


def score(tmkpy: types.ModuleType, query: str, references: list[str]) -> list[float]:
    """A row of TMK's scores."""
    return list(tmkpy.query(query, references, 1)) if Path(query).exists() else [-1.0] * len(references)


def ffmpeg() -> Path:
    """The ffmpeg that imageio-ffmpeg brings, under the name that the peers look for, on the path."""
    folder = Path(tempfile.gettempdir()) / "copy_peers"
    folder.mkdir(exist_ok=True)
    link = folder / "ffmpeg"
    if not link.exists():
        link.symlink_to(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    if str(folder) not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return link


def lines() -> Iterator[tuple[str, str]]:
    """Pairs from standard input."""
    for line in sys.stdin:
        first, second = line.rstrip("\n").split("\t")
        yield first, second


METHODS: dict[str, Callable[[Path, Path], None]] = {"pdq": pdq, "videohash": videohash, "tmk": tmk}


def main() -> None:
    """Do what the first argument says."""
    command = sys.argv[1]
    if command == "available":
        print("\n".join(name for name, package in PACKAGES.items() if importlib.util.find_spec(package)))
        return
    if command == "tmk_scores":
        tmk_scores(Path(sys.argv[2]))
        return
    if command != "pdq":
        ffmpeg()
    for source, out in list(lines()):  # all at once: ffmpeg would drink from the same source
        part = Path(out).with_name(f"part-{Path(out).name}")
        try:
            METHODS[command](Path(source), part)
            part.replace(out)
        except Exception as error:  # noqa: BLE001 - a peer may fail on a film in any way, and is then counted so
            print(f"{command}: {source}: {error!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
