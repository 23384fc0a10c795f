"""Personal video on the hub profile: a request to a first, small video, and that to a large one (METHODS 2).

    >>> generator = HubGenerator("library")                                   # doctest: +SKIP
    >>> request = HubRequest("<biscuit> runs along a beach", seed=7)          # doctest: +SKIP
    >>> small = generator.generate(request, HubConfig())                      # doctest: +SKIP
    >>> large = generator.enlarge(small.frames, request, HubConfig())         # doctest: +SKIP

The same request, configuration and networks give the same bytes on the same kind of device: noise is drawn on the CPU.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import NoSubjectError, ParameterError
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import ConceptConfig
from core.personal_video.cutting import Cutout, SubjectCutter, pictures_in
from core.personal_video.hub_conditions import Conditions, conditions_of, picture_prompt
from core.personal_video.hub_config import HubConfig, HubRequest, HubVideo, Pixels
from core.personal_video.hub_networks import HubNetworks, load_networks
from core.personal_video.hub_plan import DECODED_AT_ONCE
from core.personal_video.hub_second import second_network
from core.runtime import Progress, silent

_SECOND_STREAM = 2**32
"""Added to the seed for the second video, so that its noise is not the first one's."""
_LARGER = 2


class HubGenerator:
    """Makes videos with the concepts of one database; may be shared by threads, and makes one video at a time.

    Args:
        address: of the concept database.
        few_steps: sample by LCM-LoRA in a few steps.
        networks: loaded already; None: loaded when the first video is asked for.
    """

    def __init__(self, address: str | Path, few_steps: bool = False, networks: HubNetworks | None = None) -> None:
        self._address, self._few_steps, self._networks = address, few_steps, networks
        self._loading = threading.Lock()

    @property
    def networks(self) -> HubNetworks:
        """What makes the videos.

        Raises:
            WeightsError: weights are missing, wrong, or not to be had.
        """
        with self._loading:
            if self._networks is None:
                self._networks = load_networks(self._few_steps)
            return self._networks

    @cached_property
    def database(self) -> ConceptDatabase:
        """The concepts, with the second encoder of these networks; what other encoders made of them stays beside."""
        return ConceptDatabase(self._address, self.networks.encoder)

    def generate(self, request: HubRequest, config: HubConfig | None = None, progress: Progress = silent) -> HubVideo:
        """The first video, by the first network.

        Args:
            request: what is to be seen.
            config: size, length and sampling.
            progress: told of every step; what it raises stops the sampling.

        Raises:
            ParameterError: the prompt is empty or names an unknown concept, or the target is none of its concepts.
            WeightsError: weights are missing, wrong, or not to be had.
            CancelledError: progress raised it.
        """
        config = config or HubConfig()
        networks = self.networks
        with self._at_work(networks):
            conditions = conditions_of(request, self.database, networks)
            steps = config.steps_with(networks.few_steps)
            frames = networks.first(
                **_shared(conditions, config, networks),
                num_frames=config.frames,
                width=config.width,
                height=config.height,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(request.seed),
                callback_on_step_end=_telling(progress, steps, "first video"),
            ).frames[0]
        return HubVideo(_pixels(frames), conditions.mode.letter, conditions.unread)

    def enlarge(
        self, first: Pixels, request: HubRequest, config: HubConfig | None = None, progress: Progress = silent
    ) -> HubVideo:
        """The second video, twice as large, by the second network, from the first one with noise.

        Args:
            first: (T, H, W, 3), as `generate` made it of the same request.
            request: as then.
            config: as then; its size and length are those of ``first``.
            progress: as in `generate`.

        Raises:
            ParameterError: as in `generate`, or ``first`` is no video.
            WeightsError, CancelledError: as in `generate`.
        """
        if first.dtype != np.uint8 or first.ndim != 4 or first.shape[3] != 3 or 0 in first.shape:
            raise ParameterError(f"The first video is {first.dtype} {first.shape}; give uint8 (T, H, W, 3).")
        config = config or HubConfig()
        networks = self.networks
        guided = config.guidance_with(networks.few_steps) > 1
        with self._at_work(networks):
            conditions = conditions_of(request, self.database, networks)
            pipeline = networks.second
            steps = config.second_steps_with(networks.few_steps)
            large = [_enlarged(frame) for frame in first]
            with second_network(pipeline.unet, config.stages, pipeline.scheduler.config.num_train_timesteps, guided):
                frames = pipeline(
                    **_shared(conditions, config, networks),
                    video=large,
                    width=large[0].width,
                    height=large[0].height,
                    strength=config.renewal,
                    num_inference_steps=steps,
                    generator=torch.Generator().manual_seed(_SECOND_STREAM + request.seed),
                    callback_on_step_end=_telling(progress, int(steps * config.renewal), "second video"),
                ).frames[0]
        return HubVideo(_pixels(frames), conditions.mode.letter, conditions.unread)

    @contextmanager
    def _at_work(self, networks: HubNetworks) -> Iterator[None]:
        """Hold the networks for one video.

        Raises:
            ParameterError: it does not fit on the GPU.
        """
        try:
            with networks.at_work():
                yield
        except torch.OutOfMemoryError as error:
            raise ParameterError("The video does not fit on the GPU; make it smaller or shorter.") from error


def seen(path: str | Path, config: ConceptConfig | None = None) -> tuple[Cutout, ...]:
    """The subject of an image for a request; a picture without one, such as a landscape, is taken whole.

    Raises:
        MediaError: the file cannot be read, or is too large.
    """
    config = config or ConceptConfig()
    try:
        with SubjectCutter(config) as cutter:
            return tuple(cutter.cut_file(path))
    except NoSubjectError:
        pictures = [(name, pixels[..., :3]) for name, pixels in pictures_in(path, config)]
        return tuple(_whole(name, pixels) for name, pixels in pictures)


def _whole(name: str, rgb: Pixels) -> Cutout:
    height, width = rgb.shape[:2]
    pixels = np.concatenate([rgb, np.full((height, width, 1), 255, np.uint8)], axis=2)
    return Cutout(pixels, (0, 0, width, height), (width, height), "alpha", name)


def _shared(conditions: Conditions, config: HubConfig, networks: HubNetworks) -> dict[str, Any]:
    """What both pipelines are told alike."""
    guidance = config.guidance_with(networks.few_steps)
    networks.first.set_ip_adapter_scale(0.0 if conditions.details is None else config.details)
    return {
        "prompt_embeds": conditions.semantic,
        "negative_prompt_embeds": conditions.nothing_said,
        "ip_adapter_image_embeds": picture_prompt(conditions, guidance > 1, conditions.semantic.dtype),
        "guidance_scale": guidance,
        "output_type": "np",
        "decode_chunk_size": DECODED_AT_ONCE,
    }


def _telling(progress: Progress, steps: int, what: str) -> Callable[..., dict[str, Any]]:
    """A callback of diffusers that reports each finished step, and lets pass what the report raises."""

    def told(pipeline: Any, step: int, time_step: Any, state: dict[str, Any]) -> dict[str, Any]:
        progress(step + 1, steps, what)
        return {}

    return told


def _enlarged(frame: Pixels) -> Image.Image:
    size = _LARGER * frame.shape[1], _LARGER * frame.shape[0]
    return Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)


def _pixels(frames: Any) -> Pixels:
    """Frames (T, H, W, 3), 0 to 1, as bytes."""
    return (np.clip(frames, 0, 1) * 255).round().astype(np.uint8)
