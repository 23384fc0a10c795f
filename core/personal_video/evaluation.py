"""The networks on subjects that no training saw, beside what they must be better than.

Methods: the first network in modes a, b and d, and untrained; the compositor that pastes one picture of the subject and
moves it as was asked (it is told the motion and the colour, and reads no text); at twice the size the second network,
the first one unchanged, and bicubic enlargement. Two rows measure the composed clips themselves: what of the figures
the measuring loses. The judge sees concepts as coarse as subjects are in the videos: like is compared with like.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch

from core.encoders.image import ImageEncoder
from core.errors import ParameterError, check_ranges
from core.personal_video.assessment import Asked, Figures, figures_of, gallery_of
from core.personal_video.backgrounds import COLOURS, Background
from core.personal_video.composing import Material, kept_out
from core.personal_video.data import Course, CourseConfig
from core.personal_video.flow import Guided, SampleConfig
from core.personal_video.generation import VideoMaker, VideoRequest, as_clip, as_pixels, looks_of
from core.personal_video.looks import canonical, drawn_look
from core.personal_video.measuring import lab
from core.personal_video.modes import Letter
from core.personal_video.motions import drawn as drawn_motion
from core.personal_video.network import PersonalVideoNetwork
from core.personal_video.prepared import TokenEncoder, on_white
from core.personal_video.redilation import EnlargeConfig, bicubic, unchanged
from core.personal_video.scripts import STAND_INS, Role, Script
from core.personal_video.subjects import Pixels, Subject, cut_out
from core.personal_video.trained import on_device

_COLOURS = ("white", "light grey", "yellow", "light green", "turquoise", "blue", "purple", "pink", "dark green", "red")
_LEAST_CONTRAST, _WHOLE = 25.0, 0.9
METHODS = ("composed clips", "mode a", "mode b", "mode d, no concept", "untrained", "compositor")
LARGER = ("composed clips, 2×", "second network, 2×", "first unchanged, 2×", "bicubic, 2×")
_SQUARE_PX = 256
_SUBJECT = 0.45
"""About how much of a frame's side a subject is long."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How much is measured.

    Raises:
        ParameterError: a value is out of its range.
    """

    subjects: int = field(default=20, metadata={"help": "subjects held out of training, the gallery, 2 to 200"})
    videos: int = field(default=2, metadata={"help": "videos of each subject, 1 to 50"})
    enlarge: bool = field(default=True, metadata={"help": "measure the second network too"})
    side_px: int = field(default=64, metadata={"help": "side of the first videos, a multiple of 8, 32 to 256"})
    frames: int = field(default=16, metadata={"help": "frames of videos, 4 to 32"})
    seed: int = field(default=0, metadata={"help": "seed of questions and videos"})

    def __post_init__(self) -> None:
        sizes = [("side_px", 32, 256), ("frames", 4, 32)]
        check_ranges(self, ("subjects", 2, 200), ("videos", 1, 50), *sizes)

    @property
    def methods(self) -> tuple[str, ...]:
        """What is measured, in the order of the table."""
        return METHODS + LARGER if self.enlarge else METHODS


@dataclass(frozen=True, eq=False)
class Question:
    """A script for a subject, two pictures of it (RGBA, straight alpha), and what the answer is to show."""

    script: Script
    subject: Subject
    pictures: tuple[Pixels, Pixels]
    asked: Asked
    seed: int

    @property
    def prompt(self) -> tuple[str, tuple[int, int]]:
        """The text with a stand-in for the subject, and where that stands."""
        text, (span,) = self.script.told()
        return text, span


def held_out_subjects(material: Material, count: int) -> list[Subject]:
    """Subjects held out of all training, one of each source, in one piece each.

    Raises:
        ParameterError: there are too few.
    """
    background = Background("plain", ("white",))
    motion = drawn_motion(np.random.default_rng(0), ("stay",))
    found = [
        variants[0]
        for variants in material.sources
        if "subject" in kept_out(variants[0], motion, background) and in_one_piece(variants[0])
    ]
    if len(found) < count:
        raise ParameterError(f"Of these subjects {len(found)} are held out and whole; give more, or ask for fewer.")
    chosen = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[int(number)] for number in sorted(chosen)]


def in_one_piece(subject: Subject) -> bool:
    """Whether nine tenths of all that is visible hang together, in every frame."""
    for picture in subject.pictures:
        _, _, told, _ = cv2.connectedComponentsWithStats((picture[..., 3] > 127).astype(np.uint8), connectivity=8)
        areas = told[1:, cv2.CC_STAT_AREA]
        if not len(areas) or areas.max() < _WHOLE * areas.sum():
            return False
    return True


def questions(subjects: Sequence[Subject], config: EvaluateConfig) -> list[Question]:
    """What is asked, the same for every method: every subject on colours that it stands out of."""
    found = []
    for number, subject in enumerate(subjects):
        for again in range(config.videos):
            random = np.random.default_rng([config.seed, number, again])
            colour = _standing_out(subject, random)
            motion = drawn_motion(random)
            role = Role(STAND_INS[int(random.integers(len(STAND_INS)))], motion)
            script = Script((role,), Background("plain", (colour,)), "still", int(random.integers(2**31)))
            first, second = (_straight(drawn_look(subject, _SQUARE_PX, random)[0]) for _ in range(2))
            asked = Asked(number, motion, colour)
            found.append(Question(script, subject, (first, second), asked, int(random.integers(2**31))))
    return found


def _standing_out(subject: Subject, random: np.random.Generator) -> str:
    """A colour by lot that few of the subject's pixels are near to."""
    picture = subject.pictures[0]
    seen = picture[picture[..., 3] > 200][:, :3]
    if not len(seen):
        return "white"
    pixels = lab(seen[None, :, None])[0, :, 0]
    far = []
    for name in _COLOURS:
        colour = lab(np.array(COLOURS[name], np.uint8)[None, None, None])[0, 0, 0]
        far.append(float((np.linalg.norm(pixels - colour, axis=1) > _LEAST_CONTRAST).mean()))
    good = [name for name, share in zip(_COLOURS, far, strict=True) if share > 0.97]
    return good[int(random.integers(len(good)))] if good else _COLOURS[int(np.argmax(far))]


def _straight(look: Pixels) -> Pixels:
    """A look with its RGB divided by its opacity."""
    opacity = look[..., 3:].astype(np.float32)
    colours = np.where(opacity > 0, look[..., :3] * 255.0 / np.maximum(opacity, 1), 0)
    return np.dstack([np.clip(colours, 0, 255).round().astype(np.uint8), look[..., 3]])


def composed(question: Question, course: Course) -> Pixels:
    """The clip that a training would show for a question."""
    random = np.random.default_rng(question.seed)
    return course.filmed(question.script, [question.subject], random).frames


def pasted(question: Question, course: Course) -> Pixels:
    """Paste and move: the first picture itself, moved as was asked, over the asked colour."""
    subject = cut_out("picture", question.subject.phrase, question.pictures[0][None])
    random = np.random.default_rng(question.seed)
    return course.filmed(question.script, [subject], random).frames


def as_coarse(squares: Pixels, side_px: int) -> Pixels:
    """Squares (N, S, S, 3) with no more to be seen in them than at a smaller size, for a judge to compare with."""
    small = (cv2.resize(square, (side_px, side_px), interpolation=cv2.INTER_AREA) for square in squares)
    return np.stack([cv2.resize(one, squares.shape[1:3], interpolation=cv2.INTER_CUBIC) for one in small])


class Evaluation:
    """All methods on the same questions.

    Args:
        network: trained, on its device.
        encoders: the first and the second encoder, as in training, and one of pictures that no training used.
        config: how much.
        sample: how videos are made.
    """

    def __init__(
        self,
        network: PersonalVideoNetwork,
        encoders: tuple[TokenEncoder, ImageEncoder, ImageEncoder],
        config: EvaluateConfig,
        sample: SampleConfig | None = None,
    ) -> None:
        self._text, self._second, self._judge = encoders
        self._network, self._config, self._sample = network, config, sample or SampleConfig()
        self._size = VideoRequest("d", "", frames=config.frames, side_px=config.side_px)

    def measuring(self, material: Material) -> Callable[[str], Figures]:
        """What answers all questions with one method, by its name, and measures the answers."""
        subjects = held_out_subjects(material, self._config.subjects)
        asked = questions(subjects, self._config)
        squares = np.stack([self._shown(subject) for subject in subjects])
        methods = self._methods(material)

        def measured(name: str) -> Figures:
            videos = [methods[name](question) for question in asked]
            gallery = gallery_of(as_coarse(squares, round(_SUBJECT * videos[0].shape[1])), self._judge)
            return figures_of(videos, [question.asked for question in asked], gallery, self._judge)

        return measured

    def _methods(self, material: Material) -> dict[str, Callable[[Question], Pixels]]:
        trained = VideoMaker(self._network, self._text)
        torch.manual_seed(self._config.seed)
        untrained = VideoMaker(on_device(PersonalVideoNetwork(self._network.generation.widths)), self._text)
        sizes = self._config.side_px, 2 * self._config.side_px
        small, large = (Course(material, CourseConfig(side_px=side, frames=self._config.frames)) for side in sizes)
        methods: dict[str, Callable[[Question], Pixels]] = {
            "composed clips": lambda question: composed(question, small),
            "mode a": lambda question: self.first(trained, question, "a"),
            "mode b": lambda question: self.first(trained, question, "b"),
            "mode d, no concept": lambda question: self.first(trained, question, "d"),
            "untrained": lambda question: self.first(untrained, question, "a"),
            "compositor": lambda question: pasted(question, small),
        }
        if self._config.enlarge:
            methods |= {
                "composed clips, 2×": lambda question: composed(question, large),
                "second network, 2×": lambda question: self.second(trained, question),
                "first unchanged, 2×": lambda question: self.unchanged(trained, question),
                "bicubic, 2×": lambda question: as_pixels(bicubic(as_clip(self.first(trained, question, "a")), 2)),
            }
        return methods

    def request(self, question: Question, letter: Letter) -> VideoRequest:
        """A question as the pipeline puts it."""
        text, span = question.prompt
        first, second = question.pictures
        concept = looks_of([first], self._second)
        image = looks_of([second], self._second) if letter == "b" else None
        if letter == "d":
            return replace(self._size, mode=letter, text=text, seed=question.seed)
        return replace(self._size, mode=letter, text=text, spans=((span, 0),), concepts=(concept,), image=image,
                       seed=question.seed)  # fmt: skip

    def first(self, maker: VideoMaker, question: Question, letter: Letter) -> Pixels:
        """The first network's video."""
        *_, video = maker.first_steps(self.request(question, letter), self._sample)
        return video

    def second(self, maker: VideoMaker, question: Question) -> Pixels:
        """The second network's video, after the first's."""
        request = self.request(question, "a")
        *_, video = maker.enlarged_steps(request, self.first(maker, question, "a"), self._sample)
        return video

    def unchanged(self, maker: VideoMaker, question: Question) -> Pixels:
        """The first network run at the second's size as it is."""
        request = self.request(question, "a")
        guided = Guided(self._network.generation, maker.condition(request, 2 * request.side_px), self._sample)
        start = torch.zeros(1, request.frames, 3, request.side_px, request.side_px)
        generator = torch.Generator().manual_seed(request.seed)
        *_, clip = unchanged(guided, start, EnlargeConfig(), generator)
        return as_pixels(clip)

    def _shown(self, subject: Subject) -> Pixels:
        picture = _straight(subject.pictures[0])
        return on_white(canonical(picture, self._judge.size))
