"""What the networks of each tool take in memory, before any of them is loaded.

The sizes are those of the files in the manifests: only safetensors go to a GPU, all else (mediapipe, CTranslate2) stays
in main memory. A network that is computed in another number format than its file has takes more or less than that, and
one of which only a part is used takes less. What a computation takes beside its network comes on top;
`core.runtime.SHARE` leaves room for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open

from core.errors import ParameterError
from core.runtime import SHARE, Profile, current_profile, free_bytes, placement
from core.weights import hub
from core.weights.catalogue import all_manifests, weights_folder
from core.weights.formats import SAFETENSORS
from core.weights.manifest import Manifest

Place = Literal["whole", "in turn", "layers", "main memory", "no room", "unknown"]
WORDS: dict[Place, str] = {
    "whole": "fits whole beside those above",
    "in turn": "takes turns with those above",
    "layers": "offloaded, layer by layer",
    "main memory": "in main memory",
    "no room": "more than the main memory that is free",
    "unknown": "not known before it is fetched",
}
_SMALL = ("efficientnet_lite0", "musicnn_msd", "musicnn_mtt")
_LIBRARY = ("video_quality", "efficientnet_lite0", "efficientnet_lite2", "natural_scenes", "video_search")
_EMBEDDED: dict[str, tuple[str, ...]] = {
    "video_search": ("efficientnet_lite0", "video_search"),
    "video_quality": _LIBRARY,
    "music_matching": (*_SMALL, "minilm", "whisper_base", "music_matching"),
    "lip_sync": ("mediapipe_faces", "lip_sync"),
    "personal_video": ("mediapipe_faces", "efficientnet_lite0", "efficientnet_lite2", "minilm", "personal_video"),
}
_HUB: dict[str, tuple[str, ...]] = {
    "video_search": ("siglip", "video_search"),
    "video_quality": (*_LIBRARY, "clip", "convnext", "dinov2", "videomae", "smolvlm"),
    "music_matching": (*_SMALL, "minilm", "whisper_large", "music_matching"),
    "lip_sync": ("mediapipe_faces", "lip_sync", "vits_vctk"),
    "personal_video": ("mediapipe_faces", "stable_diffusion", "animatediff", "lcm_lora", "ip_adapter", "clip"),
}
NEEDED: dict[Profile, dict[str, tuple[str, ...]]] = {"embedded": _EMBEDDED, "hub": _HUB}
"""The weights that a tool may load on a profile, for its training and judging too; some may not be trained yet."""
TOOLS = tuple(_HUB)


@dataclass(frozen=True)
class ModelPlan:
    """What is known of some weights before they are loaded.

    Attributes:
        name: of the weights.
        bytes: of all their files; None where the manifest has no sizes yet.
        parameters: in their safetensors; None where these are not here yet, or there are none.
        place: where they will lie: whole on the GPU; there in turn with others, in main memory otherwise; brought there
            layer by layer; always in main memory; without room even there; not known without sizes.
    """

    name: str
    bytes: int | None
    parameters: int | None
    place: Place


@dataclass(frozen=True)
class ToolPlan:
    """The weights of a tool.

    Attributes:
        id: the tool.
        models: in the order of loading.
    """

    id: str
    models: tuple[ModelPlan, ...]

    @property
    def bytes(self) -> int:
        """Of all models whose size is known."""
        return sum(model.bytes or 0 for model in self.models)


@dataclass(frozen=True)
class MemoryPlan:
    """What is loaded where.

    Attributes:
        profile: of the process.
        device: where networks compute.
        free_bytes: of that device, now.
        results: one for each tool, as if it ran alone; tools that share a device take turns.
    """

    profile: Profile
    device: str
    free_bytes: int
    results: tuple[ToolPlan, ...]


def memory_plan(
    tools: Iterable[str] = TOOLS, device: torch.device | None = None, free: int | None = None
) -> MemoryPlan:
    """Plan what this process's profile loads for some tools; nothing is loaded or fetched.

    Args:
        tools: their names.
        device: where networks compute; this process's own when None.
        free: its free bytes; measured when None.

    Raises:
        ParameterError: there is no such tool.
        WeightsError: a manifest is missing or wrong.
    """
    profile, device = current_profile(), device or placement().device
    free = free_bytes(device) if free is None else free
    chosen = list(dict.fromkeys(tools))
    if unknown := [tool for tool in chosen if tool not in TOOLS]:
        raise ParameterError(f"There is no tool {', '.join(unknown)}; choose from {', '.join(TOOLS)}.")
    plans = [ToolPlan(tool, _models(NEEDED[profile][tool], device, free)) for tool in chosen]
    return MemoryPlan(profile, str(device), free, tuple(plans))


def plan_before_loading(tools: Iterable[str] = TOOLS) -> str:
    """The plan in words on the hub profile; nothing on the embedded one, whose networks are small."""
    return show_plan(as_answer(memory_plan(tools))) if current_profile() == "hub" else ""


def as_answer(plan: MemoryPlan) -> dict[str, Any]:
    """The plan as JSON has it; every tool with its ``bytes``."""
    return {**asdict(plan), "results": [{**asdict(tool), "bytes": tool.bytes} for tool in plan.results]}


def show_plan(answer: dict[str, Any]) -> str:
    """The plan in words, of `as_answer`: a line for each of a tool's weights."""
    lines = [f"Memory plan, profile {answer['profile']}: {_size(answer['free_bytes'])} free on {answer['device']}"]
    for tool in answer["results"]:
        unknown = any(model["bytes"] is None for model in tool["models"])
        lines.append(f"{tool['id']}: {'more than ' if unknown else ''}{_size(tool['bytes'])} in files")
        for model in tool["models"]:
            count = "" if model["parameters"] is None else f"{model['parameters'] / 1e6:.1f} M"
            lines.append(f"  {model['name']:20} {_size(model['bytes']):>9} {count:>9}  {WORDS[model['place']]}")
    return "\n".join(lines)


def _models(names: Sequence[str], device: torch.device, free: int) -> tuple[ModelPlan, ...]:
    taken, models = 0, []
    known = {manifest.name: manifest for manifest in all_manifests()}
    for manifest in [known[name] for name in names if name in known]:
        size = _tensor_bytes(manifest) if device.type != "cpu" else manifest.bytes
        place = _place(size, device, free, taken)
        taken += (size or 0) * (place in ("whole", "main memory"))
        models.append(ModelPlan(manifest.name, manifest.bytes, _parameters(manifest), place))
    return tuple(models)


def _place(size: int | None, device: torch.device, free: int, taken: int) -> Place:
    """Where weights of that size go when some bytes are taken already; as `core.memory.residence` decides."""
    if size is None:
        return "unknown"
    if device.type == "cpu":
        return "main memory" if size + taken <= free else "no room"
    if size == 0:
        return "main memory"
    if size > SHARE * free:
        return "layers"
    return "whole" if size <= SHARE * (free - taken) else "in turn"


def _tensor_bytes(manifest: Manifest) -> int | None:
    """The size of the files that go to a GPU; None where one is not known yet."""
    sizes = [file.bytes for file in manifest.files if file.path.endswith(SAFETENSORS)]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _parameters(manifest: Manifest) -> int | None:
    """The numbers in all tensors, by the headers of the files; None where these are not here, or hold none."""
    names = [file.path for file in manifest.files if file.path.endswith(SAFETENSORS)]
    places = [weights_folder() / manifest.name / name for name in names]
    paths = [p if p.is_file() else hub.cached(manifest, name) for p, name in zip(places, names, strict=True)]
    return sum(_numbers(path) for path in paths if path) if paths and all(paths) else None


def _numbers(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
