"""Named motions, in words and as paths: "slowly slides to the left", and where the subject then is in every frame.

A path is pure arithmetic of time. Its rows are (x, y, scale, angle, squash): the subject's middle and its longest side
in units of the picture (y downwards), the angle in degrees clockwise, and how much wider than high it is pressed
(width times ``1 + squash``, height divided by it). What the words promise can be measured back from it; `recognised`
does.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Floats = NDArray[np.float64]
Draw = Callable[[Floats, tuple[float, float], float], Floats]
"""(time in [0, 1], direction as (x, y) or turn as (sign, 0), amount) -> (T, 5) for a scale of 1 around (0, 0)."""

SPEEDS = ("slowly", "", "quickly")
_DIAGONAL = math.sqrt(0.5)
_WAYS = MappingProxyType(
    {
        "": (0.0, 0.0),
        "left": (-1.0, 0.0),
        "right": (1.0, 0.0),
        "up": (0.0, -1.0),
        "down": (0.0, 1.0),
        "upper left": (-_DIAGONAL, -_DIAGONAL),
        "upper right": (_DIAGONAL, -_DIAGONAL),
        "lower left": (-_DIAGONAL, _DIAGONAL),
        "lower right": (_DIAGONAL, _DIAGONAL),
        "clockwise": (1.0, 0.0),
        "anticlockwise": (-1.0, 0.0),
    }
)
_TO = MappingProxyType(
    {way: f"to the {way}" for way in ("left", "right", "upper left", "upper right", "lower left", "lower right")}
    | {"up": "upwards", "down": "downwards", "clockwise": "clockwise", "anticlockwise": "anticlockwise", "": ""}
)
_SIDES = ("left", "right")
_EIGHT = ("left", "right", "up", "down", "upper left", "upper right", "lower left", "lower right")
_TURNS = ("clockwise", "anticlockwise")


@dataclass(frozen=True)
class Motion:
    """What a subject does.

    Attributes:
        action: a key of `ACTIONS`.
        direction: one of that action's directions; empty where it has none.
        speed: one of `SPEEDS`; empty is neither slow nor quick.

    Raises:
        ParameterError: there is no such action, or it has no such direction or speed.
    """

    action: str
    direction: str = ""
    speed: str = ""

    def __post_init__(self) -> None:
        known = ACTIONS.get(self.action)
        if known is None:
            raise ParameterError(f"There is no action {self.action!r}; choose one of {', '.join(ACTIONS)}.")
        for what, value, allowed in (
            ("direction", self.direction, known.directions),
            ("speed", self.speed, known.speeds),
        ):
            if value not in allowed:
                raise ParameterError(f"{self.action} has no {what} {value!r}; choose one of {allowed}.")


@dataclass(frozen=True)
class Action:
    """How an action is drawn and said.

    Attributes:
        draw: its path.
        amounts: for slow, middling and quick: a distance in pictures, a number of turns or rounds, or a factor.
        phrases: (verb, what follows); ``{to}`` stands for the direction.
        directions: those it may have.
        loops: its last frame comes before its first.
    """

    draw: Draw
    amounts: tuple[float, float, float]
    phrases: tuple[tuple[str, str], ...]
    directions: tuple[str, ...] = ("",)
    loops: bool = False

    @property
    def speeds(self) -> tuple[str, ...]:
        """`SPEEDS`, or only the empty one where all would look the same."""
        return SPEEDS if len(set(self.amounts)) > 1 else ("",)


def path_of(motion: Motion, frames: int, vigour: float = 1.0) -> Floats:
    """Where a subject is that moves so: (frames, 5), for one of scale 1 around (0, 0).

    Args:
        motion: what it does.
        frames: how many frames the whole motion takes, 4 or more.
        vigour: the amount is multiplied by it (rounds are made rounder); 0.85 to 1.15 keeps speeds apart.

    Raises:
        ParameterError: there are fewer than 4 frames.
    """
    if frames < 4:
        raise ParameterError(f"{frames} frames cannot show a motion; ask for at least 4.")
    action = ACTIONS[motion.action]
    time = np.arange(frames) / (frames if action.loops else frames - 1)
    amount = action.amounts[SPEEDS.index(motion.speed)]
    path = action.draw(time, _WAYS[motion.direction], amount)
    path[:, :2] *= vigour
    return path


def _still(time: Floats) -> Floats:
    path = np.zeros((len(time), 5))
    path[:, 2] = 1
    return path


def _stay(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    return _still(time)


def _slide(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    path[:, :2] = np.outer((time - 0.5) * amount, way)
    return path


def _roll(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """It turns as a wheel of a third of the picture does."""
    path = _slide(time, way, amount)
    path[:, 3] = np.degrees(path[:, 0] / (0.36 / 2))
    return path


def _fall(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    path[:, 1] = (time**2 - 0.5) * amount
    return path


def _rise(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """Like a balloon, a little from side to side."""
    path = _slide(time, (0, -1), amount)
    path[:, 0] = 0.04 * np.sin(3 * np.pi * time)
    return path


def _hop(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """Leaps from the ground, flat before and after each, longer in the air."""
    path = _slide(time, way, 0.4)
    leap = np.abs(np.sin(np.pi * amount * time))
    path[:, 1] -= 0.2 * leap
    path[:, 4] = 0.28 * np.clip(1 - 2.5 * leap, 0, 1) - 0.1 * leap * (1 - leap) * 4
    return path


def _bounce(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """A ball that drops from above; each time it comes up to a half."""
    path = _still(time)
    drop = 1 / math.sqrt(2)  # time from half of the height to the ground, where the first drop takes 1
    ends = [1.0]
    while ends[-1] < amount:
        ends.append(ends[-1] + 2 * drop ** len(ends))
    for row, now in enumerate(time * amount):
        leap = int(np.searchsorted(ends, now, side="right"))
        if leap == 0:
            height = 1 - now**2
        else:
            half = drop**leap
            height = half**2 - (now - ends[leap - 1] - half) ** 2
        path[row, 1] = -0.45 * height
        path[row, 4] = 0.25 * max(0.0, 1 - 8 * height)
    return path


def _spin(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    path[:, 3] = 360 * amount * way[0] * time
    return path


def _grow(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    path[:, 2] = amount ** (time - 0.5)
    return path


def _shrink(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    return _grow(time, way, 1 / amount)


def _pulse(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    path[:, 2] = 1.35 ** np.sin(2 * np.pi * amount * time)
    return path


def _sway(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """About its foot, so that its middle goes along."""
    path = _still(time)
    path[:, 3] = 24 * np.sin(2 * np.pi * amount * time)
    path[:, 0] = 0.2 * np.sin(np.radians(path[:, 3]))
    path[:, 1] = 0.2 * (1 - np.cos(np.radians(path[:, 3])))
    return path


def _shake(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    """As fast as the frames allow: with few of them, fewer times."""
    path = _still(time)
    path[:, 0] = 0.05 * np.sin(2 * np.pi * min(amount, len(time) / 2.6) * time + 0.4)
    return path


def _circle(time: Floats, way: tuple[float, float], amount: float) -> Floats:
    path = _still(time)
    angle = 2 * np.pi * amount * way[0] * time - np.pi / 2
    path[:, 0], path[:, 1] = 0.2 * np.cos(angle), 0.2 * np.sin(angle)
    return path


ACTIONS = MappingProxyType(
    {
        "stay": Action(_stay, (0, 0, 0), (("stay", "in place"), ("stay", "where it is"), ("remain", "in its place"))),
        "slide": Action(
            _slide, (0.16, 0.34, 0.6), (("slide", "{to}"), ("move", "{to}"), ("glide", "{to}"), ("go", "{to}")), _EIGHT
        ),
        "roll": Action(
            _roll, (0.2, 0.36, 0.6), (("roll", "{to}"), ("tumble", "{to}"), ("roll", "along {to}")), _SIDES
        ),
        "fall": Action(
            _fall, (0.25, 0.42, 0.65), (("fall", "down"), ("drop", "from above"), ("fall", "to the ground"))
        ),
        "rise": Action(
            _rise, (0.2, 0.38, 0.62), (("rise", ""), ("float", "up"), ("rise", "into the air"), ("fly", "up"))
        ),
        "hop": Action(
            _hop, (1, 2, 3), (("hop", "{to}"), ("jump", "{to}"), ("hop", "up and down {to}")), ("", *_SIDES), True
        ),
        "bounce": Action(
            _bounce,
            (2.4, 3.8, 5.2),
            (("bounce", "like a ball"), ("fall", "and bounces"), ("bounce", "to rest")),
        ),
        "spin": Action(
            _spin,
            (0.5, 1, 2),
            (("spin", "{to}"), ("turn", "round {to}"), ("rotate", "{to}"), ("spin", "around {to}")),
            _TURNS,
            True,
        ),
        "grow": Action(_grow, (1.3, 1.8, 2.6), (("grow", ""), ("become", "larger"), ("grow", "bigger"))),
        "shrink": Action(_shrink, (1.3, 1.8, 2.6), (("shrink", ""), ("become", "smaller"), ("get", "smaller"))),
        "pulse": Action(
            _pulse, (1, 2, 3), (("pulse", ""), ("grow", "and shrinks again and again"), ("throb", "")), ("",), True
        ),
        "sway": Action(
            _sway, (1, 2, 3), (("sway", "from side to side"), ("wave", "to and fro"), ("rock", "about")), ("",), True
        ),
        "shake": Action(_shake, (5.5, 5.5, 5.5), (("shake", ""), ("tremble", ""), ("shiver", "")), ("",), True),
        "circle": Action(
            _circle, (0.5, 1, 2), (("circle", "{to}"), ("go", "in a circle {to}"), ("move", "round {to}")), _TURNS, True
        ),
    }
)  # fmt: skip
"""The actions by name."""


@cache
def motions() -> tuple[Motion, ...]:
    """Every motion there is: actions times their directions times their speeds."""
    return tuple(
        Motion(name, direction, speed)
        for name, action in ACTIONS.items()
        for direction in action.directions
        for speed in action.speeds
    )


def drawn(random: np.random.Generator, actions: Sequence[str] = ()) -> Motion:
    """A motion by lot: the action first, so that those with many directions are no more frequent.

    Args:
        random: decides.
        actions: those to choose from; all when empty.
    """
    names = tuple(actions) or tuple(ACTIONS)
    action = ACTIONS[name := names[int(random.integers(len(names)))]]
    direction = action.directions[int(random.integers(len(action.directions)))]
    return Motion(name, direction, action.speeds[int(random.integers(len(action.speeds)))])


def sentence(motion: Motion, random: np.random.Generator, plural: bool = False) -> str:
    """What a caption says of a motion, without its subject: "slowly slides to the left".

    Args:
        motion: what is said.
        random: chooses among the phrasings.
        plural: the subject is many: "slide", not "slides".
    """
    phrases = ACTIONS[motion.action].phrases
    verb, rest = phrases[int(random.integers(len(phrases)))]
    said = [verb if plural else conjugated(verb), rest.format(to=_TO[motion.direction])]
    if plural:
        said[1] = said[1].replace("it is", "they are").replace("its", "their").replace("bounces", "bounce")
        said[1] = said[1].replace("shrinks", "shrink")
    said.insert(2 if random.random() < 0.5 else 0, motion.speed)
    return " ".join(" ".join(said).split())


def conjugated(verb: str) -> str:
    """The third person.

    >>> conjugated("go"), conjugated("fly"), conjugated("stay")
    ('goes', 'flies', 'stays')
    """
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("o", "sh", "ch", "s", "x")) else "s")


def recognised(path: Floats) -> Motion:
    """The motion whose own path is nearest to the one measured.

    Args:
        path: (T, 5) or (T, 4), anywhere in the picture and of any size; angles unwrapped.

    Raises:
        ParameterError: it has another shape, or fewer than 4 frames.
    """
    if path.ndim != 2 or path.shape[1] not in (4, 5) or len(path) < 4:
        raise ParameterError(f"A path of shape {path.shape} was given; measure at least 4 frames of 4 or 5 values.")
    seen = _compared(path)
    return min(motions(), key=lambda motion: float(np.square(seen - _template(motion, len(path))).sum()))


@cache
def _template(motion: Motion, frames: int) -> Floats:
    return _compared(path_of(motion, frames))


def _compared(path: Floats) -> Floats:
    """(T, 4) of like weight: place from its mean, doublings of size from theirs, third turns from the first frame."""
    place = path[:, :2] - path[:, :2].mean(axis=0)
    size = np.log2(path[:, 2])
    return np.column_stack([place, 0.5 * (size - size.mean()), (path[:, 3] - path[0, 3]) / 480])
