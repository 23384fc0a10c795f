"""What makes videos, one for each profile, behind one door; and the embedded one (METHODS 2, generation)."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from core.encoders.image import ImageEncoder
from core.encoders.text import MeanPooledEncoder
from core.errors import ParameterError, RecordNotFoundError
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import VideoConfig
from core.personal_video.cutting import Cutout
from core.personal_video.flow import SampleConfig
from core.personal_video.generation import MOST_PICTURES, Looks, VideoMaker, VideoRequest, looks_of
from core.personal_video.image_subject import ImageSubject
from core.personal_video.modes import Mode, Source
from core.personal_video.network import PersonalVideoNetwork
from core.personal_video.prepared import TokenEncoder
from core.personal_video.prompt import ParsedPrompt
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import Pixels
from core.personal_video.trained import load_network
from core.runtime import Profile, Progress
from core.store import EncoderVersion
from core.weights import fingerprint

TEXT_ENCODER = "minilm"
SIDE_PX = 64
_LARGEST_SIDE_PX = 256
_LOOKS_VERSION = 1
_FINGERPRINT = 16
"""Letters of the networks' fingerprint that a video tells."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """All that a video is made from, but how.

    Attributes:
        prompt: parsed against the database.
        typed: the same as it was typed, with brackets.
        mode: one of the five.
        database: its concepts.
        image: the image's subject, where one came.
        target: the concept that it shows, in mode b.
        seed: of the noise.
    """

    prompt: ParsedPrompt
    typed: str
    mode: Mode
    database: ConceptDatabase
    image: ImageSubject | None
    target: str | None
    seed: int


@dataclass(frozen=True, eq=False)
class Clip:
    """What a video looks like at some step, and the end of the prompt that the text encoder did not read."""

    frames: Pixels = field(repr=False)
    unread: str = ""


class Engine(Protocol):
    """Makes the videos of one profile; may be shared by threads.

    Attributes:
        profile: which.
        tells_subjects: whether it finds out by itself if an image shows a concept.
    """

    profile: Profile
    tells_subjects: bool

    @property
    def weights(self) -> str:
        """Stands for the networks."""
        ...

    def settled(self, config: VideoConfig) -> VideoConfig:
        """A config with what suits this profile in the place of 0.

        Raises:
            ParameterError: this profile cannot make such a video.
        """
        ...

    def settled_larger(self, how: EnlargeConfig | None, config: VideoConfig) -> EnlargeConfig:
        """How the second network works on a video that was made as ``config`` says; None: as suits this profile.

        Raises:
            ParameterError: as `settled`.
        """
        ...

    def first(self, wanted: Wanted, config: VideoConfig, progress: Progress) -> Iterator[Clip]:
        """The first video, as often as it can be seen while it is sampled; the last is the result.

        Args:
            wanted: what is to be seen.
            config: settled.
            progress: told of every step of sampling; what it raises stops it.
        """
        ...

    def larger(
        self, wanted: Wanted, first: Pixels, config: VideoConfig, how: EnlargeConfig, progress: Progress
    ) -> Iterator[Clip]:
        """The second video, from the first one (T, H, W, 3); all else as in `first`."""
        ...


class EmbeddedEngine:
    """The networks of `core.personal_video.network`; loaded when the first video is asked for.

    Args:
        network: trained, on its device; None: the profile's own.
        text: the first encoder; None: MiniLM.
    """

    profile: Profile = "embedded"
    tells_subjects = True

    def __init__(self, network: PersonalVideoNetwork | None = None, text: TokenEncoder | None = None) -> None:
        self._given, self._text, self._loading = network, text, threading.Lock()
        self._made: tuple[VideoMaker, TokenEncoder, str] | None = None

    @property
    def weights(self) -> str:
        """See `Engine`."""
        return self._networks[2]

    @property
    def _networks(self) -> tuple[VideoMaker, TokenEncoder, str]:
        with self._loading:
            if self._made is None:
                network, text = self._given or load_network(), self._text or MeanPooledEncoder(TEXT_ENCODER)
                self._made = VideoMaker(network, text), text, fingerprint(network)[:_FINGERPRINT]
            return self._made

    def settled(self, config: VideoConfig) -> VideoConfig:
        """See `Engine`."""
        usual, side = SampleConfig(), config.side_px or SIDE_PX
        if side > _LARGEST_SIDE_PX:
            raise ParameterError(f"side_px is {side}; the embedded networks make at most {_LARGEST_SIDE_PX}.")
        return replace(
            config,
            steps=config.steps or usual.steps,
            text_guidance=config.text_guidance or usual.text_guidance,
            subject_guidance=config.subject_guidance or usual.subject_guidance,
            side_px=side,
        )

    def settled_larger(self, how: EnlargeConfig | None, config: VideoConfig) -> EnlargeConfig:
        """See `Engine`."""
        return how or EnlargeConfig()

    def first(self, wanted: Wanted, config: VideoConfig, progress: Progress) -> Iterator[Clip]:
        """See `Engine`; a clip comes after every step."""
        maker, text, _ = self._networks
        unread = unread_of(wanted.prompt.text, text)
        steps = maker.first_steps(self._request(wanted, config), _sampling(config))
        yield from _told(steps, config.steps, progress, unread)

    def larger(
        self, wanted: Wanted, first: Pixels, config: VideoConfig, how: EnlargeConfig, progress: Progress
    ) -> Iterator[Clip]:
        """See `Engine`; a clip comes after every step."""
        request = self._request(wanted, config)
        steps = self._networks[0].enlarged_steps(request, first, _sampling(config), how)
        yield from _told(steps, how.steps, progress, "")

    def _request(self, wanted: Wanted, config: VideoConfig) -> VideoRequest:
        """What the networks are told: only what the mode takes."""
        mode, words, database = wanted.mode, wanted.prompt.words, wanted.database
        spans = tuple(((span.start, span.end), words.index(span.word)) for span in wanted.prompt.spans)
        image = None
        if mode.needs_image:
            assert wanted.image is not None
            image = looks_of([cutout.pixels for cutout in wanted.image.cutouts[:MOST_PICTURES]], database.encoder)
        return VideoRequest(
            mode.letter,
            wanted.prompt.text,
            spans if mode.reference is not Source.TEXT else (),
            tuple(kept_looks(database, word) for word in words) if mode.needs_database else (),
            image,
            words.index(wanted.target) if mode.letter == "b" and wanted.target else 0,
            wanted.seed,
            config.frames,
            config.side_px,
        )


def kept_looks(database: ConceptDatabase, word: str) -> Looks:
    """How a concept looks, out of the database; made and kept when it has none of its pictures yet.

    These are the squares that the personalised extraction network sees, and what the second encoder says of all
    pictures. Deviation from METHODS 2: detail features are made of the squares with every video, as the network is
    small, and so a newly trained one needs no rebuilt database.

    Raises:
        ParameterError: there is no such concept, or its pictures are gone.
    """
    encoder: ImageEncoder = database.encoder
    version = EncoderVersion(f"looks-{encoder.name}", f"{_LOOKS_VERSION}.{encoder.version}", 1)
    kept = database.details(word, version)
    if kept is None:
        made = looks_of([cutout.pixels for cutout in pictures_of(database, word)], encoder)
        kept = {"pictures": made.pictures[:MOST_PICTURES], "vector": made.vector}
        database.keep_details(word, version, kept)
    return Looks(np.asarray(kept["pictures"], np.uint8), np.asarray(kept["vector"], np.float32))


def pictures_of(database: ConceptDatabase, word: str) -> list[Cutout]:
    """A concept's pictures; at least one.

    Raises:
        ParameterError: there is no such concept, or its pictures are gone.
    """
    try:
        cutouts = database.cutouts(word)
    except RecordNotFoundError:
        cutouts = []
    if not cutouts:
        raise ParameterError(f"The concept {word} has lost its pictures; remove it, and add it again with some.")
    return cutouts


def unread_of(text: str, encoder: TokenEncoder) -> str:
    """The end of a prompt that a text encoder does not read."""
    (outputs,) = encoder.tokens([text])
    return text[int(outputs.places[:, 1].max(initial=0)) :].strip()


def _sampling(config: VideoConfig) -> SampleConfig:
    return SampleConfig(config.steps, config.text_guidance, config.subject_guidance)


def _told(steps: Iterator[Pixels], count: int, progress: Progress, unread: str) -> Iterator[Clip]:
    """Each step's clip, once its progress was told."""
    for number, frames in enumerate(steps, start=1):
        progress(min(number, count), count, f"step {min(number, count)} of {count}")
        yield Clip(frames, unread)
