"""musicnn: 50 tags and a 200-number vector for every three seconds of music.

Source: Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019. Vertical
filters in front for timbre, horizontal ones for rhythm, then three dense convolutions, a pool over time and two layers.

Deviation: the original front end keeps mel powers in float16, where ``10000 * mel`` overflows above 6.55; here they are
float32, so loud passages stay finite.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 16000
FFT_SIZE, HOP = 512, 256
MEL_BANDS, PATCH_FRAMES = 96, 187
DIMENSIONS = 200
BATCH_NORM_EPS = 1e-3

TIMBRAL_FILTERS, TIMBRAL_KERNELS = 204, ((7, 38), (7, 67))
TEMPORAL_FILTERS, TEMPORAL_KERNELS = 51, ((128, 1), (64, 1), (32, 1))
MIDDLE_FILTERS, MIDDLE_LAYERS = 64, 3

MEL_LINEAR_STEP_HZ, MEL_KNEE_HZ, MEL_LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27


def mel_filters() -> Tensor:
    """Triangles of unit area on Slaney's scale, linear to 1 kHz and logarithmic above: (96, 257), 0 to 8000 Hz."""
    nyquist = SAMPLE_RATE / 2
    knee = MEL_KNEE_HZ / MEL_LINEAR_STEP_HZ
    mels = torch.linspace(0, knee + math.log(nyquist / MEL_KNEE_HZ) / MEL_LOG_STEP, MEL_BANDS + 2, dtype=torch.float64)
    above = MEL_KNEE_HZ * torch.exp(MEL_LOG_STEP * (mels - knee))
    edges_hz = torch.where(mels < knee, mels * MEL_LINEAR_STEP_HZ, above)
    bins_hz = torch.linspace(0, nyquist, FFT_SIZE // 2 + 1, dtype=torch.float64)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)).float()


def log_mel(wave: Tensor) -> Tensor:
    """The network's input features.

    A 512-point FFT with a periodic Hann window, hop 256, centred with reflected edges; power, mel bands, then
    ``log10(1 + 10000 * mel)``.

    Args:
        wave: (N,), mono at 16 kHz, in [-1, 1]; N above 256.

    Returns:
        (1 + N // 256, 96).
    """
    window = torch.hann_window(FFT_SIZE)
    spectrum = torch.stft(wave, FFT_SIZE, HOP, window=window, pad_mode="reflect", return_complex=True)
    return torch.log10(1 + 10000 * (mel_filters() @ spectrum.abs().square())).T


def to_patches(features: Tensor) -> Tensor:
    """Cut features (T, 96) into patches of three seconds; what is left over at the end is dropped.

    Features shorter than one patch are repeated until they fill it.

    Returns:
        (max(1, T // 187), 187, 96).
    """
    if len(features) < PATCH_FRAMES:
        repeats = math.ceil(PATCH_FRAMES / len(features))
        features = features.repeat(repeats, 1)[:PATCH_FRAMES]
    return features.unfold(0, PATCH_FRAMES, PATCH_FRAMES).transpose(1, 2).contiguous()


class ConvolutionReluNorm(nn.Module):
    """Convolution over time and bands, ReLU, batch norm; time keeps its length, bands shrink by the kernel."""

    def __init__(self, filters: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, filters, kernel)
        self.norm = nn.BatchNorm2d(filters, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, T, bands) to (B, filters, T, bands - width + 1)."""
        spare = self.conv.kernel_size[0] - 1
        return self.norm(F.relu(self.conv(F.pad(x, (0, 0, spare // 2, spare - spare // 2)))))


class Musicnn(nn.Module):
    """The network; one set of weights for each collection that it was trained on."""

    def __init__(self, tags: int = 50) -> None:
        super().__init__()
        front = [(TIMBRAL_FILTERS, kernel) for kernel in TIMBRAL_KERNELS]
        front += [(TEMPORAL_FILTERS, kernel) for kernel in TEMPORAL_KERNELS]
        width = sum(filters for filters, _ in front)
        pooled = 2 * (width + MIDDLE_LAYERS * MIDDLE_FILTERS)
        inputs = (width, *[MIDDLE_FILTERS] * (MIDDLE_LAYERS - 1))
        self.input_norm = nn.BatchNorm2d(1, eps=BATCH_NORM_EPS)
        self.front = nn.ModuleList(ConvolutionReluNorm(filters, kernel) for filters, kernel in front)
        self.middle = nn.ModuleList(ConvolutionReluNorm(MIDDLE_FILTERS, (7, bands)) for bands in inputs)
        self.pool_norm = nn.BatchNorm1d(pooled, eps=BATCH_NORM_EPS)
        self.dense = nn.Linear(pooled, DIMENSIONS)
        self.dense_norm = nn.BatchNorm1d(DIMENSIONS, eps=BATCH_NORM_EPS)
        self.tags = nn.Linear(DIMENSIONS, tags)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Map patches (B, 187, 96) to tag probabilities (B, tags) and vectors (B, 200)."""
        x = self.input_norm(patches[:, None])
        front = torch.cat([layer(x).amax(3) for layer in self.front], 1)
        x = torch.cat([front, *self._middle(front)], 1)
        pooled = torch.stack([x.amax(2), x.mean(2)], 2).flatten(1)
        vectors = self.dense_norm(F.relu(self.dense(self.pool_norm(pooled))))
        return torch.sigmoid(self.tags(vectors)), vectors

    def _middle(self, x: Tensor) -> list[Tensor]:
        """The answers (B, 64, T) of the dense convolutions; each but the first adds its input."""
        answers: list[Tensor] = []
        for layer in self.middle:
            y = layer(x.transpose(1, 2)[:, None])[..., 0]
            x = x + y if answers else y
            answers.append(x)
        return answers
