"""Similar-video search: one video in, the most similar ones of a library out (METHODS 3)."""

from core.video_search.config import SearchConfig
from core.video_search.pipeline import AddReport, SimilarVideo, VideoSearch

__all__ = ["AddReport", "SearchConfig", "SimilarVideo", "VideoSearch"]
