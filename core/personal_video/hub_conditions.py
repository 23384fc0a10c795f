"""What feeds the hub profile's generation network in each of the five modes (METHODS 2, claims 4 to 8, 12 to 14)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import ParameterError
from core.personal_video.concepts import ConceptDatabase, described
from core.personal_video.hub_config import HubRequest
from core.personal_video.hub_details import Details, fused
from core.personal_video.hub_networks import HubNetworks
from core.personal_video.modes import Mode, Source, mode_of
from core.personal_video.prompt import ParsedPrompt, checked_word, parse_prompt, word_key


@dataclass(frozen=True, eq=False)
class Conditions:
    """All that a video is made from, but the seed.

    Attributes:
        mode: which of the five.
        semantic: (1, L, D), the first semantic features.
        nothing_said: (1, L, D), those of an empty prompt, for classifier-free guidance.
        details: (N, S, D); None where the text alone says how things look (mode d): its token outputs, which the
            cross-attention reads at every scale, are then the detail features too, as no pretrained network makes
            features of looks from text.
        nothing_seen: (1, S, D), those of no picture.
        unread: the end of the prompt that was not read.
    """

    mode: Mode
    semantic: Tensor
    nothing_said: Tensor
    details: Details | None
    nothing_seen: Details
    unread: str


def conditions_of(request: HubRequest, database: ConceptDatabase, networks: HubNetworks) -> Conditions:
    """Resolve a request: which mode it is, and what then comes from where.

    The database's features of a concept are made and kept when they are first needed.

    Args:
        request: what is to be seen.
        database: its encoder must be that of the networks.
        networks: loaded.

    Raises:
        ParameterError: the prompt is empty or names an unknown concept, or the target is none of its concepts.
    """
    prompt = parse_prompt(request.prompt, database.words())
    target = _target(request, prompt)
    mode = mode_of(prompt, bool(request.image), target is not None)
    replaced = () if mode.reference is Source.TEXT else prompt.words
    features = networks.prompts.encode(prompt, replaced, networks.device)
    references = {
        word: networks.mapper.map(
            described(request.image, networks.encoder) if word == target else database.reference(word)
        )
        for word in replaced
    }
    return Conditions(
        mode=mode,
        semantic=features.with_references(references),
        nothing_said=networks.prompts.encode(ParsedPrompt(""), (), networks.device).tokens,
        details=_details(mode, prompt, request, database, networks),
        nothing_seen=networks.details.nothing(networks.device),
        unread=features.unread,
    )


def _target(request: HubRequest, prompt: ParsedPrompt) -> str | None:
    """The concept that the image shows, as it is written in the database."""
    if request.target is None:
        return None
    key = word_key(checked_word(request.target))
    for word in prompt.words:
        if word_key(word) == key:
            return word
    raise ParameterError(f"<{request.target}> does not occur in the prompt; name it there, or choose another target.")


def _details(
    mode: Mode, prompt: ParsedPrompt, request: HubRequest, database: ConceptDatabase, networks: HubNetworks
) -> Details | None:
    """The first detail features: of the database, the image, both, or nothing but the text."""
    sources = []
    if mode.details in (Source.DATABASE, Source.FUSION):
        sources += [kept_details(word, database, networks) for word in prompt.words]
    if mode.details in (Source.IMAGE, Source.FUSION):
        sources.append(networks.details.extract(request.image, networks.device))
    return fused(sources) if sources else None


def kept_details(word: str, database: ConceptDatabase, networks: HubNetworks) -> Details:
    """A concept's detail features (N, S, D) out of the database, made and kept when it has none of its pictures yet."""
    kept = database.details(word, networks.details_version)
    if kept is None:
        made = networks.details.extract(database.cutouts(word), networks.device)
        database.keep_details(word, networks.details_version, {"tokens": made})
        return made
    return np.asarray(kept["tokens"], np.float16)


def picture_prompt(conditions: Conditions, guided: bool, dtype: torch.dtype) -> list[Tensor]:
    """The adapter's input: [(B, N, S, D)], the branch without condition first where there is guidance."""
    details = conditions.nothing_seen if conditions.details is None else conditions.details
    branches = [np.repeat(conditions.nothing_seen, len(details), axis=0), details] if guided else [details]
    return [torch.tensor(np.stack(branches), dtype=dtype)]
