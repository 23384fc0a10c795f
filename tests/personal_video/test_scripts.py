"""Captions in words: each subject stands where the spans say."""

import numpy as np
import pytest

from core.personal_video.backgrounds import Background
from core.personal_video.motions import Motion
from core.personal_video.scripts import STAND_INS, Role, drawn_script, worded

SHARES = (0.3, 0.6)


@pytest.mark.parametrize("count", [1, 2])
def test_every_span_holds_the_name_of_its_role(count: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        script = drawn_script(random, (), count, SHARES)
        text, spans = script.told()
        assert [text[a:b].lower() for a, b in spans] == [role.name for role in script.roles]
        assert text.endswith(".") and text[0].isupper() and "  " not in text


def test_two_subjects_of_a_script_have_different_stand_ins() -> None:
    random = np.random.default_rng(1)
    for _ in range(40):
        first, second = drawn_script(random, (), 2, SHARES).roles
        assert first.name != second.name and {first.name, second.name} <= set(STAND_INS)


def test_another_name_changes_nothing_else() -> None:
    for seed in range(20):
        script = drawn_script(np.random.default_rng(seed), (), 1, SHARES)
        text, ((start, end),) = script.told()
        other, ((_, other_end),) = script.named([("a red kite", False)]).told()
        assert (text[:start], text[end:]) == (other[:start], other[other_end:])
        assert other[start:other_end].lower() == "a red kite"


def test_many_take_a_verb_without_s() -> None:
    roles = (Role("two cats", Motion("spin", "clockwise"), plural=True), Role("rex", Motion("grow")))
    text, _ = worded(roles, Background("plain", ("white",)), "still", np.random.default_rng(2))
    cats, rex = text.lower().split(" and rex ")
    assert any(f"two cats {verb}" in cats for verb in ("spin", "turn", "rotate"))
    assert rex.startswith(("grows", "becomes"))
