"""What the labels of the quality score are worth: the published tables of opinions against one another and against us.

``python -m tests.benchmarks.video_quality_labels LEVELS AVT UGC`` takes three tables: mean scores by fault and level
(columns dataset, dis_type, level, mean_score: KADID-10k from 1 to 5, TID2013 from 0 to 9), judged encodes of
AVT-VQDB-UHD-1 (src, MOS, obj_vmaf_score) and judged films of users (dataset, MOS, brisque_00 to brisque_35). It prints:

    levels   where TID2013 has a fault of KADID-10k too, both from 1 to 5: do they put the levels in one order?
    VMAF     the power law of `core.video_quality.labels`, fitted anew with each source left out and measured on it
    UGC      opinions on users' films from their BRISQUE vectors by support vectors, five folds

No label comes from the last table: its pixels are not to be had, and its vectors are of another BRISQUE than ours.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import spearmanr
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from core.video_quality.labels import opinion_of_vmaf
from core.video_quality.metrics import srcc
from tests.benchmarks.video_search import table

SAME = {"GBLUR": "GBLUR", "AWGN": "AWGN", "JPEG": "JPEG", "JP2K": "JP2K", "Impulse_Noise": "Impluse_Noise",
        "Denoising": "Denoising", "Mean_Shift": "Mean_Shift", "Quantization": "Quantization_Noise"}  # fmt: skip
"""Faults of KADID-10k that TID2013 has too, by the names in the table."""
KADID, TID = "KADID-10k", "TID2013"
KEPT_OUT = "bigbuck_bunny"
_LEVELS = 5

Rows = list[dict[str, str]]
Floats = NDArray[np.float64]


def read(path: Path) -> Rows:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def levels(rows: Rows) -> list[list[str]]:
    """Both sets' mean scores by level, on the scale from 1 to 5, and their rank correlation."""
    scores: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row["dataset"] in (KADID, TID):
            value = float(row["mean_score"])
            opinion = 1 + 4 * value / 9 if row["dataset"] == TID else value
            scores[row["dataset"], row["dis_type"]][int(row["level"])] = opinion
    lines, both = [], []
    for ours, theirs in SAME.items():
        pairs = [
            (scores[KADID, ours][n], scores[TID, theirs][n]) for n in range(1, _LEVELS + 1) if n in scores[TID, theirs]
        ]
        both += pairs
        cells = (" ".join(f"{pair[side]:.2f}" for pair in pairs) for side in (0, 1))
        lines.append([ours, *cells, f"{spearmanr(*zip(*pairs, strict=True)).statistic:.2f}"])
    lines.append(["all of these", "", "", f"{spearmanr(*zip(*both, strict=True)).statistic:.2f}"])
    return lines


def vmaf_figures(rows: Rows) -> list[list[str]]:
    """The rank correlation and the residual of the map from VMAF to opinions, on sources that it was not fitted to."""
    used = [row for row in rows if row["test"] in ("1", "2", "3") and not row["src"].startswith(KEPT_OUT)]
    names = np.array([row["src"].removesuffix("_8s") for row in used])
    mos, vmaf = (np.array([float(row[name]) for row in used]) for name in ("MOS", "obj_vmaf_score"))

    def law(x: Floats, base: float, gain: float, exponent: float) -> Floats:
        return base + gain * (x / 100) ** exponent

    told = np.empty_like(mos)
    for name in sorted(set(names)):
        here = names == name
        fitted, _ = curve_fit(law, vmaf[~here], mos[~here], (1.35, 3.48, 0.8))
        told[here] = law(vmaf[here], *fitted)
    shipped = np.array([opinion_of_vmaf(value) for value in vmaf])
    return [
        [name, str(len(mos)), f"{srcc(values, mos):.3f}", f"{np.sqrt(((values - mos) ** 2).mean()):.2f}"]
        for name, values in (("as shipped, fitted to all of these", shipped), ("each source left out of the fit", told))
    ]


def ugc_figures(rows: Rows) -> list[list[str]]:
    """The rank correlation of opinions with what BRISQUE vectors tell of them, by set."""
    lines = []
    for name in sorted({row["dataset"] for row in rows}):
        chosen = [row for row in rows if row["dataset"] == name]
        vectors = np.array([[float(row[f"brisque_{n:02}"]) for n in range(36)] for row in chosen])
        mos = np.array([float(row["MOS"]) for row in chosen])
        whole = np.isfinite(vectors).all(axis=1)
        vectors, mos = vectors[whole], mos[whole]
        model = make_pipeline(StandardScaler(), SVR(C=1.0))
        told = cross_val_predict(model, vectors, mos, cv=KFold(5, shuffle=True, random_state=0))
        lines.append([name, str(len(mos)), f"{srcc(told, mos):.3f}"])
    return lines


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("levels", "avt", "ugc"):
        options.add_argument(name, type=Path)
    arguments = options.parse_args()
    print(table(["fault", KADID, TID, "rank correlation"], levels(read(arguments.levels))), "\n")
    print(table(["VMAF as opinions", "encodes", "SRCC", "residual"], vmaf_figures(read(arguments.avt))), "\n")
    print(table(["BRISQUE vectors of", "films", "SRCC"], ugc_figures(read(arguments.ugc))))


if __name__ == "__main__":
    main()
