"""Laid films: untouched picture, the film's length, loudness by ffmpeg, ducking under real speech."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from core.errors import CancelledError, MediaError, ParameterError
from core.media import probe, read_audio
from core.media.limits import DEFAULT_LIMITS
from core.music_matching.config import LayConfig
from core.music_matching.laying import Music, lay
from core.music_matching.results import LaidFilm
from core.music_matching.rhythm import rhythm_of
from core.runtime import CancelToken, cancellable, silent
from tests.factories import sound_file, still_picture
from tests.music_matching.makers import RATE, ffmpeg_loudness, film, groove_file, spoken

Lay = Callable[..., LaidFilm]


def picture_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def sound_end_s(path: Path) -> float:
    with av.open(str(path)) as container:
        ends = [p.pts + (p.duration or 0) for p in container.demux(audio=0) if p.size and p.pts is not None]
        return float(max(ends) * (container.streams.audio[0].time_base or 0))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Music:
    """A groove of 20 s with bars of 2 s."""
    path = groove_file(tmp_path_factory.mktemp("music") / "groove.wav", 20)
    return Music(path, rhythm_of(read_audio(path, 16000, mono=True).samples[:, 0]), 0.0)


@pytest.fixture
def laid(tmp_path: Path, music: Music) -> Lay:
    def lay_it(video: Path, start_s: float = 0.0, **settings: object) -> LaidFilm:
        config = LayConfig(**settings)  # type: ignore[arg-type]
        return lay(video, Music(music.path, music.rhythm, start_s), tmp_path / "out.mp4", (config, DEFAULT_LIMITS))

    return lay_it


SOUNDS = {
    "none": None,
    "silence": np.zeros((5 * RATE, 2), np.float32),
    "mono": spoken(5, 0.5, 1),
    "stereo": spoken(5, 0.5, 2),
    "5.1": spoken(5, 0.5, 6),
}


@pytest.mark.parametrize("mode", ["replace", "mix", "duck"])
@pytest.mark.parametrize("kind", SOUNDS)
def test_every_laid_film_keeps_picture_and_length_and_meets_its_loudness(
    kind: str, mode: str, laid: Lay, tmp_path: Path
) -> None:
    video = film(tmp_path / "film.mp4", 5, sound=SOUNDS[kind])
    told = laid(video, mode=mode)
    out = Path(told.out)
    assert picture_packets(out) == picture_packets(video)
    info = probe(out)
    assert info.duration_s == probe(video).duration_s
    assert abs(sound_end_s(out) - 5) <= 0.1  # a picture of this film
    integrated, peak = ffmpeg_loudness(out)
    assert integrated == pytest.approx(-14, abs=0.5) and peak <= -1
    assert told.loudness_lufs == pytest.approx(integrated, abs=0.1)
    assert told.mode == ("replace" if kind in ("none", "silence") else mode)
    assert info.audio is not None and info.audio.channels == (6 if kind == "5.1" and mode != "replace" else 2)


DRUMS = ((1.0, 3.0), (5.0, 7.0), (13.0, 15.0))
"""Before, under and after the speech; each has a low drum in its middle."""


def music_level_db(out: Path, begin_s: float, end_s: float) -> float:
    """How loud the bed is in a span, by its low drum, which a voice has nothing of."""
    wave = read_audio(out, RATE, mono=True, start_s=begin_s, duration_s=end_s - begin_s).samples[:, 0]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return float(10 * np.log10(spectrum[(hertz > 40) & (hertz < 75)].mean()))


def test_the_bed_is_ducked_by_the_asked_depth_under_speech_and_released_after_it(laid: Lay, tmp_path: Path) -> None:
    video = film(tmp_path / "film.mp4", 16, sound=spoken(16, 4.0, 1))
    usual = {"fade_in_s": 0, "fade_out_s": 0, "loudness_lufs": -28}  # so low that the limiter has nothing to do
    plain = laid(video, mode="mix", **usual)
    before = [music_level_db(Path(plain.out), *span) for span in DRUMS]
    ducked = laid(video, mode="duck", duck_db=-12, **usual)
    assert 3.5 < ducked.ducked_s[0][0] < 4.6 and 7 < ducked.ducked_s[-1][1] < 12
    after = [music_level_db(Path(ducked.out), *span) for span in DRUMS]
    depths = np.array(after) - before
    depths -= depths[0]  # both films were brought to one loudness
    assert depths[1] == pytest.approx(-12, abs=2) and depths[2] == pytest.approx(0, abs=1)


def test_a_film_longer_than_the_track_is_filled_by_going_round_on_bars(laid: Lay, tmp_path: Path) -> None:
    told = laid(film(tmp_path / "film.mp4", 50, frame_rate=2), start_s=2.0, mode="replace")
    assert len(told.pieces) == 3 and told.pieces[0][0] == 2.0
    for begin, end in told.pieces[1:-1]:
        assert abs(begin / 2 - round(begin / 2)) < 0.03 and abs(end / 2 - round(end / 2)) < 0.03
    assert sum(end - begin for begin, end in told.pieces) == pytest.approx(50)


def test_a_stopped_laying_leaves_nothing_behind(tmp_path: Path, music: Music) -> None:
    video = film(tmp_path / "film.mp4", 5)
    token = CancelToken()

    def stop_writing(done: int, total: int, what: str) -> None:
        if what == "Writing":
            token.cancel()
        cancellable(silent, token)(done, total, what)

    with pytest.raises(CancelledError):
        lay(video, music, tmp_path / "out.mp4", (LayConfig(), DEFAULT_LIMITS), stop_writing)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4"]


def test_what_cannot_be_laid_gets_its_sentence_and_leaves_nothing_behind(
    tmp_path: Path, music: Music, laid: Lay
) -> None:
    still, text = still_picture(tmp_path / "still.png"), tmp_path / "text.mp3"
    text.write_text("not music " * 200)
    video = film(tmp_path / "film.mp4", 5)
    with pytest.raises(MediaError, match="still picture"):
        laid(still)
    with pytest.raises(MediaError, match=r"text\.mp3 is not a film, picture or sound"):
        lay(video, Music(text, music.rhythm, 0), tmp_path / "out.mp4", (LayConfig(), DEFAULT_LIMITS))
    with pytest.raises(ParameterError, match="start within it"):
        laid(video, start_s=21.0)
    short = sound_file(tmp_path / "short.wav", 0.5)
    with pytest.raises(ParameterError, match="too short to be looped"):
        lay(video, Music(short, music.rhythm, 0), tmp_path / "out.mp4", (LayConfig(), DEFAULT_LIMITS))
    assert not (tmp_path / "out.mp4").exists()
