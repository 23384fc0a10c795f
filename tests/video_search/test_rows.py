"""What is kept of a film: segments that cover it, and rows from which everything is read back."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from core.encoders.sequence import NetworkConfig, SequenceEncoder
from core.store import Record
from core.video_search.alignment import STEP_S, offset_s
from core.video_search.descriptor import Model, Thresholds, TrainedDescriptor, Vectors, write_model
from core.video_search.rows import (
    SEGMENT_FRAMES,
    TRACK_BITS,
    VideoDescription,
    described,
    read_starts,
    read_track,
    segment_ids,
    segment_records,
    segment_starts,
    signs,
    track_attributes,
    track_bits,
    versions,
    video_of,
)

FILM_S = 45.0


@pytest.fixture(scope="module")
def descriptor(tmp_path_factory: pytest.TempPathFactory) -> TrainedDescriptor:
    """A small network with random weights, from its file."""
    torch.manual_seed(0)
    network = SequenceEncoder(NetworkConfig(features=60, width=TRACK_BITS, terms=3, dimensions=64))
    mean, path = np.full(64, 0.01, np.float32), tmp_path_factory.mktemp("model") / "model.safetensors"
    write_model(Model(network, "v1", "none 1", mean, np.zeros((0, 64), np.float32), Thresholds(0.5, 0.1)), path, {})
    return TrainedDescriptor(path)


@pytest.fixture(scope="module")
def features() -> Vectors:
    """Features of a film of 50 frames, no two of them alike."""
    return np.random.default_rng(0).normal(size=(50, 60)).astype(np.float32)


@pytest.fixture(scope="module")
def description(descriptor: TrainedDescriptor, features: Vectors) -> VideoDescription:
    return described(Path("film.mp4"), FILM_S, features, descriptor)


@pytest.fixture(scope="module")
def video(description: VideoDescription) -> Record:
    attributes = {**track_attributes(description), "licence": "CC0-1.0"}
    return Record("f00d", "film.mp4", "film", FILM_S, ("sea",), vector=description.descriptor, attributes=attributes)


@pytest.mark.parametrize("frames", [1, 8, 31, 32, 33, 40, 41, 64, 100, 1000, 1001])
def test_segments_cover_every_frame_and_overlap(frames: int) -> None:
    starts = segment_starts(frames)
    ends = [min(start + SEGMENT_FRAMES, frames) for start in starts]
    assert starts[0] == 0 and ends[-1] == frames
    for (before, after), end in zip(pairwise(starts), ends, strict=False):
        assert before < after <= before + SEGMENT_FRAMES // 4 and after < end
    assert {end - start for start, end in zip(starts, ends, strict=True)} == {min(frames, SEGMENT_FRAMES)}


def test_a_film_is_described_segment_by_segment(
    descriptor: TrainedDescriptor, features: Vectors, description: VideoDescription
) -> None:
    assert description.starts_s == pytest.approx((0, 7.2, 14.4, 16.2))
    np.testing.assert_array_equal(description.descriptors[1], descriptor.describe(features[8:40]))
    np.testing.assert_array_equal(description.descriptors[3], descriptor.describe(features[18:]))
    np.testing.assert_allclose(np.linalg.norm(description.descriptors, axis=1), 1, atol=1e-5)
    mean = description.descriptors.mean(0)
    np.testing.assert_allclose(description.descriptor, mean / np.linalg.norm(mean), atol=1e-6)


def test_a_film_of_one_segment_has_the_vector_of_that_segment(descriptor: TrainedDescriptor, features: Vectors) -> None:
    short = described(Path("short.mp4"), 2.0, features[:8], descriptor)
    assert list(short.starts_s) == [0] and short.track.step_s == 0.25
    np.testing.assert_allclose(short.descriptor, descriptor.describe(features[:8]), atol=1e-6)


def test_a_film_without_length_is_described_too(descriptor: TrainedDescriptor, features: Vectors) -> None:
    moment = described(Path("moment.gif"), 0.0, features[:1], descriptor)
    assert moment.track.step_s > 0 and list(moment.starts_s) == [0] and len(moment.descriptors) == 1


def test_frames_and_segments_are_read_back_as_they_were_written(description: VideoDescription, video: Record) -> None:
    track = read_track(video)
    np.testing.assert_array_equal(track.vectors, description.track.vectors)
    assert track.step_s == description.track.step_s == 0.9
    assert tuple(read_starts(video)) == description.starts_s
    assert sum(map(len, track_attributes(description).values())) < 50 * TRACK_BITS / 8 * 1.25 + 100


def test_what_is_kept_of_the_frames_is_enough_to_find_an_excerpt(
    descriptor: TrainedDescriptor, features: Vectors, video: Record
) -> None:
    excerpt = described(Path("excerpt.mp4"), 18.0, features[13:33], descriptor)
    assert offset_s(excerpt.track, read_track(video)) == pytest.approx(13 * 0.9, abs=STEP_S)


def test_codes_of_frames_keep_the_angles_between_them(descriptor: TrainedDescriptor, features: Vectors) -> None:
    """As for every rounding to signs: the share of differing bits is the angle over π, to a few hundredths."""
    near = features[0] + np.linspace(0, 2, 30)[:, None] * (features[1:31] - features.mean(0))
    frames = descriptor.describe_frames(near.astype(np.float32))
    codes = track_bits(frames)
    assert codes.shape == (30, TRACK_BITS // 8)
    kept = signs(codes)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-6)
    angles = np.arccos(np.clip(frames @ frames.T, -1, 1))
    shares = (1 - kept @ kept.T) / 2
    assert np.abs(shares - angles / np.pi).max() < 0.12 and np.abs(shares - angles / np.pi).mean() < 0.025


def test_the_rows_of_segments_carry_vector_code_and_the_tags_of_their_video(
    descriptor: TrainedDescriptor, description: VideoDescription, video: Record
) -> None:
    rows = segment_records(video, description, descriptor.codes)
    assert [row.id for row in rows] == ["f00d:0", "f00d:1", "f00d:2", "f00d:3"]
    assert {(row.path, row.title, row.duration_s, row.tags) for row in rows} == {("film.mp4", "film", FILM_S, ("sea",))}
    for row, vector in zip(rows, description.descriptors, strict=True):
        np.testing.assert_array_equal(row.vector, vector)
        np.testing.assert_array_equal(row.code, descriptor.codes.encode(vector[None])[0])


def test_the_id_of_a_segment_tells_its_video_and_its_number() -> None:
    for video_id in ("f00d", "with:colons:1"):
        assert [video_of(id) for id in segment_ids(video_id, 12)] == [(video_id, number) for number in range(12)]


def test_only_segments_are_kept_with_codes_and_both_under_the_models_version(descriptor: TrainedDescriptor) -> None:
    videos, segments = versions(descriptor)
    assert str(videos) == str(segments) == "video_search v1"
    assert (videos.code_bits, segments.code_bits) == (0, 64)
    assert replace(segments, code_bits=0) == videos
