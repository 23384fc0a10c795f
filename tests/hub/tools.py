"""The five tools as the hub profile runs them: what each needs of the Hub, and one job of each from file to file.

The networks are tiny, of the real classes, and lie with their pinned manifests on the double of the Hub; what is
embedded is the project's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from core.lip_sync import LipSync
from core.lip_sync.config import SyncConfig
from core.lip_sync.pipeline import SyncRequest
from core.lip_sync.speaking import Voices
from core.lip_sync.voices import VoiceConfig
from core.media import AudioClip, write_audio
from core.music_matching import LayConfig, MatchRequest, MusicMatching
from core.personal_video.hub_config import HubConfig, HubRequest
from core.personal_video.hub_pipeline import HubGenerator, seen
from core.personal_video.hub_redilation import StageDilation
from core.video_quality.config import QualityConfig
from core.video_quality.ensemble import Ensemble
from core.video_quality.hub_library import hub_library
from core.video_quality.pipeline import VideoQuality
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_search import SearchRequest, VideoSearch
from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest
from core.weights.formats import refusal
from core.weights.plan import NEEDED
from tests.encoders import toys
from tests.factories import moving_clip
from tests.lip_sync import hub_toys as voice_toys
from tests.lip_sync.stand_ins import head_film
from tests.music_matching.makers import film, groove_file, spoken
from tests.personal_video import hub_toys as video_toys
from tests.personal_video.conftest import disc, saved
from tests.scenes import scene
from tests.video_quality import hub_toys as quality_toys
from tests.weights.hub_double import HubDouble, sha256

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "tests" / "assets" / "astronaut.jpg"
NOT_PINNED = ("README.txt", "flax_model.safetensors")
"""What the repositories hold beside what their manifests pin, as real ones do."""
Maker = Callable[[Path], Any]


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: as in `core.weights.plan`.
        makers: what writes the files of each network that it needs of the Hub.
        run: does a job with a pipeline of its own: of the films in one folder, which it makes where they are not there
            yet, in an empty one; and answers what came out.
    """

    name: str
    makers: Mapping[str, Maker]
    run: Callable[[Path, Path], list[Any]]

    def publish(self, hub: HubDouble, weights: Path) -> None:
        """Put its networks on the double; into the weights folder their pinned manifests, and what is embedded."""
        for name, make in self.makers.items():
            torch.manual_seed(0)
            repository = f"nobody/{name}"
            folder = hub.root / repository
            make(folder)
            pinned = sorted(path for path in folder.rglob("*") if path.is_file() and not refusal(path.name))
            files = tuple(WeightFile(p.relative_to(folder).as_posix(), sha256(p), p.stat().st_size) for p in pinned)
            for extra in NOT_PINNED:
                (folder / extra).write_bytes(b"nobody needs this")
            revision = hub.commit(repository)
            (weights / name).mkdir(parents=True)
            manifest = Manifest(name, "hub", "CC0-1.0", "random numbers", revision, files, repository=repository)
            write_manifest(manifest, weights / name / "manifest.toml")
        for name in NEEDED["hub"][self.name]:
            if name not in self.makers and (ROOT / "weights" / name).is_dir():
                (weights / name).symlink_to(ROOT / "weights" / name)


def search(films: Path, folder: Path) -> list[Any]:
    """Three films are added, and a worse copy of one is looked for."""
    tool = VideoSearch(folder / "library")
    places = [_once(films / f"{name}.mp4", partial(scene, place=name)) for name in ("harbour", "meadow", "kitchen")]
    assert [report.status for report in tool.add_each(places)] == ["added"] * 3
    copy = _once(films / "copy.mp4", partial(scene, place="meadow", crf=38))
    found = tool.find(copy, SearchRequest(top=3)).results
    assert found[0].title == "meadow"
    return [(video.title, video.similarity) for video in found]


def quality(films: Path, folder: Path) -> list[Any]:
    """A film is scored, and the teachers say what they think of it: all five models that only the Hub has."""
    torch.manual_seed(1)
    models = hub_library()
    config = TeacherConfig(tuple(m.name for m in models), tuple(m.dimensions for m in models))
    tensors = {f"teacher.{name}": value for name, value in Teacher(config).state_dict().items()}
    save_file(tensors, folder / "teacher.safetensors", {"config": config.to_json()})
    clip = _once(films / "clip.mp4", partial(moving_clip, duration_s=1, frame_rate=6))
    score = VideoQuality().score(clip).score
    told = Ensemble(folder / "teacher.safetensors").explain_file(clip, QualityConfig())
    assert 1 <= score <= 5 and set(told.importances) == {model.name for model in models}
    return [score, *told.distribution, *told.importances.values()]


def music(films: Path, folder: Path) -> list[Any]:
    """Two tracks are added, the better one for a film in which somebody speaks is chosen, and laid under it."""
    tool = MusicMatching(folder / "library")
    tempos = {"SlowRiver.wav": 70, "CityRush.wav": 150}
    tracks = [_once(films / name, partial(groove_file, duration_s=8, bpm=bpm)) for name, bpm in tempos.items()]
    assert [report.status for report in tool.add_each(tracks)] == ["added"] * 2
    trip = _once(films / "trip.mp4", partial(film, duration_s=6, cuts_s=(2.0, 4.0), sound=spoken(6, 0.5)))
    matches = tool.match(trip, MatchRequest(text="fast")).results
    laid = tool.lay(trip, tracks[1], folder / "laid.mp4", LayConfig())
    assert len(matches) == 2 and Path(laid.out).is_file()
    return [(match.title, match.score, *match.window_s) for match in matches]


def speaking(films: Path, folder: Path) -> list[Any]:
    """A text is said by the neural voice, and a portrait says it."""
    said = Voices().speak("Hello.", VoiceConfig(variant="speaker-4", rate_wpm=300))
    write_audio(folder / "speech.wav", AudioClip(said.wave[:, None], said.sample_rate))
    head = np.ascontiguousarray(np.asarray(Image.open(PORTRAIT).convert("RGB"))[:240, 104:344])
    portrait = _once(films / "portrait.mp4", partial(head_film, pictures=[head] * 5))
    request = SyncRequest(portrait, folder / "speech.wav")
    made = LipSync(SyncConfig(silence_gate=False)).sync(request, folder / "out.mp4")
    assert made.frames_changed > 0 and said.voice == "vits_vctk speaker-4"
    return [said.wave, made.frame_count, made.frames_changed, made.av_offset_frames]


def video(films: Path, folder: Path) -> list[Any]:
    """A concept is taught by a picture, and seen in a video that is then made larger, in a few steps."""
    generator = HubGenerator(folder / "library", few_steps=True)
    generator.database.add("biscuit", seen(saved(folder, "disc.png", disc((200, 30, 30)))))
    stages = (StageDilation("mid_block", 2, 0.3),)
    config = HubConfig(width=64, height=64, frames=2, steps=2, stages=stages)
    request = HubRequest("a biscuit runs", seed=3)
    first = generator.generate(request, config)
    large = generator.enlarge(first.frames, request, config)
    assert first.mode == "a" and large.frames.shape == (2, 128, 128, 3)
    return [first.frames, large.frames]


def _once(path: Path, make: Maker) -> Path:
    """A film that is made when it is first needed: made anew it might be another by a few bits."""
    if not path.exists():
        make(path)
    return path


def _chosen(makers: Mapping[str, Maker], *names: str) -> dict[str, Maker]:
    return {name: _in_a_new_folder(makers[name]) for name in names}


def _in_a_new_folder(make: Maker) -> Maker:
    def made(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)

    return made


TOOLS = (
    Tool("video_search", _chosen(toys.MAKERS, "siglip"), search),
    Tool("video_quality", _chosen(quality_toys.MAKERS, *quality_toys.MAKERS), quality),
    Tool("music_matching", _chosen(toys.MAKERS, "whisper_large"), music),
    Tool("lip_sync", {"vits_vctk": voice_toys.write_voice}, speaking),
    Tool("personal_video", _chosen(video_toys.MAKERS, *video_toys.MAKERS), video),
)
