"""Natural-scene statistics: BRISQUE and NIQE, which judge a picture without a perfect one beside it.

Divide each pixel's difference from its surroundings by the contrast there. In natural pictures what remains is nearly
Gaussian, and products of neighbours follow an asymmetric generalised Gaussian; blur, noise and compression bend both.
BRISQUE asks a support vector machine that was trained on people's scores, NIQE takes the distance to undamaged
pictures. For both, lower is better.

Source: Mittal, Moorthy and Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", 2012 (BRISQUE);
Mittal, Soundararajan and Bovik, "Making a 'Completely Blind' Image Quality Analyzer", 2013 (NIQE); Lasmar, Stitou and
Berthoumieu, "Multiscale Skewed Heavy Tailed Model for Texture Analysis", 2009, for fitting the distribution.

Where the papers leave a choice, it is that of the packages that the parameters come from (see the model card): edges
are surrounded by black, and the half size is a plain cubic for BRISQUE, one against aliasing for NIQE.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from core.errors import ParameterError
from core.weights import weights_path

Picture = NDArray[np.uint8]
Luma = NDArray[np.floating]
Coefficients = NDArray[np.float32]
Numbers = NDArray[np.float64]

WEIGHTS = "natural_scenes"
REC_709, REC_601 = (0.2125, 0.7154, 0.0721), (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luma that BRISQUE and NIQE were made with."""
FEATURES = 36
PATCH_PX = 96
LEAST_SIDE_PX = 16
NIQE_LEAST_SIDE_PX = 2 * PATCH_PX
REACH_PX = 3
STRIP_PIXELS = 2**16
FLAT = 1e-9
TINY = 1e-12


@dataclass(frozen=True)
class AsymmetricGaussians:
    """Generalised Gaussians with a scale on either side of zero; all arrays have one shape.

    With α the shape and u = √(Γ(1/α) / Γ(3/α)), the scales of the density are β = u·σ.

    Attributes:
        shape: α; 2 for a Gaussian, less for heavier tails.
        left: σ_l, the root of the mean square of what is below zero.
        right: σ_r, the same of the rest.
        mean: η = (β_r - β_l)·Γ(2/α) / Γ(1/α).
        unit: u.
    """

    shape: Numbers
    left: Numbers
    right: Numbers
    mean: Numbers
    unit: Numbers


def luma_of(picture: Picture, shares: tuple[float, float, float] = REC_709) -> Numbers:
    """The luma (H, W), 0 to 255, of a picture (H, W, 3), RGB.

    Raises:
        ParameterError: ``picture`` has another shape or dtype.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ParameterError(f"The picture is {picture.dtype} {picture.shape}; give uint8 of shape (H, W, 3), RGB.")
    return np.asarray(cv2.transform(picture.astype(np.float64), np.array([shares])), np.float64)


def brisque(picture: Picture) -> float:
    """How damaged a picture (H, W, 3), RGB, looks: about 0 (not at all) to 100 (ruined).

    Raises:
        ParameterError: ``picture`` has another shape or dtype.
        WeightsError: the weights are missing or wrong.
    """
    p = _parameters(weights_path(WEIGHTS, "brisque.safetensors"))
    features = brisque_features(luma_of(picture, REC_709))
    scaled = 2 * (features - p["feature_min"]) / (p["feature_max"] - p["feature_min"]) - 1
    kernel = np.exp(-p["gamma"] * ((p["support_vectors"] - scaled) ** 2).sum(1))
    return float(kernel @ p["coefficients"] - p["rho"])


def brisque_features(luma: Luma) -> Numbers:
    """The features of BRISQUE: 18 at full size, then 18 at half.

    Of `contrast_normalised` the shape and the mean of both variances; then, of the products of neighbours (side by
    side, one above the other, down to the right, up to the right), shape, mean, left and right variance.

    Args:
        luma: (H, W), 0 to 255. One with a side below 16 is continued by mirror images up to that.

    Returns:
        (36,).

    Raises:
        ParameterError: ``luma`` has another shape or dtype.
    """
    full = _continued(luma, LEAST_SIDE_PX)
    return np.concatenate([_brisque_scale(scale) for scale in (full, _half_cubic(full))])


def niqe(picture: Picture) -> float:
    """How far from natural a picture (H, W, 3), RGB, is: about 3 (not at all) to 20; unsteady below 0.25 megapixels.

    It is the distance between two Gaussians: that of the features of the picture's patches, and that of undamaged
    pictures. All patches of the picture count, sharp or not.

    Raises:
        ParameterError: ``picture`` has another shape or dtype, or a side below 192 pixels.
        WeightsError: the weights are missing or wrong.
    """
    values = luma_of(picture, REC_601)
    if min(values.shape) < NIQE_LEAST_SIDE_PX:
        size = f"{values.shape[1]} × {values.shape[0]}"
        raise ParameterError(f"The picture is {size} pixels; NIQE needs at least {NIQE_LEAST_SIDE_PX} on each side.")
    p, patches = _parameters(weights_path(WEIGHTS, "niqe.safetensors")), niqe_patches(values)
    gap = patches.mean(0) - p["mean"]
    inverse = np.linalg.pinv((p["covariance"] + np.cov(patches.T)) / 2, hermitian=True)
    return math.sqrt(gap @ inverse @ gap)


def niqe_features(luma: Luma) -> Numbers:
    """The mean (36,) over the patches of `niqe_patches`."""
    return niqe_patches(luma).mean(0)


def niqe_patches(luma: Luma) -> Numbers:
    """The features of NIQE for every whole patch of 96 × 96 pixels, row by row: 18 at full size, then 18 at half.

    Of `contrast_normalised` the shape and the mean of both scales; then, of its products with itself moved by one (to
    the right, down, down to the right, up to the right; what leaves the patch enters on its other side), shape, mean,
    left and right scale.

    Deviation: for the two diagonals the left scale stands in the place of the right, as in the statistics of the
    package that `niqe` compares with.

    Args:
        luma: (H, W), 0 to 255. One with a side below 96 is continued by mirror images up to that.

    Returns:
        (patches, 36).

    Raises:
        ParameterError: ``luma`` has another shape or dtype.
    """
    whole = _continued(luma, PATCH_PX).astype(np.float32)
    rows, columns = (side // PATCH_PX for side in whole.shape)
    whole = whole[: rows * PATCH_PX, : columns * PATCH_PX]
    half_size = (columns * PATCH_PX // 2, rows * PATCH_PX // 2)
    half = np.asarray(Image.fromarray(whole).resize(half_size, Image.Resampling.BICUBIC))
    return np.concatenate([_niqe_scale(whole, PATCH_PX), _niqe_scale(half, PATCH_PX // 2)], axis=1)


def contrast_normalised(luma: Luma, first: int = 0, last: int | None = None) -> Coefficients:
    """Each pixel's difference from the mean around it, divided by the deviation there and 1 (BRISQUE, equation 1).

    Mean and deviation are weighted by a Gaussian of 7 × 7 pixels with a deviation of 7/6. They are computed in float64,
    because the variance is a small difference of large numbers. What is no more than rounding, in flat areas, is set to
    zero: it has no sign to speak of.

    Args:
        luma: (H, W), 0 to 255.
        first: the first row that is wanted.
        last: the row behind the last one that is wanted; all when None.

    Returns:
        (last - first, W), the same numbers whichever rows are asked for.
    """
    last = len(luma) if last is None else last
    above = min(first, REACH_PX)
    values = luma[first - above : last + REACH_PX].astype(np.float64)
    mean, squares = _blurred(values), values * values
    variance = np.abs(_blurred(squares) - np.multiply(mean, mean, out=squares)).astype(np.float32)
    values -= mean
    coefficients = values.astype(np.float32) / (np.sqrt(variance, out=variance) + 1)
    coefficients[np.abs(coefficients) < FLAT] = 0
    return coefficients[above : above + last - first]


def moments(blocks: Coefficients) -> Numbers:
    """Sums over each of the blocks in a row, from which `asymmetric_gaussians` fits; those of parts may be added.

    Args:
        blocks: (S, C, T), C blocks of S × T numbers.

    Returns:
        (5, C): squares of what is below zero, all squares, magnitudes, how many are below zero, how many there are.
    """
    magnitudes = np.abs(blocks)
    twice_below = blocks - magnitudes
    squares, below_squares = (np.einsum("sct,sct->sc", part, part) for part in (blocks, twice_below))
    below_count = np.einsum("sct->sc", (blocks < 0).astype(np.float32))
    count = np.full(squares.shape, blocks.shape[2])
    sums = np.stack([below_squares / 4, squares, np.einsum("sct->sc", magnitudes), below_count, count])
    return sums.sum(axis=1, dtype=np.float64)


def asymmetric_gaussians(moments: Numbers) -> AsymmetricGaussians:
    """Fit distributions by their moments (5, ...), after Lasmar et al.: of each shape the ratio of moments is known.

    Numbers that are all zero have the least shape, 0.2.
    """
    below_squares, squares, magnitudes, below_count, count = moments
    left = np.sqrt(below_squares / np.maximum(below_count, 1))
    right = np.sqrt(np.maximum(squares - below_squares, 0) / np.maximum(count - below_count, 1))
    skew = left / np.maximum(right, TINY)
    ratio = (magnitudes / count) ** 2 / np.maximum(squares / count, TINY)
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, ratios = _shapes_and_ratios()
    shape = np.interp(ratio, ratios, shapes)
    unit = np.sqrt(_gamma(1 / shape) / _gamma(3 / shape))
    mean = (right - left) * unit * _gamma(2 / shape) / _gamma(1 / shape)
    return AsymmetricGaussians(shape, left, right, mean, unit)


def _brisque_scale(luma: Luma) -> Numbers:
    """18 features of one scale, strip by strip, so that what lies between stays in the processor's cache."""
    height, width = luma.shape
    strip = max(16, STRIP_PIXELS // width)
    total = np.zeros((5, 5))
    for top in range(0, height, strip):
        m = contrast_normalised(luma, max(0, top - 1), min(top + strip, height))
        own = m[min(top, 1) :]
        pairs = (own[:, :-1] * own[:, 1:], m[:-1] * m[1:], m[:-1, :-1] * m[1:, 1:], m[1:, :-1] * m[:-1, 1:])
        total += np.concatenate([moments(part[:, None]) for part in (own, *pairs)], axis=1)
    fit = asymmetric_gaussians(total)
    of_pairs = np.stack([fit.shape, fit.mean, fit.left**2, fit.right**2])[:, 1:]
    return np.concatenate([[fit.shape[0], (fit.left[0] ** 2 + fit.right[0] ** 2) / 2], of_pairs.T.ravel()])


def _niqe_scale(luma: Luma, patch: int) -> Numbers:
    """18 features of every patch at one scale: (patches, 18)."""
    height, width = luma.shape
    rows = []
    for top in range(0, height, patch):
        m = contrast_normalised(luma, top, top + patch).reshape(patch, width // patch, patch)
        down = np.roll(m, 1, 0)
        moved = (np.roll(m, 1, 2), down, np.roll(down, 1, 2), np.roll(down, -1, 2))
        fit = asymmetric_gaussians(np.stack([moments(part) for part in (m, *(m * other for other in moved))], axis=1))
        left, right = fit.unit * fit.left, fit.unit * fit.right
        right[3:] = left[3:]
        of_pairs = np.stack([fit.shape, fit.mean, left, right])[:, 1:]
        single = np.stack([fit.shape[0], (left[0] + right[0]) / 2])
        rows.append(np.concatenate([single, of_pairs.swapaxes(0, 1).reshape(16, -1)]).T)
    return np.concatenate(rows)


def _blurred(values: Numbers) -> Numbers:
    window = np.exp(-0.5 * (np.arange(-REACH_PX, REACH_PX + 1) / (7 / 6)) ** 2)
    window /= window.sum()
    return np.asarray(cv2.sepFilter2D(values, -1, window, window, borderType=cv2.BORDER_CONSTANT), np.float64)


def _half_cubic(values: Numbers) -> Numbers:
    """Half the size, (⌈H / 2⌉, ⌈W / 2⌉), by four taps along each axis; the last row or column is repeated where odd."""
    height, width = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2)), mode="edge")
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_CUBIC), np.float64)


def _continued(luma: Luma, least: int) -> Numbers:
    """Luma, with mirror images of it below and to the right where it has fewer than ``least`` rows or columns."""
    if luma.ndim != 2 or not np.issubdtype(luma.dtype, np.floating) or 0 in luma.shape:
        raise ParameterError(f"The luma is {luma.dtype} {luma.shape}; give floats of shape (H, W), 0 to 255.")
    missing = [max(0, least - side) for side in luma.shape]
    values = luma.astype(np.float64, copy=False)
    return np.pad(values, [(0, n) for n in missing], mode="symmetric") if any(missing) else values


_gamma = np.vectorize(math.gamma, otypes=[np.float64])


@cache
def _shapes_and_ratios() -> tuple[Numbers, Numbers]:
    """Shapes α from 0.2 to 10, and the ratio Γ(2/α)² / (Γ(1/α)·Γ(3/α)) that tells of each; it grows with α."""
    shapes = np.arange(0.2, 10, 0.001)
    return shapes, _gamma(2 / shapes) ** 2 / (_gamma(1 / shapes) * _gamma(3 / shapes))


@cache
def _parameters(path: Path) -> dict[str, Numbers]:
    return load_file(path)
