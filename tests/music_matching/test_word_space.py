"""The space of words: against its formula in numpy, what is missing, what is usual, and what is learned."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.music_matching.model import batch_of
from core.music_matching.word_space import Batch, WordSpace, without

FILM, TRACK = {"seen": 6, "words": 6}, {"tags": 5, "words": 6}
Rows = list[dict[str, np.ndarray | None]]


def made_rows(sizes: dict[str, int], count: int = 7, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    rows: Rows = [{n: random.standard_normal(s).astype(np.float32) for n, s in sizes.items()} for _ in range(count)]
    rows[1]["words"] = None
    return rows


def made_space(missing: float = 0.0) -> tuple[WordSpace, Batch, Batch]:
    torch.manual_seed(0)
    space = WordSpace(6, 5, missing).eval()
    films, tracks = batch_of(made_rows(FILM), FILM), batch_of(made_rows(TRACK, seed=1), TRACK)
    space.fit_scale(films, tracks, torch.randn(5, 6))
    space.fit_usual(films, tracks)
    return space, films, tracks


def at_unit_length(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def test_tracks_are_words_and_tags_as_the_formula_says() -> None:
    """In numpy: tags in deviations, their names summed, weighed by softplus, and the mean of all taken away."""
    space, _, tracks = made_space()
    tags, words, there = (array.numpy() for array in (tracks[0]["tags"], tracks[0]["words"], tracks[1]["words"]))
    more = (tags - tags.mean(0)) / (tags.std(0) + 1e-3)
    told = np.where(there[:, None], at_unit_length(words), 0)
    weight = np.log1p(np.exp(space.weights.detach().numpy()[1]))
    mixed = at_unit_length(told + weight * at_unit_length(more @ space.heard.numpy()))
    expected = at_unit_length(mixed - mixed.mean(0))
    assert without(space.tracks(tracks), space.usual_track).detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_films_show_what_differs_from_what_is_usually_seen() -> None:
    space, films, _ = made_space()
    seen = films[0]["seen"]
    alone = space.films(
        (
            {"seen": seen, "words": torch.zeros(7, 6)},
            {"seen": films[1]["seen"], "words": torch.zeros(7, dtype=torch.bool)},
        )
    )
    assert torch.allclose(alone, F.normalize(seen - seen.mean(0), dim=1), atol=1e-6)


def test_what_stands_where_words_are_missing_has_no_influence() -> None:
    space, films, _ = made_space()
    plain = space.films(films)
    films[0]["words"][1] = float("nan")
    assert torch.equal(space.films(films), plain)


def test_a_row_that_says_nothing_stays_zeros_and_does_not_count_as_usual() -> None:
    space, films, tracks = made_space()
    for name in FILM:
        films[1][name][2] = False
    films[1]["words"][3] = True
    space.fit_usual(films, tracks)
    told = space.films(films)
    assert not told[2].any() and torch.allclose(space.usual_film, told[[0, 1, 3, 4, 5, 6]].mean(0), atol=1e-6)
    assert not without(told, space.usual_film)[2].any()


def test_tags_whose_meaning_nobody_gave_say_nothing() -> None:
    space = WordSpace(6, 5, 0.0).eval()
    _, _, tracks = made_space()
    silent = space.tracks(tracks)
    assert torch.allclose(silent[0], F.normalize(tracks[0]["words"][0], dim=0)) and not silent[1].any()


def test_in_training_sources_are_left_out_but_never_both() -> None:
    space, films, _ = made_space(missing=0.9)
    films = (
        {n: v[:1].repeat(400, 1) for n, v in films[0].items()},
        {n: v[:1].repeat(400) for n, v in films[1].items()},
    )
    kinds = {tuple(row) for row in space.train().films(films).detach().numpy().round(4).tolist()}
    assert len(kinds) == 3, "words, what is seen, and both"
    assert all(any(kind) for kind in kinds)


def test_both_weights_and_the_temperature_have_gradients_that_are_numbers() -> None:
    space, films, tracks = made_space()
    space.similarities(space.films(films), space.tracks(tracks)).diagonal().sum().backward()
    for parameter in (space.weights, space.log_scale):
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.all()


def test_the_weight_of_a_source_that_tells_more_grows_in_training() -> None:
    """Words are noise here; what is seen is what is heard."""
    space, films, tracks = made_space()
    hidden = torch.randn(40, 6)
    space.heard.copy_(torch.eye(5, 6))
    films = ({"seen": hidden, "words": torch.randn(40, 6)}, {n: torch.ones(40, dtype=torch.bool) for n in FILM})
    tracks = (
        {"tags": hidden[:, :5], "words": torch.randn(40, 6)},
        {n: torch.ones(40, dtype=torch.bool) for n in TRACK},
    )
    space.fit_scale(films, tracks, None)
    before, optimiser = space.weights.detach().clone(), torch.optim.Adam(space.parameters(), lr=0.05)
    for _ in range(60):
        loss = F.cross_entropy(space.similarities(space.films(films), space.tracks(tracks)), torch.arange(40))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (space.weights > before + 0.5).all()
