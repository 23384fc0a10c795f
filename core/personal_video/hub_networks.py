"""The networks of the hub profile, put together from their weights; diffusers and transformers do the computing.

Stable Diffusion 1.5 with AnimateDiff's motion modules and IP-Adapter's cross-attention is the generation network; both
of its passes share one set of weights. Nothing is loaded, nor fetched, before `load_networks` is called.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from core.encoders.image import ImageEncoder, image_encoder
from core.memory import Resident, make_room
from core.personal_video.hub_details import DetailExtractor
from core.personal_video.hub_placement import Arrangement, arrange, choose_arrangement, free_bytes, gpus
from core.personal_video.hub_plan import COUNTS, Shape
from core.personal_video.hub_text import PromptEncoder, ReferenceMapper
from core.runtime import Placement, Progress, loading_alone, part_of, placement, silent
from core.store import EncoderVersion
from core.weights import find_manifest, weights_path

REFERENCE = "clip"
"""The image encoder of reference features; the same CLIP whose text encoder Stable Diffusion 1.5 has."""
WEIGHTS = ("stable_diffusion", "animatediff", "ip_adapter", REFERENCE)
FEW_STEPS = "lcm_lora"
_ADAPTER = "models/ip-adapter-plus_sd15.safetensors"
_ADAPTER_ENCODER = "models/image_encoder"
_SCHEDULE: dict[str, Any] = {
    "beta_schedule": "linear", "clip_sample": False, "timestep_spacing": "linspace", "steps_offset": 1,
}  # fmt: skip
"""What AnimateDiff was trained with, which differs from Stable Diffusion's own."""


@dataclass(frozen=True, eq=False)
class HubNetworks:
    """Everything that makes a video; one video at a time, by whoever is `at_work`.

    Attributes:
        first: a diffusers ``AnimateDiffPipeline``.
        second: an ``AnimateDiffVideoToVideoPipeline`` over the same networks.
        prompts: the first encoder.
        encoder: the second encoder.
        mapper: from the second encoder's vectors to the first one's space.
        details: the personalised extraction network.
        details_version: names it in the concept database.
        few_steps: whether LCM-LoRA is in the weights.
        arrangement: where the networks lie.
        residents: those that share a GPU with the other tools', where they lie whole on it.
    """

    first: Any
    second: Any
    prompts: PromptEncoder
    encoder: ImageEncoder
    mapper: ReferenceMapper
    details: DetailExtractor
    details_version: EncoderVersion
    few_steps: bool
    arrangement: Arrangement
    residents: tuple[Resident, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def device(self) -> torch.device:
        """Where the pipelines compute."""
        return torch.device(self.first._execution_device)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the networks for one video, which takes gigabytes beside them: what nobody else uses leaves the GPU.

        What was brought there for the video leaves at its end, even when it is stopped.
        """
        with self.lock, ExitStack() as stack:
            for resident in self.residents:
                stack.enter_context(resident.in_use())
            for device in self.arrangement.devices or (placement().device,):
                make_room(device)
            try:
                yield
            finally:
                self.first.maybe_free_model_hooks()


def network_dtype(where: Placement) -> torch.dtype:
    """bfloat16 on a GPU that is fast at it, float16 on another GPU, float32 on a CPU."""
    if where.device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if where.dtype is torch.bfloat16 else torch.float16


def load_networks(
    few_steps: bool = False,
    shape: Shape | None = None,
    arrangement: Arrangement | None = None,
    progress: Progress = silent,
) -> HubNetworks:
    """Fetch what is missing, and load and place all networks.

    Args:
        few_steps: merge LCM-LoRA into the generation network.
        shape: of the largest video to come, for the choice of where the networks lie.
        arrangement: chosen by hand; None: from the free memory of the GPUs, once all networks that nobody uses have
            left them, see `choose_arrangement`.
        progress: told of downloads.

    Raises:
        WeightsError: weights are missing, wrong, or not to be had.
        ParameterError: no arrangement fits the GPUs' memory.
    """
    names = (*WEIGHTS, *((FEW_STEPS,) if few_steps else ()))
    folders = {name: weights_path(name, progress=part_of(progress, n, len(names))) for n, name in enumerate(names)}
    where = placement()
    chosen = arrangement or _fitting(shape or Shape(), where.device)
    dtype = network_dtype(where)
    first, resampler = _pipeline(folders, dtype)
    details = _details(folders["ip_adapter"], resampler, dtype)
    residents = arrange(first, details.networks, chosen, where)
    return HubNetworks(
        first=first,
        second=_over_the_same(first),
        prompts=PromptEncoder(first.tokenizer, first.text_encoder),
        encoder=image_encoder(REFERENCE),
        mapper=_mapper(folders[REFERENCE]),
        details=details,
        details_version=EncoderVersion("ip_adapter", find_manifest("ip_adapter").revision, 1),
        few_steps=few_steps,
        arrangement=chosen,
        residents=residents,
    )


def _fitting(shape: Shape, device: torch.device) -> Arrangement:
    """The quickest way that fits once the networks that nobody uses have left the GPUs for main memory."""
    for gpu in gpus(device):
        make_room(gpu)
    return choose_arrangement(COUNTS, shape, free_bytes(device))


@loading_alone()
def _pipeline(folders: dict[str, Path], dtype: torch.dtype) -> tuple[Any, nn.Module]:
    """The first pipeline on the CPU, and the adapter's resampler, taken out of it to run once, not at each step."""
    from diffusers import AnimateDiffPipeline, AutoencoderKL, MotionAdapter, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    base = folders["stable_diffusion"]
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    sized = options | {"variant": "fp16", "torch_dtype": dtype}
    pipeline: Any = AnimateDiffPipeline(
        vae=AutoencoderKL.from_pretrained(base / "vae", force_upcast=False, **sized),
        text_encoder=CLIPTextModel.from_pretrained(base / "text_encoder", variant="fp16", dtype=dtype, **options),
        tokenizer=CLIPTokenizer.from_pretrained(base / "tokenizer", local_files_only=True),
        unet=UNet2DConditionModel.from_pretrained(base / "unet", **sized),
        motion_adapter=MotionAdapter.from_pretrained(folders["animatediff"], torch_dtype=dtype, **options),
        scheduler=_scheduler(base / "scheduler", FEW_STEPS in folders),
        feature_extractor=_processor(folders["ip_adapter"]),
    )
    pipeline.register_modules(motion_adapter=None)
    if FEW_STEPS in folders:
        _merge_lora(pipeline, folders[FEW_STEPS])
    adapter, name = _ADAPTER.split("/")
    pipeline.load_ip_adapter(
        folders["ip_adapter"], subfolder=adapter, weight_name=name, image_encoder_folder=None, local_files_only=True
    )
    resampler = pipeline.unet.encoder_hid_proj.image_projection_layers[0]
    pipeline.unet.encoder_hid_proj.image_projection_layers[0] = nn.Identity()
    pipeline.set_progress_bar_config(disable=True)
    for network in (pipeline.unet, pipeline.vae, pipeline.text_encoder, resampler):
        network.eval().requires_grad_(False)
    return pipeline, resampler


@loading_alone()
def _scheduler(folder: Path, few_steps: bool) -> Any:
    from diffusers import DDIMScheduler, LCMScheduler

    kind = LCMScheduler if few_steps else DDIMScheduler
    return kind.from_pretrained(folder, local_files_only=True, **_SCHEDULE)


def _merge_lora(pipeline: Any, folder: Path) -> None:
    """Add the low-rank differences to the weights themselves, so that kernels stay plain ones that can be spread."""
    (file,) = find_manifest(FEW_STEPS).files
    pipeline.load_lora_weights(folder, weight_name=file.path, local_files_only=True, use_safetensors=True)
    pipeline.fuse_lora(components=["unet"])
    pipeline.unload_lora_weights()


@loading_alone()
def _processor(adapter: Path) -> Any:
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig

    config: Any = CLIPVisionConfig.from_pretrained(adapter / _ADAPTER_ENCODER, local_files_only=True)
    return CLIPImageProcessorPil(size={"shortest_edge": config.image_size}, crop_size=config.image_size)


@loading_alone()
def _details(adapter: Path, resampler: nn.Module, dtype: torch.dtype) -> DetailExtractor:
    from transformers import CLIPVisionModelWithProjection

    encoder = CLIPVisionModelWithProjection.from_pretrained(
        adapter / _ADAPTER_ENCODER, local_files_only=True, use_safetensors=True, dtype=dtype
    )
    return DetailExtractor(encoder.eval().requires_grad_(False), _processor(adapter), resampler)


def _mapper(clip: Path) -> ReferenceMapper:
    """The two linear maps out of CLIP's file; the rest of it is not read."""
    with safe_open(clip / "model.safetensors", framework="pt") as file:
        maps = [file.get_tensor(f"{kind}_projection.weight") for kind in ("visual", "text")]
    return ReferenceMapper(*maps)


@loading_alone()
def _over_the_same(first: Any) -> Any:
    from diffusers import AnimateDiffVideoToVideoPipeline

    second: Any = AnimateDiffVideoToVideoPipeline(**first.components)
    second.set_progress_bar_config(disable=True)
    return second
