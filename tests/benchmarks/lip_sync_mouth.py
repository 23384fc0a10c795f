"""Whether the changed hue angle tells lips from skin better than plain HSI does, on films of faces.

    python -m tests.benchmarks.lip_sync_mouth FILE [FILE ...] [--pictures 5] [--briefly]

Prints a Markdown table, and the single threshold that is best on all files. Each film is looked at in evenly spread
pictures, a photograph once. Lips are what lies between the outer and the inner edge that the landmarks draw; skin is
the rest of the lower half of the face, 4 % of its width away from the lips; both without a pixel at their edges.
"ranked" is the chance that a lip pixel has the larger hue of two (0.5: no better than a coin); "by threshold" is the
mean of the shares of lips above and of skin below one threshold, which was chosen on the other files; the last two
columns are the mouth mask as it is used against what the outer edge of the lips encloses.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.lip_sync.faces import INNER, OUTER, Face, FaceFinder
from core.lip_sync.mouth_region import RED_WEIGHT, face_mask, hsi, lower_part, mouth_and_lower
from core.media import VideoReader
from tests.benchmarks.video_search import table

Pixels = NDArray[np.uint8]
Hues = NDArray[np.float32]
KINDS = {"plain": 0.0, "changed": RED_WEIGHT}
LEAST_PX = 96
"""Narrower faces are left out: their lips are a few pixels high."""
PIXELS = 1000
"""Taken at random from the lips and from the skin of a face, so that each counts the same."""
_SMALL = np.ones((3, 3), np.uint8)


def shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without the pixels at its edge."""
    return np.asarray(cv2.erode(mask.astype(np.uint8), _SMALL), np.bool_)


def grown(mask: NDArray[np.bool_], by_px: int) -> NDArray[np.bool_]:
    """A mask and what is near it."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * by_px + 1,) * 2, np.uint8)), np.bool_)


def lips_and_skin(picture: Pixels, face: Face) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The pixels of the lips and of the skin around them."""
    shape, outline = (picture.shape[0], picture.shape[1]), face.outline
    outer, inner = (face_mask(shape, face.landmarks[edge]) for edge in (OUTER, INNER))
    assert outline.down is not None
    lower = lower_part(face_mask(shape, outline.points), outline.down)
    margin = max(1, round(0.04 * face.width_px))
    return shrunk(outer & ~grown(inner, 1)), shrunk(lower) & ~grown(outer, margin)


class Tally:
    """What was found in one film."""

    def __init__(self) -> None:
        self.lips: dict[str, list[Hues]] = {kind: [] for kind in KINDS}
        self.skin: dict[str, list[Hues]] = {kind: [] for kind in KINDS}
        self.colours: list[NDArray[np.float64]] = []
        self.masks: list[tuple[float, float]] = []

    def look(self, picture: Pixels, face: Face, random: np.random.Generator) -> None:
        """Take one face in."""
        if face.width_px < LEAST_PX:
            return
        lips, skin = lips_and_skin(picture, face)
        if not lips.any() or not skin.any():
            return
        chosen = [random.choice(np.flatnonzero(mask), PIXELS) for mask in (lips, skin)]
        for kind, weight in KINDS.items():
            hue = hsi(picture, weight).hue_deg.ravel()
            self.lips[kind].append(hue[chosen[0]])
            self.skin[kind].append(hue[chosen[1]])
        self.colours.append(np.stack([np.median(picture[mask], axis=0) for mask in (lips, skin)]))
        whole = face_mask((picture.shape[0], picture.shape[1]), face.landmarks[OUTER])
        mouth, _ = mouth_and_lower(picture, face.outline)
        shared = float((mouth & whole).sum())
        self.masks.append((shared / whole.sum(), shared / max(1, mouth.sum())))

    def hues(self, kind: str) -> tuple[Hues, Hues]:
        """All hues of lips and of skin."""
        return np.concatenate(self.lips[kind]), np.concatenate(self.skin[kind])


def ranked(lips: Hues, skin: Hues) -> float:
    """The chance that a lip has the larger hue than skin; ties count a half."""
    order = np.sort(skin)
    return float(((np.searchsorted(order, lips) + np.searchsorted(order, lips, "right")) / 2 / len(order)).mean())


def balanced(lips: Hues, skin: Hues, thresholds: Hues) -> Hues:
    """The mean of both shares on the right side, for each threshold."""
    above = 1 - np.searchsorted(np.sort(lips), thresholds, "right") / len(lips)
    return np.asarray((above + np.searchsorted(np.sort(skin), thresholds, "right") / len(skin)) / 2, np.float32)


def thresholds_and_scores(tallies: Sequence[Tally], kind: str) -> tuple[Hues, Hues]:
    """Many thresholds (K,), and how each does in each file, (files, K)."""
    pairs = [tally.hues(kind) for tally in tallies]
    every = np.concatenate([hues for pair in pairs for hues in pair])
    thresholds = np.unique(np.quantile(every, np.linspace(0, 1, 1000))).astype(np.float32)
    return thresholds, np.stack([balanced(*pair, thresholds) for pair in pairs])


def rows(tallies: dict[str, Tally]) -> list[list[str]]:
    """One row a file, and the mean of all."""
    scores = {kind: thresholds_and_scores(list(tallies.values()), kind)[1] for kind in KINDS}
    numbers, heads = [], []
    for index, (name, tally) in enumerate(tallies.items()):
        line = []
        for kind in KINDS:
            others = (np.delete(scores[kind], index, axis=0) if len(tallies) > 1 else scores[kind]).mean(axis=0)
            line += [ranked(*tally.hues(kind)), float(scores[kind][index, int(others.argmax())])]
        numbers.append([*line, *np.mean(tally.masks, axis=0)])
        lips, skin = np.mean(tally.colours, axis=0).round().astype(int)
        heads.append([name, str(len(tally.masks)), " ".join(map(str, lips)), " ".join(map(str, skin))])
    heads.append([f"mean of {len(tallies)}", str(sum(len(tally.masks) for tally in tallies.values())), "", ""])
    numbers.append(list(np.mean(numbers, axis=0)))
    return [[*words, *(f"{number:.2f}" for number in line)] for words, line in zip(heads, numbers, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path, metavar="FILE", help="films or photographs")
    parser.add_argument("--pictures", type=int, default=5, help="looked at in each film (default: 5)")
    parser.add_argument("--briefly", action="store_true", help="print the mean only")
    arguments = parser.parse_args()
    random, tallies = np.random.default_rng(0), {}
    with FaceFinder() as finder:
        for path in arguments.films:
            tally = Tally()
            with VideoReader(path, 1280) as reader:
                times = [
                    (2 * n + 1) * reader.info.duration_s / (2 * arguments.pictures) for n in range(arguments.pictures)
                ]
                for frame in reader.frames_at(times):
                    for face in finder.faces(frame.pixels):
                        tally.look(frame.pixels, face, random)
            if tally.masks:
                tallies[path.stem] = tally
            else:
                print(f"{path.name}: no face of {LEAST_PX} pixels", file=sys.stderr)
    head = ["file", "faces", "lips, R G B", "skin, R G B", "plain: ranked", "by threshold", "changed: ranked",
            "by threshold", "mask: lips found", "share that is lips"]  # fmt: skip
    print(table(head, rows(tallies)[-1 if arguments.briefly else 0 :]))
    for kind in KINDS:
        thresholds, scores = thresholds_and_scores(list(tallies.values()), kind)
        best = int(scores.mean(axis=0).argmax())
        print(f"\nbest threshold, {kind}: {thresholds[best]:.1f} degrees ({scores.mean(axis=0)[best]:.2f})")


if __name__ == "__main__":
    main()
