"""Similar-video search: one video in, the most similar ones of a library out (METHODS 3)."""

from core.video_search.config import SearchConfig
from core.video_search.pipeline import AddReport, SearchRequest, VideoSearch
from core.video_search.results import Recommendation, SearchAnswer, SimilarVideo

__all__ = [
    "AddReport",
    "Recommendation",
    "SearchAnswer",
    "SearchConfig",
    "SearchRequest",
    "SimilarVideo",
    "VideoSearch",
]
