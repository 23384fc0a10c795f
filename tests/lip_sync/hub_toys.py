"""A tiny neural voice of the real transformers class, with random weights, served by the double of the Hub.

Its letters and speakers are those of the real one, and its weights are named as a file of 2023 names them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.lip_sync.neural_voice import SPEAKERS, WEIGHTS
from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest
from tests.weights.hub_double import HubDouble, point_client_at, sha256

REPOSITORY = "nobody/voice"
FILES = ("config.json", "model.safetensors", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")
_MARKS = '_;:,.!?¡¿—…"«»“” '
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PHONETIC = (
    "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘\u0329ᵻ"
)
_EMBEDDED = Path(__file__).resolve().parents[2] / "weights"


@contextmanager
def served(root: Path, speakers: int = len(SPEAKERS)) -> Iterator[HubDouble]:
    """The process runs the hub profile; its only Hub serves the tiny voice, and faces are found as ever."""
    with HubDouble(root / "hub") as double, pytest.MonkeyPatch.context() as patch:
        write_voice(double.root / REPOSITORY, speakers)
        files = [double.root / REPOSITORY / name for name in FILES]
        promised = tuple(WeightFile(file.name, sha256(file), file.stat().st_size) for file in files)
        manifest = Manifest(
            WEIGHTS, "hub", "CC0-1.0", "random numbers", double.commit(REPOSITORY), promised, repository=REPOSITORY
        )
        (root / "weights" / WEIGHTS).mkdir(parents=True)
        (root / "weights" / "mediapipe_faces").symlink_to(_EMBEDDED / "mediapipe_faces")
        write_manifest(manifest, root / "weights" / WEIGHTS / "manifest.toml")
        point_client_at(patch, double.url, root / "cache")
        patch.setenv("SHOWREEL_WEIGHTS", str(root / "weights"))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        yield double


def write_voice(folder: Path, speakers: int = len(SPEAKERS)) -> None:
    """Write the files of the repository into a folder that is not there yet."""
    from transformers import VitsConfig, VitsModel

    folder.mkdir(parents=True)
    letters = dict.fromkeys(_MARKS + _LATIN + _PHONETIC)
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    told = {"add_blank": True, "is_uroman": False, "language": None, "normalize": True, "phonemize": True}
    marks = {"pad_token": "_", "unk_token": "<unk>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    (folder / "tokenizer_config.json").write_text(json.dumps(told | marks | {"tokenizer_class": "VitsTokenizer"}))
    config = VitsConfig(
        vocab_size=len(vocabulary) + 1,
        hidden_size=16,
        num_hidden_layers=1,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=9,
        num_speakers=speakers,
        speaker_embedding_size=4,
        upsample_initial_channel=32,
        resblock_kernel_sizes=(3,),
        resblock_dilation_sizes=((1,),),
        duration_predictor_filter_channels=16,
        duration_predictor_num_flows=2,
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        sampling_rate=22050,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        VitsModel(config).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in older.items():
        tensors = {name.replace(new, old): value for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
