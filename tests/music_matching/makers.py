"""Music, speech and films made in code for the tests of music matching, and ffmpeg's opinion of loudness."""

import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

from core.media import AudioClip, EncodeOptions, write_video
from tests.factories import numbered_picture

RATE = 48000
SPEECH = Path(__file__).parents[1] / "assets" / "sample_en.wav"


def groove(duration_s: float, bpm: float = 120.0, rate: int = RATE, quiet_s: float = 0.0) -> NDArray[np.float32]:
    """A drum on each beat, a low one on the first of four, over a chord: float32 (N, 2).

    Args:
        duration_s: how long.
        bpm: beats a minute; the first beat falls at 0.
        rate: samples a second.
        quiet_s: so much of the beginning is 30 dB quieter.
    """
    count = round(duration_s * rate)
    times = np.arange(count) / rate
    chord = np.array([220.0, 277.2, 329.6])
    wave = 0.05 * np.sin(2 * np.pi * chord[:, None] * times).sum(0)
    random = np.random.default_rng(0)
    length = round(0.08 * rate)
    envelope = np.exp(-np.arange(length) / (0.02 * rate))
    snare = 0.4 * random.standard_normal(length) * envelope
    kick = 0.9 * np.sin(2 * np.pi * 60 * np.arange(length) / rate) * envelope + 0.3 * snare
    for beat in range(int(duration_s * bpm / 60)):
        begin = round(beat * 60 / bpm * rate)
        drum = (kick if beat % 4 == 0 else snare)[: count - begin]
        wave[begin : begin + len(drum)] += drum
    wave[: round(quiet_s * rate)] *= 10 ** (-30 / 20)
    return np.repeat(np.clip(wave, -1, 1).astype(np.float32)[:, None], 2, axis=1)


def groove_file(path: Path, duration_s: float, bpm: float = 120.0, quiet_s: float = 0.0) -> Path:
    """Write `groove` as a sound file; the format follows the suffix."""
    soundfile.write(path, groove(duration_s, bpm, quiet_s=quiet_s), RATE)
    return path


def film(
    path: Path,
    duration_s: float = 4.0,
    cuts_s: Sequence[float] = (),
    sound: NDArray[np.float32] | None = None,
    frame_rate: int = 10,
) -> Path:
    """A film that cuts to another picture at some times, with a sound of 48 kHz, float32 (N, C), or none."""

    def picture(number: int) -> NDArray[np.uint8]:
        shot = sum(number / frame_rate >= cut - 1e-6 for cut in cuts_s)
        return numbered_picture(0, 96, 64, seed=100 + shot)

    frames = (picture(number) for number in range(round(duration_s * frame_rate)))
    clip = None if sound is None else AudioClip(sound, RATE)
    write_video(path, frames, Fraction(frame_rate), clip, EncodeOptions(preset="ultrafast"))
    return path


def spoken(duration_s: float, begin_s: float, channels: int = 1) -> NDArray[np.float32]:
    """Silence with an English sentence in it from some time on: float32 (N, channels) at 48 kHz."""
    sentence, rate = soundfile.read(SPEECH, dtype="float32", always_2d=True)
    places = np.arange(round(len(sentence) / rate * RATE)) * rate / RATE
    voice = np.interp(places, np.arange(len(sentence)), sentence[:, 0]).astype(np.float32)
    samples = np.zeros((round(duration_s * RATE), channels), np.float32)
    part = voice[: max(0, len(samples) - round(begin_s * RATE))]
    samples[round(begin_s * RATE) : round(begin_s * RATE) + len(part)] = part[:, None]
    return samples


def ffmpeg_loudness(path: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP of a file, measured by the ffmpeg program itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", "-i", str(path), "-vn"]
    told = subprocess.run(
        [*command, "-af", "ebur128=peak=true", "-f", "null", "-"], capture_output=True, text=True, check=True
    ).stderr
    summary = told[told.rindex("Summary:") :]
    (integrated,), (peak,) = re.findall(r"I: +(\S+) LUFS", summary), re.findall(r"Peak: +(\S+) dBFS", summary)
    return float(integrated), float(peak)
