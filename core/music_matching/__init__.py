"""Music matching: the background track that fits a film, its best moment, and both laid together (METHODS 1)."""

from core.music_matching.config import LayConfig, MatchConfig
from core.music_matching.pipeline import MatchRequest, MusicMatching
from core.music_matching.results import AddReport, LaidFilm, MatchAnswer, MusicMatch

__all__ = [
    "AddReport",
    "LaidFilm",
    "LayConfig",
    "MatchAnswer",
    "MatchConfig",
    "MatchRequest",
    "MusicMatch",
    "MusicMatching",
]
