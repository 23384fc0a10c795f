"""Music matching, measured: planted moments, laid films, speed. Prints Markdown.

    python -m tests.benchmarks.music_matching MUSIC VIDEO… [--tracks 400] [--part moments|laying|speed]

How well the right music is found is measured by ``python -m core.music_matching evaluate``.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np

from core.errors import MediaError
from core.media import read_audio, sound_files
from core.media.limits import DEFAULT_LIMITS
from core.music_matching import LayConfig, MatchConfig, MatchRequest, MusicMatching
from core.music_matching.features import MOTION_RATE, VideoFeatures
from core.music_matching.laying import Music, lay
from core.music_matching.moments import TrackCurves, best_moment
from core.music_matching.rhythm import SAMPLE_RATE, rhythm_of
from tests.music_matching.makers import ffmpeg_loudness

PLANTED_S, CUTS = 20.0, 10
FINE_HOP = 160
"""Samples between two places where librosa looks for onsets: 10 ms."""


def edited_to(wave: np.ndarray, start_s: float, seed: int) -> VideoFeatures:
    """A film of 20 s that somebody cut to a part of a track, seen as the tool would see it.

    Cuts lie on ten of the part's strongest onsets, found by librosa at another resolution than the tool's own, and are
    rounded to pictures of 25 a second; motion follows the part's loudness, with noise of half its deviation.
    """
    random = np.random.default_rng(seed)
    part = wave[int(start_s * SAMPLE_RATE) : int((start_s + PLANTED_S) * SAMPLE_RATE)]
    strength = librosa.onset.onset_strength(y=part, sr=SAMPLE_RATE, hop_length=FINE_HOP)
    peaks = librosa.onset.onset_detect(onset_envelope=strength, sr=SAMPLE_RATE, hop_length=FINE_HOP)
    strongest = sorted(peaks, key=lambda peak: -strength[peak])[: 2 * CUTS]
    chosen = random.choice(strongest, min(CUTS, len(strongest)), replace=False) if strongest else np.zeros(0)
    cuts = np.unique(np.round(np.sort(chosen) * FINE_HOP / SAMPLE_RATE * 25) / 25)
    count = round(PLANTED_S * MOTION_RATE)
    loud = librosa.amplitude_to_db(librosa.feature.rms(y=part, hop_length=SAMPLE_RATE // 4)[0])[:count]
    motion = (loud - loud.mean()) / max(loud.std(), 1e-6) + 0.5 * random.standard_normal(len(loud))
    motion = (motion - motion.min()) / max(np.ptp(motion), 1e-6)
    nothing = np.zeros(2, np.float32)
    return VideoFeatures(PLANTED_S, nothing, nothing, cuts_s=cuts.astype(np.float32), motion=motion.astype(np.float32))


def moments(files: Sequence[str], each: int = 3) -> str:
    """Films cut to known parts of tracks look for them; what of it is found, and how near a beat it begins.

    The parts begin on beats that librosa finds by itself, at another resolution than the tool's.
    """
    overlaps, alone, beats = [], [], []
    for number, file in enumerate(files):
        wave = read_audio(file, SAMPLE_RATE, mono=True, duration_s=300).samples[:, 0]
        if len(wave) < 3 * PLANTED_S * SAMPLE_RATE:
            continue
        rhythm = rhythm_of(wave)
        track = TrackCurves(len(wave) / SAMPLE_RATE, rhythm, np.ones((1, 2), np.float32), 1e9)
        heard = librosa.beat.beat_track(y=wave, sr=SAMPLE_RATE, units="time")[1]
        random = np.random.default_rng(number)
        for _ in range(each):
            start = float(random.uniform(0, track.duration_s - PLANTED_S))
            start = float(heard[np.abs(heard - start).argmin()]) if len(heard) else start
            start = min(start, track.duration_s - PLANTED_S)
            video = edited_to(wave, start, int(random.integers(1 << 30)))
            found = best_moment(video, np.zeros(2, np.float32), track)
            overlaps.append(overlap(start, found.start_s))
            alone.append(overlap(start, float(random.uniform(0, track.duration_s - PLANTED_S))))
            if len(heard):
                beats.append(float(np.abs(heard - found.start_s).min()))
    rows = [
        ("films", f"{len(overlaps)} on {len(overlaps) // each} tracks"),
        ("mean IoU", f"{np.mean(overlaps):.3f}"),
        ("IoU of 0.7 and more", f"{np.mean(np.array(overlaps) >= 0.7):.3f}"),
        ("mean IoU of a random window", f"{np.mean(alone):.3f}"),
        ("begins within 50 ms of a beat that librosa finds by itself", f"{np.mean(np.array(beats) <= 0.05):.3f}"),
        ("median distance to it", f"{1000 * np.median(beats):.0f} ms"),
    ]
    return _table(("planted moments", ""), rows)


def is_readable(file: str) -> bool:
    """False for what nothing here plays, such as MIDI."""
    try:
        read_audio(file, SAMPLE_RATE, duration_s=1)
    except MediaError:
        return False
    return True


def overlap(one: float, other: float) -> float:
    """Intersection over union of two windows of `PLANTED_S`."""
    shared = max(0.0, PLANTED_S - abs(one - other))
    return shared / (2 * PLANTED_S - shared)


def laying(videos: Sequence[Path], track: Path) -> str:
    """Films with music under them, measured by the ffmpeg program."""
    rhythm = rhythm_of(read_audio(track, SAMPLE_RATE, mono=True).samples[:, 0])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for video in videos:
            for mode in ("replace", "mix", "duck"):
                out = Path(folder, f"out{video.suffix if video.suffix in ('.mp4', '.mov') else '.mkv'}")
                config = LayConfig(mode=mode)
                told = lay(video, Music(track, rhythm, float(rhythm.downbeats_s[0])), out, (config, DEFAULT_LIMITS))
                integrated, peak = ffmpeg_loudness(out)
                rows.append(
                    (video.name, mode, told.mode, f"{integrated:.1f}", f"{peak:.1f}", f"{told.seconds_taken:.1f}")
                )
    return _table(("film", "asked", "done", "LUFS", "dBTP", "seconds"), rows)


def speed(files: Sequence[str], video: Path, tracks: int) -> str:
    """Adding against playing time, and ranking against looking at the film; all in CPU seconds of one core."""
    with tempfile.TemporaryDirectory() as folder:
        matching = MusicMatching(Path(folder, "library"), MatchConfig())
        matching.listener.listen(Path(files[0]), "warm")
        rows = []
        for file in files:
            started = time.process_time()
            samples, rate = librosa.load(file, sr=SAMPLE_RATE)
            loaded = time.process_time()
            list(matching.add_each([Path(file)]))
            added = time.process_time()
            played = len(samples) / rate
            (record,) = matching.library.records(limit=1)
            voice = record.attributes["voice_share"]
            rates = f"{played / (added - loaded):.1f}", f"{played / (loaded - started):.0f}"
            rows.append((Path(file).name, f"{played:.0f} s", voice, *rates))
        table = _table(("track", "plays", "voice", "added: × playing time", "librosa's load alone"), rows)
        known = matching.library.fetch(sorted(matching.library.ids()))
        copies = [replace(known[n % len(known)], id=f"{n:064x}") for n in range(tracks - len(known))]
        matching.library.add(copies)
        matching.watcher.watch(video)  # the networks are loaded, and the film is in the memory of the machine
        times = [time.process_time()]
        seen = matching.watcher.watch(video)
        times.append(time.process_time())
        for _ in range(2):
            matching.rank(seen, MatchRequest())
            times.append(time.process_time())
        watching, first, again = np.diff(times)
        lines = [
            ("tracks in the library", str(len(matching.library))),
            ("looking at the film", f"{watching:.2f} s for {seen.duration_s:.0f} s of {video.name}"),
            ("ranking with moments, the library read for the first time", f"{first:.3f} s"),
            ("ranking with moments, after that", f"{again:.3f} s"),
            ("share of looking", f"{first / watching:.3f}, then {again / watching:.3f}"),
        ]
    return table + "\n\n" + _table(("ranking", ""), lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("music", help="folder of music")
    parser.add_argument("videos", nargs="+", type=Path, help="films; the first one is matched")
    parser.add_argument("--tracks", type=int, default=400, help="tracks in the library that is ranked")
    parser.add_argument("--most", type=int, default=20, help="files of music that are used")
    parser.add_argument("--part", choices=("moments", "laying", "speed"), action="append")
    arguments = parser.parse_args()
    parts = arguments.part or ["moments", "laying", "speed"]
    files = [file for file in sound_files(arguments.music) if is_readable(file)]
    files = files[:: max(1, len(files) // arguments.most)][: arguments.most]
    if "moments" in parts:
        print(moments(files), end="\n\n")
    if "laying" in parts:
        print(laying(arguments.videos, Path(files[0])), end="\n\n")
    if "speed" in parts:
        print(speed(files[:5], arguments.videos[0], arguments.tracks))


if __name__ == "__main__":
    main()
