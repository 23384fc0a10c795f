"""What fits into a GPU's memory on the hub profile, on paper: from parameter counts and the size of the video.

    need = weights on the GPU · bytes + values at once · bytes, and a tenth and one gigabyte for everything else

The values that are alive at once were counted, not measured: the network at full size ran without data (on torch's
device ``meta``), and of all tensors that exist at one moment the largest sum was taken. They grow with branches ×
frames × latent pixels exactly. Attention was counted as its fused kernels compute it, without the matrix of all pairs.
What a real GPU takes has not been measured, and how long a video takes is not known at all.

    >>> need = memory_needed("whole", COUNTS, Shape(1024, 1024, 16))
    >>> fits(need, 24 * GB)
    True
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import ParameterError

Way = Literal["whole", "spread", "model", "sequential"]
GB = 10**9
BYTES = 2
"""Of a number in bfloat16 or float16."""
DECODED_AT_ONCE = 2
"""Frames that the autoencoder makes at once."""
LATENT_PX = 8
"""Pixels a side that one latent pixel stands for."""
_SPARE_SHARE, _SPARE = 0.1, GB


@dataclass(frozen=True)
class Counts:
    """Parameters of the networks, and the values of theirs that are alive at once.

    Attributes:
        generation: parameters of the network with motion modules and the adapter's attention.
        decoder: of the autoencoder.
        text: of the text encoder.
        details: of the extraction network with its image encoder.
        reference: of the encoder of reference features; it computes in float32 and stays on the GPU.
        largest_layer: parameters of the largest layer, which sequential offload brings to the GPU at once.
        values_per_latent: alive in the generation network, for each branch, frame and latent pixel.
        values_per_pixel: alive in the autoencoder, for each frame and pixel it decodes.
    """

    generation: int
    decoder: int
    text: int
    details: int
    reference: int
    largest_layer: int
    values_per_latent: int
    values_per_pixel: int


COUNTS = Counts(
    generation=859_520_964 + 417_137_600 + 19_169_280,
    decoder=83_653_863,
    text=123_060_480,
    details=632_076_800 + 29_918_208,
    reference=303_179_776,
    largest_layer=2560 * 1280 * 9 + 1280,
    values_per_latent=8340,
    values_per_pixel=772,
)
"""Stable Diffusion 1.5, AnimateDiff v3, IP-Adapter Plus and CLIP large."""


@dataclass(frozen=True)
class Shape:
    """A video, of the second network where both are run: it is the larger.

    Attributes:
        width, height: in pixels.
        frames: how many.
        guided: with classifier-free guidance there are two branches.
    """

    width: int = 1024
    height: int = 1024
    frames: int = 16
    guided: bool = True

    @property
    def latents(self) -> int:
        """Latent pixels of all frames and branches."""
        return (2 if self.guided else 1) * self.frames * (self.width // LATENT_PX) * (self.height // LATENT_PX)


def sampling_bytes(counts: Counts, shape: Shape) -> int:
    """What is alive in the generation network beside its weights."""
    return counts.values_per_latent * shape.latents * BYTES


def decoding_bytes(counts: Counts, shape: Shape) -> int:
    """What is alive in the autoencoder beside its weights."""
    return counts.values_per_pixel * DECODED_AT_ONCE * shape.width * shape.height * BYTES


def memory_needed(way: Way, counts: Counts, shape: Shape) -> int:
    """Bytes on the GPU that needs most.

    Args:
        way: ``whole``: all networks stay on one GPU; ``spread``: the generation network on one, the others on another;
            ``model``: each network comes to the GPU when it runs; ``sequential``: each layer does.
        counts: of the networks.
        shape: of the video.
    """
    reference = 4 * counts.reference
    others = BYTES * (counts.decoder + counts.text + counts.details)
    generation, sampling, decoding = (
        BYTES * counts.generation,
        sampling_bytes(counts, shape),
        decoding_bytes(counts, shape),
    )
    if way == "whole":
        return reference + generation + others + max(sampling, decoding)
    if way == "spread":
        return max(reference + generation + sampling, others + decoding)
    if way == "model":
        return reference + max(generation + sampling, BYTES * counts.decoder + decoding)
    return reference + BYTES * counts.largest_layer + max(sampling, decoding)


def fits(need: int, memory: int) -> bool:
    """Whether it fits, with a tenth and one gigabyte to spare for the driver, workspaces and gaps."""
    return need * (1 + _SPARE_SHARE) + _SPARE <= memory


def choose_way(counts: Counts, shape: Shape, memory: Sequence[int]) -> Way:
    """The quickest way that fits: whole, spread over GPUs, network by network, layer by layer.

    Args:
        counts: of the networks.
        shape: of the largest video to come.
        memory: free bytes of each GPU; none: everything is computed on the CPU, and lies there whole.

    Raises:
        ParameterError: none fits.
    """
    if not memory:
        return "whole"
    ways: tuple[Way, ...] = ("whole", "spread", "model", "sequential")
    for way in ways:
        room = sorted(memory)[-2] if way == "spread" and len(memory) > 1 else memory[0]
        if (way != "spread" or len(memory) > 1) and fits(memory_needed(way, counts, shape), room):
            return way
    least = memory_needed("sequential", counts, shape) / GB
    raise ParameterError(
        f"A video of {shape.width} × {shape.height} × {shape.frames} needs {least:.1f} GB on a GPU and something to"
        f" spare, of {max(memory) / GB:.1f} GB; make it smaller or shorter."
    )


FIRST_SIZES = ((512, 512), (512, 768), (768, 768), (1024, 1024))
LENGTHS = (16, 32)


def plan_table(memory: Sequence[int] = (24 * GB, 80 * GB), counts: Counts = COUNTS) -> str:
    """Which way fits which video, as a Markdown table; GPUs are taken as all but empty.

    >>> print(plan_table((24 * GB,)).splitlines()[2])
    | 512 × 512 × 16 | 1024 × 1024 | 14.3 GB | 12.5 GB | 10.0 GB | whole |
    """
    heads = [f"{size // GB} GB" for size in memory]
    lines = [
        "| first video | second video | whole | network by network | layer by layer | " + " | ".join(heads) + " |",
        "|---" * (5 + len(heads)) + "|",
    ]
    for width, height in FIRST_SIZES:
        for frames in LENGTHS:
            shape = Shape(2 * width, 2 * height, frames)
            needs = [f"{memory_needed(way, counts, shape) / GB:.1f} GB" for way in ("whole", "model", "sequential")]
            cells = [f"{width} × {height} × {frames}", f"{shape.width} × {shape.height}", *needs]
            lines.append("| " + " | ".join([*cells, *(_way_or_none(counts, shape, size) for size in memory)]) + " |")
    return "\n".join(lines)


def _way_or_none(counts: Counts, shape: Shape, memory: int) -> str:
    names = {"whole": "whole", "model": "network by network", "sequential": "layer by layer"}
    try:
        return names[choose_way(counts, shape, (memory,))]
    except ParameterError:
        return "does not fit"
