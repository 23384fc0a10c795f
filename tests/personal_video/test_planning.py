"""Plans: paths as the planner sees them, maps through them, and what the words have to do with them."""

import numpy as np
import pytest
import torch

from core.personal_video.blocks import places
from core.personal_video.conditioning import Text
from core.personal_video.copying import copied
from core.personal_video.extraction import Details
from core.personal_video.flow import planned
from core.personal_video.motions import Motion, path_of
from core.personal_video.plan_training import as_figures, unnamed
from core.personal_video.planning import Plan, Planner, paths_of, plan_loss, seen_of, upright


def paths(*motions: Motion) -> torch.Tensor:
    """(1, K, 16, 5), in the middle of the picture, of half its size."""
    found = np.stack([path_of(motion, 16) for motion in motions])
    found[..., :2] = 0.5 + 0.3 * found[..., :2]
    found[..., 2] *= 0.5
    return torch.from_numpy(found).float()[None]


def prompt(words: int = 6) -> Text:
    hidden = torch.randn(1, words, 384, generator=torch.Generator().manual_seed(0))
    slots = torch.zeros(1, words, dtype=torch.int8)
    slots[:, 1] = 1
    return Text(hidden, slots, torch.ones(1, words, dtype=torch.bool))


@pytest.mark.parametrize("action", ["spin", "grow", "hop", "stay"])
def test_what_the_planner_sees_of_a_path_is_small_and_can_be_undone(action: str) -> None:
    given = paths(Motion(action, "clockwise" if action == "spin" else "right" if action == "hop" else ""))
    seen = seen_of(given)
    assert seen.abs().max() < 2.5
    torch.testing.assert_close(paths_of(seen), given, atol=1e-3, rtol=1e-3)


def test_an_upright_picture_is_copied_to_the_place_and_size_of_its_path() -> None:
    path = torch.tensor([0.25, 0.75, 0.4, 0.0, 0.0]).expand(1, 1, 1, 5)
    square = torch.zeros(1, 1, 1, 4, 40, 40)
    square[..., 2:38, 2:38] = 1  # nine tenths of the square, as canonical lays it
    ones = torch.ones(1, 1, 1)
    found = copied(Details(ones, ones, square, ones, ones), Plan(path, upright((1, 1, 1))), (80, 80))
    rows, columns = np.nonzero(found.opacities[0, 0, 0, 0].numpy() > 0.5)
    assert [rows.min(), rows.max() + 1] == pytest.approx([0.55 * 80, 0.95 * 80], abs=1)
    assert [columns.min(), columns.max() + 1] == pytest.approx([0.05 * 80, 0.45 * 80], abs=1)
    torch.testing.assert_close(found.shown()[:, :, 3:4], found.opacities[:, 0], atol=1e-5, rtol=0)


def test_seats_tell_the_place_where_there_is_nothing_to_copy() -> None:
    plan = Plan(torch.tensor([0.25, 0.75, 0.4, 30.0, 0.0]).expand(1, 1, 1, 5), upright((1, 1, 1)))
    seats = plan.seats(places(80, 80).flatten(0, 1)).unflatten(-1, (80, 80))[0, 0]
    assert seats[60, 20] > 0.99 and seats[20, 60] < 0.01
    assert float(seats.sum()) == pytest.approx(np.pi * (0.2 * 80) ** 2, rel=0.1)


def test_of_two_pictures_the_one_that_counts_more_is_copied() -> None:
    plan = Plan(torch.tensor([0.5, 0.5, 0.5, 0.0, 0.0]).expand(1, 1, 1, 5), upright((1, 1, 2)))
    squares = torch.stack([torch.full((4, 8, 8), 1.0), torch.tensor([-1.0, -1, -1, 1])[:, None, None].expand(4, 8, 8)])
    ones = torch.ones(1, 1, 2)
    for weights, colour in (((0.9, 0.1), 1), ((0.1, 0.9), -1)):
        details = Details(ones, ones, squares[None, None], torch.tensor(weights)[None, None], ones)
        assert float(copied(details, plan, (16, 16)).colours[0, 0, 0, 0, 8, 8]) == pytest.approx(colour, abs=0.01)


def test_the_loss_is_nothing_for_the_paths_themselves_and_greater_where_they_tremble() -> None:
    seen, level = seen_of(paths(Motion("stay"))), torch.tensor([0.5])
    shaken = seen.clone()
    shaken[:, :, ::2, 0] += 0.1
    assert float(plan_loss(seen, seen, level)) == 0
    assert float(plan_loss(shaken, seen, level)) > 3 * float(plan_loss(seen + 0.05, seen, level))


def test_the_same_seed_gives_the_same_plan_and_the_words_have_a_say() -> None:
    torch.manual_seed(0)
    planner, text = Planner(32, layers=1).eval(), prompt()
    one, same, other = (planned(planner, text, (1, 8), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.allclose(one, other)
    said = Text(text.hidden.flip(2), text.slots, text.kept)
    assert not torch.allclose(one, planned(planner, said, (1, 8), torch.Generator().manual_seed(1)))


def test_a_concept_is_known_by_its_number_and_not_by_the_word_that_stands_for_it() -> None:
    torch.manual_seed(0)
    planner, text = Planner(32, layers=1).eval(), prompt()
    changed = text.hidden.clone()
    changed[:, 1] += 5
    one, other = (
        planned(planner, Text(hidden, text.slots, text.kept), (1, 8), torch.Generator().manual_seed(1))
        for hidden in (text.hidden, changed)
    )
    assert torch.equal(one, other)
    assert int(unnamed(text, np.random.default_rng(3)).slots.sum()) in (0, 1)


def test_figures_are_shares_of_what_was_asked_for() -> None:
    asked = [Motion("slide", "left", "slowly"), Motion("stay"), Motion("slide", "up")]
    read = [Motion("slide", "right", "slowly"), Motion("stay"), Motion("hop", "left")]
    assert as_figures(asked, read) == {"plan_action": 0.6667, "plan_direction": 0.0, "plan_speed": 1.0}
