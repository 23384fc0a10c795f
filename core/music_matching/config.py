"""The settings of music matching."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from core.errors import ParameterError, check_ranges
from core.media import MediaLimits, limits_from_environment

Mode = Literal["replace", "mix", "duck"]


@dataclass(frozen=True)
class MatchConfig:
    """How films are looked at and tracks listened to.

    Raises:
        ParameterError: a value is out of its range.
    """

    frame_rate: float = field(default=1.0, metadata={"help": "frames looked at per second of film, 0.1 to 10"})
    most_frames: int = field(default=240, metadata={"help": "frames looked at in a long film, 8 to 10000"})
    close_s: float = field(default=300.0, metadata={"help": "seconds in which cuts, motion and speech are followed"})
    label_threshold: float = field(default=0.2, metadata={"help": "how sure a thing seen must be to count, 0 to 1"})
    patch_step: int = field(default=2, metadata={"help": "listen to every n-th three seconds of a track, 1 to 10"})
    listen_s: float = field(default=1800.0, metadata={"help": "seconds of a long track that are listened to"})
    recognise_s: float = field(default=60.0, metadata={"help": "seconds of singing or speech written down, 0 to 3600"})
    voice_threshold: float = field(default=0.5, metadata={"help": "how sure a voice must be to count, 0.05 to 0.95"})
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("frame_rate", 0.1, 10),
            ("most_frames", 8, 10_000),
            ("close_s", 1, 14_400),
            ("label_threshold", 0, 1),
            ("patch_step", 1, 10),
            ("listen_s", 30, 14_400),
            ("recognise_s", 0, 3600),
            ("voice_threshold", 0.05, 0.95),
        )


@dataclass(frozen=True)
class LayConfig:
    """How a track is laid under a film.

    Raises:
        ParameterError: a value is out of its range.
    """

    mode: Mode = field(
        default="duck",
        metadata={
            "help": "replace the film's sound, mix with it, or duck the music under its speech",
            "choices": get_args(Mode),
        },
    )
    music_db: float = field(default=-6.0, metadata={"help": "music against the film's own sound, -40 to 20 dB"})
    duck_db: float = field(default=-14.0, metadata={"help": "how far the music goes down under speech, -40 to 0 dB"})
    attack_s: float = field(default=0.3, metadata={"help": "time in which it goes down before speech, 0.02 to 3 s"})
    release_s: float = field(default=0.8, metadata={"help": "time in which it comes up after speech, 0.05 to 5 s"})
    fade_in_s: float = field(default=0.5, metadata={"help": "fade of the music at the beginning, 0 to 30 s"})
    fade_out_s: float = field(default=2.0, metadata={"help": "fade of the music at the end, 0 to 30 s"})
    crossfade_s: float = field(default=0.5, metadata={"help": "crossfade where a track is looped, 0.01 to 5 s"})
    loudness_lufs: float = field(default=-14.0, metadata={"help": "loudness of the result, -40 to -5 LUFS"})
    peak_dbtp: float = field(default=-1.0, metadata={"help": "highest true peak of the result, -20 to 0 dBTP"})
    start_s: float = field(default=-1.0, metadata={"help": "where in the track to begin; below 0: at the best moment"})

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ParameterError(f"mode is {self.mode!r}; choose one of {', '.join(get_args(Mode))}.")
        check_ranges(
            self,
            ("music_db", -40, 20),
            ("duck_db", -40, 0),
            ("attack_s", 0.02, 3),
            ("release_s", 0.05, 5),
            ("fade_in_s", 0, 30),
            ("fade_out_s", 0, 30),
            ("crossfade_s", 0.01, 5),
            ("loudness_lufs", -40, -5),
            ("peak_dbtp", -20, 0),
            ("start_s", -1, 14_400),
        )
