"""The hub profile behind the door of `core.personal_video.engine`."""

import threading
from collections.abc import Iterator
from dataclasses import replace

from core.errors import ParameterError
from core.personal_video.config import VideoConfig
from core.personal_video.engine import Clip, Wanted, pictures_of
from core.personal_video.hub_config import HubConfig, HubRequest, HubVideo
from core.personal_video.hub_networks import FEW_STEPS, HubNetworks
from core.personal_video.hub_networks import WEIGHTS as HUB_WEIGHTS
from core.personal_video.hub_pipeline import HubGenerator
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import Pixels
from core.runtime import Profile, Progress
from core.weights import find_manifest

SIDE_PX = 512
_FACTOR = 2
_MOST_STEPS = 100


class HubEngine:
    """Stable Diffusion, AnimateDiff and IP-Adapter; loaded when the first video is asked for.

    A video is seen when it is done: between two steps there are only latents. Whether an image shows a concept must be
    said; nobody measured from which cosine on the vectors of CLIP show one subject.

    Args:
        few_steps: sample by LCM-LoRA in a few steps.
        networks: loaded already; None: loaded when they are first needed.
        shape: settings of `HubConfig` that `VideoConfig` does not have.
    """

    profile: Profile = "hub"
    tells_subjects = False

    def __init__(
        self, few_steps: bool = False, networks: HubNetworks | None = None, shape: HubConfig | None = None
    ) -> None:
        self._few_steps, self._networks, self._shape = few_steps, networks, shape or HubConfig()
        self._generators: dict[str, HubGenerator] = {}
        self._making = threading.Lock()

    @property
    def weights(self) -> str:
        """See `Engine`."""
        names = (*HUB_WEIGHTS, *((FEW_STEPS,) if self._few_steps else ()))
        return " ".join(f"{name}@{find_manifest(name).revision[:8]}" for name in names)

    def settled(self, config: VideoConfig) -> VideoConfig:
        """See `Engine`. Subject guidance scales how much the detail features count; 1 is what suits the profile."""
        if config.steps > _MOST_STEPS:
            raise ParameterError(f"steps is {config.steps}; the hub profile takes at most {_MOST_STEPS}.")
        hub = self._config(replace(config, side_px=config.side_px or SIDE_PX))
        return replace(
            config,
            steps=hub.steps_with(self._few_steps),
            text_guidance=hub.guidance_with(self._few_steps),
            subject_guidance=config.subject_guidance or 1.0,
            side_px=hub.width,
        )

    def settled_larger(self, how: EnlargeConfig | None, config: VideoConfig) -> EnlargeConfig:
        """See `Engine`. The steps of the second network follow from those of the first, whatever is asked for."""
        how = how or EnlargeConfig(start=round(1 - self._shape.renewal, 6))
        if how.factor != _FACTOR:
            raise ParameterError(f"factor is {how.factor}; the hub profile enlarges by {_FACTOR}.")
        renewed = self._renewed(config, how)
        return replace(how, steps=max(2, int(renewed.second_steps_with(self._few_steps) * renewed.renewal)))

    def first(self, wanted: Wanted, config: VideoConfig, progress: Progress) -> Iterator[Clip]:
        """See `Engine`; one clip comes, at the end."""
        yield _clip(self._generator(wanted).generate(_request(wanted), self._config(config), progress))

    def larger(
        self, wanted: Wanted, first: Pixels, config: VideoConfig, how: EnlargeConfig, progress: Progress
    ) -> Iterator[Clip]:
        """See `Engine`; one clip comes, at the end."""

        def told(done: int, total: int, what: str) -> None:
            progress(how.steps * done // max(1, total), how.steps, what)

        yield _clip(self._generator(wanted).enlarge(first, _request(wanted), self._renewed(config, how), told))

    def _generator(self, wanted: Wanted) -> HubGenerator:
        """The generator over the request's database; the networks are those of the first one."""
        for word in wanted.prompt.words if wanted.mode.needs_database else ():
            pictures_of(wanted.database, word)
        address = wanted.database.address
        with self._making:
            if address not in self._generators:
                if self._networks is None and self._generators:
                    self._networks = next(iter(self._generators.values())).networks
                self._generators[address] = HubGenerator(address, self._few_steps, self._networks)
            return self._generators[address]

    def _renewed(self, config: VideoConfig, how: EnlargeConfig) -> HubConfig:
        return replace(self._config(config), renewal=min(1.0, max(0.1, 1 - how.start)))

    def _config(self, config: VideoConfig) -> HubConfig:
        details = min(1.0, self._shape.details * (config.subject_guidance or 1.0))
        return replace(
            self._shape,
            width=config.side_px,
            height=config.side_px,
            frames=config.frames,
            steps=config.steps,
            guidance=config.text_guidance,
            details=details,
        )


def _request(wanted: Wanted) -> HubRequest:
    image = wanted.image.cutouts if wanted.image is not None and wanted.mode.needs_image else ()
    return HubRequest(wanted.typed, image, wanted.target, wanted.seed)


def _clip(video: HubVideo) -> Clip:
    return Clip(video.frames, video.unread)
