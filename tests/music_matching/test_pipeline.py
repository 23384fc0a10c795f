"""Adding, matching and laying, from files to answers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import CancelledError, MediaError, RecordNotFoundError
from core.music_matching import LayConfig, MatchConfig, MatchRequest, MusicMatching
from core.music_matching.pipeline import Model
from core.music_matching.rows import NO_LICENCE, Credits
from core.runtime import CancelToken, cancellable, silent
from tests.factories import cut_short, sound_file, still_picture
from tests.music_matching.makers import film, groove_file


@pytest.fixture
def matching(tmp_path: Path, model: Model) -> MusicMatching:
    """A tool with an empty library."""
    return MusicMatching(tmp_path / "library", MatchConfig(), model)


def test_every_track_is_ranked_with_its_moment_its_reasons_and_its_licence(filled: MusicMatching, video: Path) -> None:
    answer = filled.match(video, MatchRequest(top=5))
    assert len(answer.results) == 3
    for match in answer.results:
        begin, end = match.window_s
        assert 0 <= begin < end <= match.duration_s + 1e-6 and end - begin == pytest.approx(6, abs=0.05)
        assert match.licence == NO_LICENCE and any("beats a minute" in reason for reason in match.reasons)
        assert -1.5 <= match.score <= 1.5
    assert answer.watching_s > 0 and answer.ranking_s > 0


def test_the_same_content_is_known_and_added_once(filled: MusicMatching, grooves: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "another name.wav"
    copy.write_bytes(grooves[0].read_bytes())
    (report,) = filled.add_each([copy])
    assert report.status == "known" and len(filled.library) == 3


def test_bad_tracks_among_good_ones_are_named_and_the_rest_is_added(matching: MusicMatching, tmp_path: Path) -> None:
    text, empty, picture = tmp_path / "song.mp3", tmp_path / "empty.ogg", still_picture(tmp_path / "cover.png")
    text.write_text("This is no music.\n" * 99)
    empty.touch()
    locked = tmp_path / "locked.m4p"
    locked.write_bytes(np.random.default_rng(0).bytes(50_000))
    short = sound_file(tmp_path / "short.wav", 1)
    silent_film = film(tmp_path / "silent.mp4", 1)
    cut = cut_short(groove_file(tmp_path / "long.ogg", 10), 0.02)
    good = groove_file(tmp_path / "good.wav", 5)
    paths = [text, empty, picture, locked, short, silent_film, cut, good, tmp_path / "missing.mp3"]
    reports = list(matching.add_each(paths))
    assert [report.status for report in reports].count("added") == 1 and reports[7].status == "added"
    for path, report in zip(paths, reports, strict=True):
        if report.status == "failed":
            assert path.name in report.error and report.error.endswith("."), report.error
    assert len(matching.library) == 1


def test_a_stopped_addition_keeps_what_was_finished_and_goes_on_later(
    matching: MusicMatching, grooves: list[Path]
) -> None:
    token, reports = CancelToken(), []
    with pytest.raises(CancelledError):
        for report in matching.add_each(grooves, progress=cancellable(silent, token)):
            reports.append(report)
            token.cancel()
    assert len(reports) == 1 and len(matching.library) == 1
    assert [report.status for report in matching.add_each(grooves)] == ["known", "added", "added"]


def test_licence_and_credit_are_kept(matching: MusicMatching, tmp_path: Path, video: Path) -> None:
    track = groove_file(tmp_path / "mine.wav", 8)
    list(matching.add_each([track], Credits("CC BY 4.0", "A. Composer")))
    (match,) = matching.match(video).results
    assert (match.licence, match.credit) == ("CC BY 4.0", "A. Composer")


def test_an_empty_library_answers_with_nothing(matching: MusicMatching, video: Path) -> None:
    assert matching.match(video).results == ()


def test_words_move_the_ranking(filled: MusicMatching, video: Path) -> None:
    seen = filled.match(video).video
    fast, slow = (filled.rank(seen, MatchRequest(text=text)).results for text in ("fast", "slow"))
    assert fast[0].title == "CityRush" and slow[0].title == "SlowRiver"
    assert any(reason == "as asked: fast" for reason in fast[0].reasons)
    assert filled.rank(seen, MatchRequest(text="xyzzy quux")).not_understood == ("xyzzy quux",)


def test_the_laid_film_begins_at_the_moment_that_was_told(
    filled: MusicMatching, video: Path, grooves: list[Path], tmp_path: Path
) -> None:
    told = {match.title: match for match in filled.match(video).results}
    laid = filled.lay(video, grooves[1], tmp_path / "out.mp4", LayConfig(mode="replace"))
    assert laid.start_s == pytest.approx(told["CityRush"].window_s[0])
    other = filled.lay(video, grooves[1], tmp_path / "out.mp4", LayConfig(mode="replace", start_s=1.25))
    assert other.start_s == 1.25


def test_an_unknown_track_is_listened_to_first(matching: MusicMatching, video: Path, tmp_path: Path) -> None:
    laid = matching.lay(video, groove_file(tmp_path / "new.wav", 10), tmp_path / "out.mp4")
    assert Path(laid.out).exists() and len(matching.library) == 0


def test_films_that_cannot_be_matched_get_their_sentence(filled: MusicMatching, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="still picture"):
        filled.match(still_picture(tmp_path / "still.png"))
    with pytest.raises(MediaError, match="does not exist"):
        filled.match(tmp_path / "missing.mp4")


def test_an_animation_without_sound_is_matched_too(filled: MusicMatching, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), (n * 20, 0, 99)) for n in range(10)]
    frames[0].save(tmp_path / "loop.gif", save_all=True, append_images=frames[1:], duration=300)
    answer = filled.match(tmp_path / "loop.gif")
    assert len(answer.results) == 3 and answer.video.duration_s == pytest.approx(3, abs=0.1)


def test_a_removed_track_is_gone_and_an_unknown_id_removes_nothing(
    matching: MusicMatching, grooves: list[Path], video: Path
) -> None:
    first, second, _ = matching.add_each(grooves)
    with pytest.raises(RecordNotFoundError):
        matching.remove([first.id, "unknown"])
    matching.remove([first.id])
    assert second.id in {match.id for match in matching.match(video).results}
    assert first.id not in {match.id for match in matching.match(video).results}


def test_the_title_of_a_film_finds_the_track_that_is_called_alike(filled: MusicMatching, tmp_path: Path) -> None:
    for title, track in (("down the stream.mp4", "SlowRiver"), ("downtown.mp4", "CityRush")):
        best = filled.match(film(tmp_path / title, 3)).results[0]
        assert best.title == track
    named_alike = filled.match(film(tmp_path / "river.mp4", 3)).results[0]
    assert any("shared words: river" in reason for reason in named_alike.reasons)


def test_a_library_of_one_track_and_a_film_of_three_seconds(matching: MusicMatching, tmp_path: Path) -> None:
    track, short = groove_file(tmp_path / "only.ogg", 9), film(tmp_path / "short.mp4", 3)
    list(matching.add_each([track]))
    (match,) = matching.match(short).results
    begin, end = match.window_s
    assert end - begin == pytest.approx(3, abs=0.05) and end <= 9 + 1e-6
    laid = matching.lay(short, track, tmp_path / "out.mp4")
    assert laid.duration_s == 3 and laid.start_s == pytest.approx(begin)
