"""What the networks, which do not train meanwhile, can do on clips of other faces and voices."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from core.lip_sync.data import Clip, ClipFile, spoken
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.metrics import SyncReading, psnr_db, ssim, sync_reading
from core.lip_sync.model import AROUND, GROUP, FeatureExtraction, as_tensor
from core.lip_sync.mouths import MouthMaker, Place, Reference
from core.lip_sync.opening import Opening
from core.lip_sync.sound import FRAME_RATE
from core.runtime import placement

_WIDE_PERCENTILE = 90
_FIGURE_CLIPS = 12
"""As many clips are measured at a checkpoint; all by `evaluate`."""


def offset_figures(features: FeatureExtraction, clips: Sequence[ClipFile]) -> dict[str, float]:
    """How often the offset of a clip, which is 0, is read within a frame, and the mean confidence."""
    chosen = clips[:: max(1, len(clips) // _FIGURE_CLIPS)]
    readings = [reading_of(features, clip.shown, clip.shown_windows) for clip in (file.read() for file in chosen)]
    right = np.mean([abs(reading.av_offset_frames) <= 1 for reading in readings])
    return {
        "within_one_frame": round(float(right), 4),
        "confidence": round(float(np.mean([reading.confidence for reading in readings])), 4),
    }


@torch.inference_mode()
def opening_figures(features: FeatureExtraction, opening: Opening, clips: Sequence[ClipFile]) -> dict[str, float]:
    """The correlation of the opening that is told with the one that is known, over clips; 0 where nothing moves."""
    told, known = _told_openings(features, opening, clips)
    moves = len(told) > 1 and float(told.std()) > 0 and float(known.std()) > 0
    return {"opening_correlation": round(float(np.corrcoef(told, known)[0, 1]), 4) if moves else 0.0}


def widest(features: FeatureExtraction, opening: Opening, clips: Sequence[ClipFile]) -> float:
    """By how much the widest openings that are told must grow to be as wide as known ones; 1 where nothing opens."""
    told, known = _told_openings(features, opening, clips)
    wide = [float(np.percentile(x, _WIDE_PERCENTILE)) for x in (known, told)] if len(told) else [0.0, 0.0]
    return wide[0] / wide[1] if min(wide) > 0 else 1.0


@torch.inference_mode()
def _told_openings(
    features: FeatureExtraction, opening: Opening, clips: Sequence[ClipFile]
) -> tuple[np.ndarray, np.ndarray]:
    told, known, device = [], [], next(opening.parameters()).device
    for clip in clips:
        windows, opens = spoken(clip)
        with placement().autocast():
            told.append(opening(features.hearing(windows.to(device))))
        known.append(opens)
    values, truth = torch.cat(told).float().cpu().numpy(), torch.cat(known).numpy()
    return values[np.isfinite(truth)], truth[np.isfinite(truth)]


@torch.inference_mode()
def reading_of(features: FeatureExtraction, pictures: np.ndarray, windows: np.ndarray) -> SyncReading:
    """Read the offset of crops uint8 (N, 128, 128, 3), 25 a second, and the windows (N, 20, 20) of their sound."""
    device = next(features.parameters()).device
    near = groups_of(torch.arange(len(pictures))).numpy()
    with placement().autocast():
        groups = (as_tensor(pictures[near[n : n + 16]]).to(device) for n in range(0, len(near), 16))
        seen = torch.cat([features.see(group).vector for group in groups])
        heard = features.hearing(torch.from_numpy(windows.astype(np.float32)).to(device))
    return sync_reading(seen.float().cpu().numpy(), heard.float().cpu().numpy())


def groups_of(pictures: Tensor) -> Tensor:
    """The group around each of some pictures (N, ...): (N, 5, ...); the first and the last are repeated outwards."""
    middles = torch.arange(len(pictures), device=pictures.device)[:, None]
    middles = middles + torch.arange(-AROUND, AROUND + 1, device=pictures.device)
    return pictures[middles.clamp(0, len(pictures) - 1)]


def made_clip(network: MouthNetwork, clip: Clip, reference: int = 0) -> np.ndarray:
    """What the network makes of a clip's blurred pictures and the other speech: uint8 (N, 128, 128, 3)."""
    maker = MouthMaker(network, Reference(clip.shown[reference], clip.landmarks[reference]))
    made: list[np.ndarray] = []
    for frame, (blurred, rest, window) in enumerate(zip(clip.blurred, clip.rest, clip.target_windows, strict=True)):
        here = Place(frame, (frame + Fraction(1, 2)) / FRAME_RATE, blurred, rest, window.astype(np.float32))
        made += [mouth for _, mouth in maker.add(here)]
    return np.stack(made + [mouth for _, mouth in maker.finish()])


def picture_figures(network: MouthNetwork, clips: Sequence[ClipFile]) -> dict[str, float]:
    """How near what is made is to what was asked for, beside the picture that was shown, and whether it is in sync."""
    chosen = clips[:: max(1, len(clips) // _FIGURE_CLIPS)]
    rows = [_figures(network, file.read()) for file in chosen]
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def _figures(network: MouthNetwork, clip: Clip) -> dict[str, float]:
    made, every = made_clip(network, clip), slice(None, None, GROUP)
    reading = reading_of(network.features, made, clip.target_windows)
    return {
        "ssim": float(np.mean([ssim(*pair) for pair in zip(made[every], clip.target[every], strict=True)])),
        "ssim_shown": float(np.mean([ssim(*pair) for pair in zip(clip.shown[every], clip.target[every], strict=True)])),
        "psnr_db": float(np.mean([psnr_db(*pair) for pair in zip(made[every], clip.target[every], strict=True)])),
        "psnr_shown_db": float(
            np.mean([min(60.0, psnr_db(*p)) for p in zip(clip.shown[every], clip.target[every], strict=True)])
        ),
        "made_within_one_frame": float(abs(reading.av_offset_frames) <= 1),
    }
