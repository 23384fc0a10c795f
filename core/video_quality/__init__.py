"""Quality score: how good a video looks, from 1 to 5, with no reference to compare with (METHODS 5)."""

from core.video_quality.config import QualityConfig
from core.video_quality.pipeline import VideoQuality
from core.video_quality.results import Comparison, QualityScore

__all__ = ["Comparison", "QualityConfig", "QualityScore", "VideoQuality"]
