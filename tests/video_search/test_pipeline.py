"""Adding, finding and recommending with the real encoder on real files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.encoders.image import ImageEncoder
from core.errors import (
    CancelledError,
    ClipTooShortError,
    LibraryNotFoundError,
    MediaDamagedError,
    MediaError,
    MediaLimitError,
    RecordNotFoundError,
)
from core.media import EncodeOptions, VideoReader, write_video
from core.runtime import CancelToken, cancellable, silent
from core.video_search import SearchConfig, SearchRequest, VideoSearch
from core.video_search.descriptor import Thresholds
from core.video_search.rows import segment_records, segment_starts
from core.video_search.shelf import Shelf
from tests.factories import animated_picture, cut_short, moving_clip, numbered_picture, still_picture, with_garbage
from tests.scenes import PLACES, scene


@pytest.mark.parametrize("place", PLACES)
def test_a_smaller_slower_cropped_copy_finds_its_original_first(
    filled: VideoSearch, clips: list[Path], tmp_path: Path, place: str
) -> None:
    original = next(clip for clip in clips if clip.stem == place)
    with VideoReader(original, size=(160, 120)) as reader:
        pictures = [frame.pixels[8:, 12:] for frame in reader.frames_at_rate(Fraction(5))]
    copy = tmp_path / "copy.mkv"
    write_video(copy, pictures, Fraction(5), options=EncodeOptions(crf=36))
    found = filled.find(copy).results
    assert len(found) == 5
    assert found[0].title == place
    assert [video.similarity for video in found] == sorted((v.similarity for v in found), reverse=True)


def test_the_similarity_of_a_file_with_itself_is_one(filled: VideoSearch, clips: list[Path]) -> None:
    assert filled.find(clips[3], SearchRequest(top=1)).results[0].similarity == pytest.approx(1, abs=1e-3)


def test_the_same_file_has_the_same_descriptor_whatever_the_batches(
    encoder: ImageEncoder, clips: list[Path], tmp_path: Path
) -> None:
    first, second = (
        VideoSearch(tmp_path / str(size), encoder, SearchConfig(batch_frames=size)).describe(clips[0]).descriptor
        for size in (32, 3)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_library_video_recommends_others_and_never_itself(filled: VideoSearch, clips: list[Path]) -> None:
    (one,) = filled.find(clips[2], SearchRequest(top=1)).results
    recommended = filled.recommend(one.id, SearchRequest(top=20)).results
    assert recommended and one.id not in {video.id for video in recommended}
    asked_as_file = [video.id for video in filled.find(clips[2], SearchRequest(top=20)).results]
    places = [asked_as_file.index(video.id) for video in recommended]
    assert places == sorted(places) and all(video.why for video in recommended)


def test_nothing_similar_enough_is_said_and_the_nearest_are_shown_all_the_same(
    filled: VideoSearch, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = filled.find(clips[2], SearchRequest(top=1)).results
    monkeypatch.setattr(filled.descriptor, "thresholds", Thresholds(copy=2.0, topic=1.9))
    recommended = filled.recommend(one.id)
    assert len(recommended.results) == 5 and "nearest" in recommended.fallback
    monkeypatch.setattr(filled.descriptor, "thresholds", Thresholds(copy=2.0, topic=-2.0))
    assert filled.recommend(one.id).fallback == ""


def test_copies_are_not_recommended_beside_a_video_and_only_one_of_two_copies(
    search: VideoSearch, clips: list[Path], tmp_path: Path
) -> None:
    copies = [
        scene(tmp_path / f"{place}-{crf}.mp4", place, crf=crf) for place in ("harbour", "meadow") for crf in (20, 34)
    ]
    list(search.add_each([*clips[2:6], *copies]))
    ids = {record.title: record.id for record in search.library.records()}
    titles = [video.title for video in search.recommend(ids["harbour-20"], SearchRequest(top=20)).results]
    assert "harbour-34" not in titles
    assert len({"meadow-20", "meadow-34"} & set(titles)) <= 1


@pytest.mark.parametrize("rerank", [True, False])
def test_hash_mode_finds_the_same_film_first(filled: VideoSearch, clips: list[Path], rerank: bool) -> None:
    answer = filled.find(clips[4], SearchRequest(mode="hash", rerank=rerank))
    assert answer.mode == "hash" and answer.results[0].title == clips[4].stem and len(answer.results) == 5
    assert answer.results[0].similarity == pytest.approx(1, abs=0.02)


def test_a_mark_sticks_in_both_directions_and_for_files_too_until_it_is_taken_back(
    search: VideoSearch, clips: list[Path]
) -> None:
    list(search.add_each(clips[:4]))
    one, other = (video.id for video in search.find(clips[0], SearchRequest(top=2)).results)
    search.mark_not_similar(one, other)
    again = VideoSearch(search.library.address, search.encoder)
    assert other not in {video.id for video in again.find(clips[0]).results}
    assert one not in {video.id for video in again.recommend(other).results}
    again.mark_not_similar(other, one, marked=False)
    assert other in {video.id for video in search.find(clips[0]).results}


def test_segments_that_a_killed_addition_left_behind_are_never_found(search: VideoSearch, clips: list[Path]) -> None:
    list(search.add_each(clips[:3]))
    prepared = search.prepare(clips[3])
    assert not isinstance(prepared, str)
    search.segments.add(segment_records(*prepared, search.descriptor.codes))  # killed here: the video never came
    titles = [video.title for video in search.find(clips[3]).results]
    assert len(titles) == 3 and clips[3].stem not in titles
    assert [report.status for report in search.add_each([clips[3]])] == ["added"]
    assert search.find(clips[3]).results[0].title == clips[3].stem


def test_an_excerpt_of_a_long_film_finds_it_and_tells_where_it_begins(
    search: VideoSearch, clips: list[Path], tmp_path: Path
) -> None:
    film = moving_clip(tmp_path / "film.mp4", duration_s=90, frame_rate=4, seed=8)
    list(search.add_each([*clips[:5], film]))
    assert len(search.segments) == 5 + len(segment_starts(90))
    with VideoReader(film) as reader:
        pictures = [frame.pixels for frame in reader.frames_at_rate(Fraction(4), 50, 62)]
    excerpt = tmp_path / "excerpt.mp4"
    write_video(excerpt, pictures, Fraction(4), options=EncodeOptions(crf=30))
    best = search.find(excerpt).results[0]
    assert best.title == "film" and best.offset_s == pytest.approx(50, abs=1)


def test_only_videos_with_all_the_tags_are_found(search: VideoSearch, clips: list[Path]) -> None:
    list(search.add_each(clips[:2], ["sea"]))
    list(search.add_each(clips[2:4], ["sea", "night"]))
    assert {video.title for video in search.find(clips[0], SearchRequest(tags=("night", "sea"))).results} == {
        "traffic",
        "kitchen",
    }


def test_the_same_content_under_another_name_is_one_row(search: VideoSearch, clips: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other name.mp4"
    other.write_bytes(clips[0].read_bytes())
    assert [r.status for r in search.add_each([clips[0], other, clips[0]])] == ["added", "known", "known"]
    assert len(search.library) == 1


def test_content_that_is_there_already_is_filed_under_the_new_tags_too(search: VideoSearch, clips: list[Path]) -> None:
    (first,) = search.add_each(clips[:1], ["sea"])
    (again,) = search.add_each(clips[:1], ["night", "sea"])
    (record,) = search.library.fetch([first.id])
    assert (again.status, again.id, record.tags) == ("known", first.id, ("sea", "night"))
    for tag in ("sea", "night"):
        assert [video.id for video in search.find(clips[0], SearchRequest(tags=(tag,))).results] == [first.id]


def test_a_bad_file_among_good_ones_is_named_and_the_rest_is_added(
    search: VideoSearch, clips: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.mp4").touch()
    reports = list(search.add_each([clips[0], tmp_path / "empty.mp4", tmp_path / "gone.mp4", clips[1]]))
    assert [report.status for report in reports] == ["added", "failed", "failed", "added"]
    assert "empty.mp4 is empty" in reports[1].error and "gone.mp4 does not exist" in reports[2].error


def test_cancelling_stops_within_a_film_and_keeps_the_films_before_it(search: VideoSearch, clips: list[Path]) -> None:
    token, done = CancelToken(), []
    with pytest.raises(CancelledError):
        for report in search.add_each(clips, progress=cancellable(silent, token)):
            done.append(report.id)
            if len(done) == 3:
                token.cancel()
    assert search.library.ids() == set(done) and len(done) == 3


def test_progress_rises_from_the_first_to_the_last_frame_of_all_files(search: VideoSearch, clips: list[Path]) -> None:
    shares: list[float] = []
    list(search.add_each(clips[:3], progress=lambda done, total, what: shares.append(done / total)))
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares) and len(set(shares)) > 12


def test_another_encoder_sees_none_of_the_vectors(search: VideoSearch, clips: list[Path]) -> None:
    class Renamed:
        """The same network under another version: its vectors must not be compared with the first one's."""

        def __init__(self, encoder: ImageEncoder) -> None:
            self.name, self.version = encoder.name, "another"
            self.dimensions, self.size, self.encode = encoder.dimensions, encoder.size, encoder.encode

    list(search.add_each(clips[:2]))
    other = VideoSearch(search.library.address, Renamed(search.encoder))
    assert other.find(clips[0]).results == () and len(other.library) == 0
    assert len(search.library) == 2 and other.of_other_encoders() == 2 and search.of_other_encoders() == 0


def test_an_animated_picture_is_a_film_like_any_other(search: VideoSearch, clips: list[Path], tmp_path: Path) -> None:
    loop = animated_picture(tmp_path / "loop.webp", seed=2)
    list(search.add_each(clips))
    assert [report.status for report in search.add_each([loop])] == ["added"]
    film = moving_clip(tmp_path / "film.mp4", duration_s=0.8, seed=2)
    assert search.find(film).results[0].title == "loop"


def test_the_shelf_keeps_a_copy_that_outlives_the_original_and_goes_with_the_row(
    encoder: ImageEncoder, tmp_path: Path
) -> None:
    film = moving_clip(tmp_path / "film.avi", codec="mpeg4", duration_s=1)
    search = VideoSearch(tmp_path / "library", encoder, shelf=Shelf(tmp_path / "shelf"))
    (report,) = search.add_each([film])
    film.unlink()
    (found,) = search.library.records()
    kept = Path(found.path)
    assert kept.parent == tmp_path / "shelf" and kept.suffix == ".avi"
    with VideoReader(tmp_path / "shelf" / f"{report.id}.preview.mp4") as preview:
        assert preview.info.codec == "h264" and preview.info.duration_s == pytest.approx(1, abs=0.05)
    search.remove([report.id])
    assert list((tmp_path / "shelf").iterdir()) == [] and len(search.library) == 0


def test_a_missing_library_and_an_unknown_id_are_named(
    tmp_path: Path, encoder: ImageEncoder, filled: VideoSearch
) -> None:
    with pytest.raises(LibraryNotFoundError, match="nowhere"):
        VideoSearch(tmp_path / "nowhere", encoder, create=False)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(RecordNotFoundError, match="0123"):
        filled.recommend("0123")
    with pytest.raises(RecordNotFoundError, match="0123"):
        filled.remove(["0123"])


@pytest.mark.parametrize("share", [n / 11 for n in range(1, 11)])
@pytest.mark.parametrize("kind", ["index last", "index first", "matroska"])
def test_a_film_cut_short_anywhere_is_refused_with_one_sentence(
    search: VideoSearch, tmp_path: Path, kind: str, share: float
) -> None:
    whole = moving_clip(tmp_path / f"whole{'.mkv' if kind == 'matroska' else '.mp4'}", duration_s=6, frame_rate=10)
    if kind == "index first":
        write_video(whole, [numbered_picture(number) for number in range(60)], Fraction(10))
    with pytest.raises(MediaError, match=f"whole-cut-{share:.2f}"):
        search.find(cut_short(whole, share))


def test_a_film_with_garbage_in_the_middle_is_refused_as_damaged(search: VideoSearch, tmp_path: Path) -> None:
    whole = moving_clip(tmp_path / "whole.mp4", duration_s=6, frame_rate=10, seed=1)
    with pytest.raises(MediaDamagedError, match="whole-garbage"):
        search.find(with_garbage(whole))


def test_a_still_picture_and_a_film_of_one_pixel_are_refused(search: VideoSearch, tmp_path: Path) -> None:
    with pytest.raises(ClipTooShortError, match="still picture"):
        search.find(still_picture(tmp_path / "still.png"))
    dot = tmp_path / "dot.gif"
    animated_picture(dot, count=3, size=(1, 1))
    with pytest.raises(MediaLimitError, match="1 × 1"):
        search.find(dot)
