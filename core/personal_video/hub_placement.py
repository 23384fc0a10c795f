"""Where the networks of the hub profile lie: whole on a GPU, spread over several, or brought there when they run.

accelerate carries them; which way is chosen from free memory and the size of the video, see
`core.personal_video.hub_plan`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import cpu_offload, dispatch_model
from torch import nn

from core.personal_video.hub_plan import Counts, Shape, Way, choose_way


@dataclass(frozen=True)
class Arrangement:
    """A way, and for ``spread`` the devices: of the generation network, then of all others."""

    way: Way = "whole"
    devices: tuple[torch.device, ...] = ()


def free_bytes(device: torch.device) -> dict[torch.device, int]:
    """Free memory of each GPU, the given one first; empty on a CPU."""
    if device.type != "cuda":
        return {}
    own = device.index or 0
    order = [own, *(n for n in range(torch.cuda.device_count()) if n != own)]
    return {torch.device("cuda", n): torch.cuda.mem_get_info(n)[0] for n in order}


def choose_arrangement(counts: Counts, shape: Shape, free: dict[torch.device, int]) -> Arrangement:
    """The quickest way that fits into what is free.

    Raises:
        ParameterError: none does.
    """
    way = choose_way(counts, shape, list(free.values()))
    return Arrangement(way, tuple(sorted(free, key=lambda device: -free[device])[:2]) if way == "spread" else ())


def arrange(pipeline: Any, others: Sequence[nn.Module], chosen: Arrangement, device: torch.device) -> None:
    """Bring a diffusers pipeline, and networks that are not in it, to their places.

    Args:
        pipeline: all its networks on the CPU.
        others: run once a video, before the pipeline.
        chosen: the way.
        device: the GPU, or the CPU.
    """
    if chosen.way == "whole":
        for network in (pipeline, *others):
            network.to(device)
    elif chosen.way == "spread":
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
