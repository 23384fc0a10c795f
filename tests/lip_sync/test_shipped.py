"""The weights that come with the project do their job on a face and a voice that no training saw."""

import numpy as np
import pytest
import torch

from core.lip_sync.animator import FaceAnimator
from core.lip_sync.assessment import groups_of, made_clip, reading_of
from core.lip_sync.cartoons import cartoon
from core.lip_sync.data import Clip, openings
from core.lip_sync.inner_mouth import MouthLook
from core.lip_sync.making import MakeConfig, Speech
from core.lip_sync.making import made_clip as animated
from core.lip_sync.material import synthetic
from core.lip_sync.model import as_tensor
from core.lip_sync.mouths import MouthNetwork
from core.lip_sync.network import load_network
from core.lip_sync.voices import VoiceConfig

UNSEEN_FACE, UNSEEN_VOICE = 5003, VoiceConfig("en-us", "f2")
SHOWN = "A bird may keep warm when the big maple moves above the pond, but by the evening more of them go home."
ASKED = "People pay a lot of money for a map of the moon, and my brother bought both of them in a shop by the bay."


@pytest.fixture(scope="module")
def network() -> MouthNetwork:
    return load_network()


@pytest.fixture(scope="module")
def clip() -> Clip:
    picture, mesh = cartoon(UNSEEN_FACE)
    speeches: tuple[Speech, Speech] = (synthetic(SHOWN, UNSEEN_VOICE), synthetic(ASKED, UNSEEN_VOICE))
    return animated(FaceAnimator(picture, mesh, MouthLook()), speeches, MakeConfig(frames=80), 0)


@pytest.mark.parametrize("late", [-7, 0, 5])
def test_the_offset_of_sound_against_sight_is_read(network: MouthNetwork, clip: Clip, late: int) -> None:
    windows = np.roll(clip.shown_windows, late, axis=0)[10:-10]

    assert abs(reading_of(network.features, clip.shown[10:-10], windows).av_offset_frames - late) <= 1


def test_the_mouth_says_what_is_asked_for_and_not_what_was_shown(network: MouthNetwork, clip: Clip) -> None:
    made = made_clip(network, clip)

    asked, shown = (
        reading_of(network.features, made, windows) for windows in (clip.target_windows, clip.shown_windows)
    )
    assert abs(asked.av_offset_frames) <= 1 and asked.confidence > 2 * shown.confidence


@torch.no_grad()
def test_the_mouth_is_open_when_the_asked_for_one_is(network: MouthNetwork, clip: Clip) -> None:
    """As sight tells the opening in what was made; the truth is that of the mouth model."""
    groups = groups_of(as_tensor(made_clip(network, clip)))
    told = network.features.told_opening(network.features.see(groups).vector).numpy()

    assert np.corrcoef(told, clip.opening)[0, 1] > 0.6
    assert abs(np.corrcoef(told, openings(clip.landmarks))[0, 1]) < 0.4
