"""From a prompt, an image or both to a video, and from that to a larger one (METHODS 2).

    read       which of the five modes an input means, before anything is made
    generate   the first network's video, as an MP4 with its settings in it
    enlarge    the second network's video, from that file

The concepts themselves are kept by `core.personal_video.concepts.ConceptDatabase`. What makes the videos is chosen by
the profile, see `core.personal_video.engine`.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from secrets import randbelow

from core.encoders.image import ImageEncoder
from core.errors import ParameterError, check_ranges
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import ConceptConfig, VideoConfig
from core.personal_video.engine import Clip, EmbeddedEngine, Engine, Wanted
from core.personal_video.film import check_out, read_frames, read_settings, write_film
from core.personal_video.hub_engine import HubEngine
from core.personal_video.image_subject import ImageSubject, ImageSubjects
from core.personal_video.modes import Shown, mode_of, shown_concept
from core.personal_video.prompt import ParsedPrompt, checked_word, parse_prompt, word_key
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import LARGEST_SEED, GeneratedVideo, ModeReading, Seen, VideoSettings
from core.runtime import Profile, Progress, current_profile, silent

FRAME_RATE = Fraction(8)
"""Of both profiles' videos; their networks learned from clips without a rate of their own, or of this one."""
MOST_WORDS = 2000
ALONE = "It sways from side to side on a white background."
"""Stands in for the text where there is an image and nothing else: a sentence like those of the training."""
NO_SUBJECT = (
    "The small networks draw a background from words, and no subject: name a concept, give an image, or use the hub "
    "profile."
)
"""Said of mode d on the embedded profile."""
SOMETHING_ELSE = "-"
"""Said of an image that shows none of the prompt's concepts; no concept can be called that."""


@dataclass(frozen=True)
class GenerateRequest:
    """What is to be seen.

    Attributes:
        prompt: with concepts' words bare or in angle brackets; may be empty where there is an image.
        image: a picture, which may be animated or have a transparent background.
        shows: the concept that the image shows; "-": something else; empty: found out, where the profile can.
        seed: 0 to 2**32 - 1; None: one by lot, which the answer tells.

    Raises:
        ParameterError: the seed is out of its range, or there are too many words.
    """

    prompt: str = ""
    image: Path | None = None
    shows: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_ranges(self, ("seed", 0, LARGEST_SEED))
        if (words := len(self.prompt.split())) > MOST_WORDS:
            raise ParameterError(f"The prompt has {words:,} words, more than {MOST_WORDS:,}; shorten it.")


class PersonalVideoPipeline:
    """Makes videos with the concepts of one database; may be shared by threads.

    Args:
        database: the concepts, or the folder or object-storage address of their database, which is made when needed.
        engine: what makes the videos; None: that of the profile, which loads its networks when they are first needed.
        config: how images are looked at.
    """

    def __init__(
        self,
        database: ConceptDatabase | str | Path,
        engine: Engine | None = None,
        config: ConceptConfig | None = None,
    ) -> None:
        self._config = config or ConceptConfig()
        self.database = database if isinstance(database, ConceptDatabase) else ConceptDatabase(database, None, config)
        self.engine = engine or engine_of(current_profile())
        self._subjects = ImageSubjects(self._config)

    def read(self, request: GenerateRequest, at_once: bool = False) -> ModeReading:
        """Which of the five modes an input means.

        Args:
            request: the input.
            at_once: do not look at an image that was not looked at yet; what it shows is then taken for nothing of the
                database.

        Raises:
            ParameterError: there is neither prompt nor image, the prompt is too long or names an unknown concept, or
                the image is said to show a concept that the prompt does not name.
            MediaError: the image cannot be read, or shows no subject.
        """
        return self._understood(request, at_once)[1]

    def generating(
        self, request: GenerateRequest, out: str | Path, config: VideoConfig | None = None, progress: Progress = silent
    ) -> Iterator[Seen | GeneratedVideo]:
        """Make the first video; gives what is to be seen of it after each step, and at last the finished one.

        Args:
            request: what is to be seen.
            out: the file, ``.mp4``; what is there is replaced at the end.
            config: how.
            progress: told of every step; what it raises stops the work before the next one, and no file is left.

        Raises:
            ParameterError: as `read`; a concept has lost its pictures or stands too far back in the prompt; a value is
                out of its range; or ``out`` cannot be written to.
            MediaError: as `read`.
            WeightsError: the networks' weights are missing or wrong.
            CancelledError: ``progress`` says so.
        """
        begin = time.perf_counter()
        check_out(out)
        config = self.engine.settled(config or VideoConfig())
        seed = randbelow(LARGEST_SEED + 1) if request.seed is None else request.seed
        total = config.steps + 1
        progress(0, total, "reading prompt and image")
        prompt, reading, image = self._understood(request)
        wanted = Wanted(prompt, request.prompt.strip() or ALONE, reading.mode, self.database, image, reading.target,
                        seed)  # fmt: skip
        settings = self._settings(wanted, request, config)
        clips = self.engine.first(wanted, config, _after(progress, 1, total))
        last = yield from _seen(clips, config.steps)
        progress(total, total, Path(out).name)
        yield _finished(out, last, settings, reading, begin)

    def generate(
        self,
        request: GenerateRequest,
        out: str | Path,
        config: VideoConfig | None = None,
        progress: Progress = silent,
        preview: Callable[[Seen], None] | None = None,
    ) -> GeneratedVideo:
        """Make the first video; ``preview`` is given what is to be seen of it after each step. See `generating`."""
        return _last(self.generating(request, out, config, progress), preview)

    def enlarging(
        self,
        first: str | Path,
        out: str | Path,
        image: str | Path | None = None,
        how: EnlargeConfig | None = None,
        progress: Progress = silent,
    ) -> Iterator[Seen | GeneratedVideo]:
        """Make the second, larger video from the file of the first one; gives the same as `generating`.

        Args:
            first: a file that `generate` wrote; its settings are read from it.
            out: the file, ``.mp4``.
            image: the image that the first video was made with, where there was one.
            how: the second network's settings; None: as suits the profile.
            progress: as in `generating`.

        Raises:
            ParameterError: the video is a larger one already or was made with other networks; its concepts have
                changed since; its image is not given, or another one.
            MediaError: a file cannot be read, or is none that was made here.
            WeightsError, CancelledError: as in `generating`.
        """
        begin = time.perf_counter()
        check_out(out)
        settings = read_settings(first, self._config.limits)
        config = self._config_of(settings, Path(first).name)
        how = self.engine.settled_larger(how, config)
        total = how.steps + 1
        progress(0, total, "reading the first video")
        request = GenerateRequest(settings.prompt, Path(image) if image else None, settings.target or SOMETHING_ELSE)
        prompt, reading, subject = self._same_again(request, settings)
        wanted = Wanted(prompt, settings.prompt.strip() or ALONE, reading.mode, self.database, subject, reading.target,
                        settings.seed)  # fmt: skip
        frames = read_frames(first, settings, self._config.limits)
        clips = self.engine.larger(wanted, frames, config, how, _after(progress, 1, total))
        last = yield from _seen(clips, how.steps)
        progress(total, total, Path(out).name)
        settings = replace(settings, factor=how.factor, second_steps=how.steps, start=how.start)
        yield _finished(out, last, settings, reading, begin)

    def enlarge(  # noqa: PLR0913  # those of `enlarging`, and the preview
        self,
        first: str | Path,
        out: str | Path,
        image: str | Path | None = None,
        how: EnlargeConfig | None = None,
        progress: Progress = silent,
        preview: Callable[[Seen], None] | None = None,
    ) -> GeneratedVideo:
        """Make the second video; ``preview`` as in `generate`. See `enlarging`."""
        return _last(self.enlarging(first, out, image, how, progress), preview)

    def subject_of(self, image: str | Path) -> ImageSubject:
        """The subject of an image, as a video would be made of it.

        Raises:
            MediaError: the file cannot be read, is too large, or shows no subject.
        """
        return self._subjects.of(image)

    def _understood(
        self, request: GenerateRequest, at_once: bool = False
    ) -> tuple[ParsedPrompt, ModeReading, ImageSubject | None]:
        """The prompt, what the input means, and the image's subject."""
        note, typed = "", request.prompt
        if not typed.strip() and request.image is not None:
            typed, note = ALONE, f"There is no text, so “{ALONE}” stands in for it."
        words = self.database.words()
        prompt = parse_prompt(typed, () if note else words)
        image = None
        if request.image is not None:
            image = self._subjects.known(request.image) if at_once else self._subjects.of(request.image)
        target, shown = self._target(request, prompt, image)
        mode = mode_of(prompt, request.image is not None, target is not None)
        if mode.letter == "d" and self.engine.profile == "embedded":
            note = NO_SUBJECT
        return prompt, ModeReading(mode, prompt.words, target, shown, note), image

    def _target(
        self, request: GenerateRequest, prompt: ParsedPrompt, image: ImageSubject | None
    ) -> tuple[str | None, Shown | None]:
        """The concept that the image shows, and how like it is, where that was found out."""
        said = request.shows.strip()
        if request.image is None or said == SOMETHING_ELSE:
            return None, None
        if said:
            key = word_key(checked_word(said))
            for word in prompt.words:
                if word_key(word) == key:
                    return word, None
            raise ParameterError(
                f"The image is said to show <{said}>, which the prompt does not name; name it there, or say that the "
                "image shows something else."
            )
        if not (prompt.words and self.engine.tells_subjects and image is not None):
            return None, None
        encoder: ImageEncoder = self.database.encoder
        references = {word: self.database.reference(word) for word in prompt.words}
        shown = shown_concept(image.vector(encoder), references)
        return (shown.word if shown.is_target else None), shown

    def _settings(self, wanted: Wanted, request: GenerateRequest, config: VideoConfig) -> VideoSettings:
        return VideoSettings(
            prompt=request.prompt.strip(),
            mode=wanted.mode.letter,
            seed=wanted.seed,
            profile=self.engine.profile,
            weights=self.engine.weights,
            concepts=self._looks(wanted.prompt.words),
            image=wanted.image.name if wanted.image else "",
            image_sha256=wanted.image.sha256 if wanted.image else "",
            target=wanted.target or "",
            steps=config.steps,
            text_guidance=float(config.text_guidance),
            subject_guidance=float(config.subject_guidance),
            frames=config.frames,
            side_px=config.side_px,
        )

    def _looks(self, words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((word, self.database.concept(word).looks) for word in words)

    def _config_of(self, settings: VideoSettings, name: str) -> VideoConfig:
        """How a first video was made, if it may be enlarged here."""
        if settings.factor != 1:
            raise ParameterError(f"{name} is a larger video already; choose the first one that it was made from.")
        if settings.profile != self.engine.profile:
            raise ParameterError(f"{name} was made on the {settings.profile} profile; enlarge it there.")
        if settings.weights != self.engine.weights:
            raise ParameterError(f"{name} was made by networks of another training; make it again, then enlarge it.")
        return self.engine.settled(
            VideoConfig(
                settings.steps, settings.text_guidance, settings.subject_guidance, settings.frames, settings.side_px
            )
        )

    def _same_again(
        self, request: GenerateRequest, settings: VideoSettings
    ) -> tuple[ParsedPrompt, ModeReading, ImageSubject | None]:
        """What the first video was made of, once more."""
        if settings.image_sha256 and request.image is None:
            raise ParameterError(f"The video was made with the image {settings.image}; give it once more.")
        if not settings.image_sha256:
            request = replace(request, image=None)
        understood = self._understood(request)
        prompt, reading, image = understood
        if image is not None and image.sha256 != settings.image_sha256:
            raise ParameterError(f"{image.name} is not the image the video was made with; give {settings.image}.")
        if reading.mode.letter != settings.mode or self._looks(prompt.words) != settings.concepts:
            raise ParameterError("The concepts of this video have changed since it was made; make it again first.")
        return understood


def engine_of(profile: Profile, few_steps: bool = False) -> Engine:
    """What makes the videos of a profile; ``few_steps``: on the hub profile by LCM-LoRA."""
    return HubEngine(few_steps) if profile == "hub" else EmbeddedEngine()


def notes_on(prompt: str, unread: str, profile: Profile) -> tuple[str, ...]:
    """What of a prompt, without its concepts' words, is not understood, as sentences."""
    notes = []
    if unread:
        begin = unread if len(unread) <= 60 else f"{unread[:60]}…"
        notes.append(f"The prompt is too long for the text encoder, which did not read: {begin}")
    letters = [c for c in prompt if c.isalpha()]
    if profile == "embedded" and letters and sum(c.isascii() for c in letters) * 2 < len(letters):
        notes.append("The text encoder reads English; of this prompt it understands little but the concepts' words.")
    return tuple(notes)


def _seen(clips: Iterator[Clip], steps: int) -> Generator[Seen, None, Clip]:
    """What is seen after each step; returns the last clip."""
    last = None
    for number, last in enumerate(clips, start=1):
        yield Seen(last.frames, min(number, steps), steps)
    assert last is not None
    return last


def _finished(
    out: str | Path, clip: Clip, settings: VideoSettings, reading: ModeReading, begin: float
) -> GeneratedVideo:
    """Write the video."""
    written = write_film(out, clip.frames, FRAME_RATE, settings)
    taken_s = round(time.perf_counter() - begin, 3)
    profile: Profile = "hub" if settings.profile == "hub" else "embedded"
    rest = settings.prompt
    for word in settings.words:
        rest = rest.replace(word, "")
    notes = notes_on(rest, clip.unread, profile)
    return GeneratedVideo(str(out), clip.frames, written, FRAME_RATE, taken_s, reading.sentence, notes)


def _last(made: Iterator[Seen | GeneratedVideo], preview: Callable[[Seen], None] | None) -> GeneratedVideo:
    video = None
    for one in made:
        if isinstance(one, GeneratedVideo):
            video = one
        elif preview is not None:
            preview(one)
    assert video is not None
    return video


def _after(progress: Progress, before: int, total: int) -> Progress:
    """A callback for the steps of sampling, ``before`` steps of ``total`` being done."""

    def report(done: int, _: int, what: str) -> None:
        progress(before + done, total, what)

    return report
