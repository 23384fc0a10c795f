"""Where the networks of the hub profile lie: whole on a GPU, spread over several, or brought there when they run.

accelerate carries them; which way is chosen from free memory and the size of the video, see
`core.personal_video.hub_plan`. Networks that lie whole on one GPU are residents of it like those of the other tools
(`core.memory.residence`): between two videos they leave when another tool needs the room, and come back for the next.
Those that are brought there when they run take no room in between. Those that are spread over several GPUs stay there,
as hooks of accelerate's tie each to its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import cpu_offload, dispatch_model
from torch import nn

from core import runtime
from core.memory import Resident, house
from core.personal_video.hub_plan import Counts, Shape, Way, choose_way
from core.runtime import Placement


@dataclass(frozen=True)
class Arrangement:
    """A way, and for ``spread`` the devices: of the generation network, then of all others."""

    way: Way = "whole"
    devices: tuple[torch.device, ...] = ()


def gpus(device: torch.device) -> list[torch.device]:
    """All GPUs, the given one first; none where it is a CPU."""
    if device.type != "cuda":
        return []
    own = device.index or 0
    return [torch.device("cuda", n) for n in (own, *(n for n in range(torch.cuda.device_count()) if n != own))]


def free_bytes(device: torch.device) -> dict[torch.device, int]:
    """What is free now of each of `gpus`."""
    return {gpu: runtime.free_bytes(gpu) for gpu in gpus(device)}


def choose_arrangement(counts: Counts, shape: Shape, free: dict[torch.device, int]) -> Arrangement:
    """The quickest way that fits into what is free.

    Raises:
        ParameterError: none does.
    """
    way = choose_way(counts, shape, list(free.values()))
    return Arrangement(way, tuple(sorted(free, key=lambda device: -free[device])[:2]) if way == "spread" else ())


def arrange(pipeline: Any, others: Sequence[nn.Module], chosen: Arrangement, where: Placement) -> tuple[Resident, ...]:
    """Bring a diffusers pipeline, and networks that are not in it, to their places.

    Args:
        pipeline: all its networks on the CPU.
        others: run once a video, before the pipeline.
        chosen: the way.
        where: the GPU, or the CPU.

    Returns:
        Where they lie whole, what is to be in use for the length of a video; nothing where accelerate brings them.
    """
    device = where.device
    if chosen.way == "whole":
        named = {"text encoder": pipeline.text_encoder, "generation network": pipeline.unet, "decoder": pipeline.vae}
        named |= {f"extraction network {number}": network for number, network in enumerate(others, 1)}
        return tuple(house(network, where, f"personal video, {name}") for name, network in named.items())
    if chosen.way == "spread":
        generation, rest = chosen.devices
        for network in (pipeline.text_encoder, pipeline.vae, *others):
            dispatch_model(network, {"": rest}, force_hooks=True)
        dispatch_model(pipeline.unet, {"": generation}, force_hooks=True)
    else:
        in_pipeline = (pipeline.text_encoder, pipeline.unet, pipeline.vae)
        for network in (*others, *(in_pipeline if chosen.way == "sequential" else ())):
            cpu_offload(network, device, offload_buffers=any(True for _ in network.parameters(recurse=False)))
        if chosen.way == "model":
            pipeline.enable_model_cpu_offload(device=device)
    return ()
