"""Personal video: a user's own subjects, kept by a word, in short films made from text and image (METHODS 2)."""

from core.personal_video.concepts import Concept, ConceptDatabase, Preview
from core.personal_video.config import ConceptConfig
from core.personal_video.prompt import ParsedPrompt, parse_prompt

__all__ = ["Concept", "ConceptConfig", "ConceptDatabase", "ParsedPrompt", "Preview", "parse_prompt"]
