"""Personal video: a user's own subjects, kept by a word, in short films made from text and image (METHODS 2).

The database: `prompt`, `cutting`, `concepts`, `exchange`. What an input means: `modes`, `image_subject`. The networks:
`extraction`, `conditioning`, `copying`, `network`; run by `flow`, `redilation` and `generation`; on the hub profile
`hub_pipeline` and what it needs. All of it together: `pipeline`, over an `engine` or `hub_engine`, with `film` for the
files. Training: `subjects`, `motions`, `backgrounds`, `scripts`, `composing`, `looks`, `data`, `losses`, `train`.
"""

from core.personal_video.concepts import Concept, ConceptDatabase, Preview
from core.personal_video.config import ConceptConfig, VideoConfig
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline
from core.personal_video.prompt import ParsedPrompt, parse_prompt
from core.personal_video.results import GeneratedVideo

__all__ = [
    "Concept",
    "ConceptConfig",
    "ConceptDatabase",
    "GenerateRequest",
    "GeneratedVideo",
    "ParsedPrompt",
    "PersonalVideoPipeline",
    "Preview",
    "VideoConfig",
    "parse_prompt",
]
