"""Pipelines with small networks that have learnt nothing, over databases of figures."""

from pathlib import Path

from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import VideoConfig
from core.personal_video.engine import EmbeddedEngine
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline
from core.personal_video.results import GeneratedVideo
from tests.personal_video.conftest import saved
from tests.personal_video.made import PlainEncoder, WordEncoder, figure, small_network

SMALL = VideoConfig(steps=3, frames=4, side_px=32)
RED, BLUE, GREEN = (200, 30, 30), (20, 40, 220), (30, 180, 40)


def unlearnt(seed: int = 0) -> EmbeddedEngine:
    """An engine whose text encoder knows words only."""
    return EmbeddedEngine(small_network(seed).requires_grad_(False), WordEncoder())


def figured(folder: Path, engine: EmbeddedEngine, number: int = 1) -> PersonalVideoPipeline:
    """A pipeline over a database in which biscuit is one of the figures."""
    pipeline = PersonalVideoPipeline(ConceptDatabase(folder, PlainEncoder()), engine)
    pipeline.database.add("biscuit", [saved(folder.parent, f"{folder.name}.png", figure(number).pictures[0])])
    return pipeline


def made(
    pipeline: PersonalVideoPipeline, folder: Path, request: GenerateRequest, config: VideoConfig = SMALL
) -> GeneratedVideo:
    return pipeline.generate(request, folder / "made.mp4", config)
