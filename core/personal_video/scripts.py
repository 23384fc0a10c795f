"""Scripts of training clips: who does what, where, and how the camera moves, in words, with or without their names.

A concept's word says nothing of how its subject looks, and so most training captions have a stand-in for the name:
"rex hops to the left". Their text features are then the same for any subject, and are computed once for a whole
training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.personal_video import backgrounds, motions
from core.personal_video.backgrounds import Background, Camera, Photograph
from core.personal_video.motions import Motion

Span = tuple[int, int]
STAND_INS = (
    "biscuit", "rex", "my toy", "it", "bello", "the thing", "molly", "my dog", "my cat", "mimi", "the figure", "max",
    "luna", "our mascot", "the robot", "pepper", "our friend", "coco", "the object", "teddy", "my bag", "ginger",
    "the logo", "buddy", "my car", "felix", "zorro", "the little one", "our hero", "milo", "sasha", "the sticker",
)  # fmt: skip
"""What stands where a concept's word would."""


@dataclass(frozen=True)
class Role:
    """A subject's name in a sentence, and what it does; ``plural`` takes a verb without "s"."""

    name: str
    motion: Motion
    plural: bool = False


@dataclass(frozen=True)
class Script:
    """A caption, and the parts it tells of.

    Attributes:
        roles: one or two.
        background: behind them.
        camera: how it moves.
        wording: seed of the phrasing.
    """

    roles: tuple[Role, ...]
    background: Background
    camera: Camera
    wording: int

    def told(self) -> tuple[str, tuple[Span, ...]]:
        """The sentence, and where in it each subject stands."""
        return worded(self.roles, self.background, self.camera, np.random.default_rng(self.wording))

    def named(self, names: Sequence[tuple[str, bool]]) -> "Script":
        """The same with other names, each with whether it is plural."""
        roles = (
            replace(role, name=name, plural=plural) for role, (name, plural) in zip(self.roles, names, strict=True)
        )
        return replace(self, roles=tuple(roles))


def worded(
    roles: Sequence[Role], background: Background, camera: Camera, random: np.random.Generator
) -> tuple[str, tuple[Span, ...]]:
    """One sentence, and from where to where in it each subject stands.

    Args:
        roles: those who do something, in order.
        background: behind them.
        camera: how it moves.
        random: chooses among the phrasings.
    """
    does = [motions.sentence(role.motion, random, role.plural) for role in roles]
    where = backgrounds.phrase(background, random)
    ways = backgrounds.CAMERAS[camera]
    moving = ways[int(random.integers(len(ways)))]
    names = [role.name for role in roles]
    if random.random() < 0.25:
        text, after = f"{where[0].upper()}{where[1:]}, ", ""
    else:
        names[0] = names[0][0].upper() + names[0][1:]
        text, after = "", f" {where}"
    spans: list[Span] = []
    for number, (name, verb) in enumerate(zip(names, does, strict=True)):
        text += " and " if number else ""
        spans.append((len(text), len(text) + len(name)))
        text += f"{name} {verb}"
    return text + after + (f" {moving}." if moving else "."), tuple(spans)


def drawn_script(
    random: np.random.Generator, photographs: Sequence[Photograph], count: int, shares: tuple[float, float]
) -> Script:
    """A script by lot, with stand-ins for names.

    Args:
        random: decides.
        photographs: for backgrounds.
        count: of its subjects.
        shares: of plain backgrounds, and of cameras at rest.
    """
    background = backgrounds.drawn(random, photographs, shares[0])
    moving = background.cameras[1:]
    camera: Camera = "still"
    if moving and random.random() >= shares[1]:
        camera = moving[int(random.integers(len(moving)))]
    chosen = random.choice(len(STAND_INS), count, replace=False)
    roles = tuple(Role(STAND_INS[int(number)], motions.drawn(random)) for number in chosen)
    return Script(roles, background, camera, int(random.integers(2**31)))
