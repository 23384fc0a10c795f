"""Faces made of a drawn mouth: as large as asked, wherever they are asked for; and clips of noise."""

import numpy as np

from core.lip_sync.data import Clip
from core.lip_sync.faces import Face, drawn_face


def made_face(x: float, y: float = 200.0, mouth_px: float = 40.0, opening_px: float = 10.0) -> Face:
    """A face whose mouth has its middle at (x, y); its box is 2.6 mouths wide."""
    return drawn_face((x - mouth_px / 2, y - opening_px, x + mouth_px / 2, y + opening_px))


def random_clip(frames: int = 24, seed: int = 0) -> Clip:
    """A clip of noise, as large as a real one, whose mouth at rest stays in the middle."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (3, frames, 128, 128, 3), np.uint8)
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    lips = np.stack([64 + 20 * np.cos(around), 60 + 6 * np.sin(around)], axis=1)
    rest = np.tile(np.concatenate([lips, [[64, 105]]]).astype(np.float32), (frames, 1, 1))
    windows = (100 * random.normal(size=(2, frames, 20, 20))).astype(np.float16)
    opening = random.uniform(0, 0.5, frames).astype(np.float32)
    return Clip(pictures[0], pictures[1], pictures[2], rest, rest + 1, windows[0], windows[1], opening)
