"""Which kinds of file a manifest may name, and why: nothing that runs code when it is opened.

Networks for torch come as safetensors only. A pickle (``.bin``, ``.pt``, ``.ckpt``, …) may run any code on loading, so
it is refused by its name before a byte of it is fetched.
"""

from pathlib import Path, PurePosixPath

from core.errors import WeightsError

SAFETENSORS = ".safetensors"
ALLOWED_SUFFIXES = {
    SAFETENSORS: "tensors behind a JSON header",
    ".json": "settings, vocabularies and label lists; parsed as data",
    ".txt": "vocabularies and merge rules; parsed as data",
    ".model": "a sentencepiece vocabulary, a protocol buffer",
    ".task": "a mediapipe graph, a zip of flat buffers that mediapipe runs by itself",
    ".tflite": "a TensorFlow Lite graph, a flat buffer",
}
CTRANSLATE2_FILE = "model.bin"


def refusal(path: str) -> str | None:
    """Why a file of this name may not stand in a manifest, or None when it may.

    >>> refusal("text/model.safetensors")
    >>> refusal("pytorch_model.bin")
    'it may be a pickle, which runs code when it is opened; convert it to safetensors'
    """
    name = PurePosixPath(path)
    if name.suffix in ALLOWED_SUFFIXES or name.name == CTRANSLATE2_FILE:
        return None
    if name.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npz", ".npy", ".joblib"}:
        return "it may be a pickle, which runs code when it is opened; convert it to safetensors"
    return f"only {', '.join(ALLOWED_SUFFIXES)} and CTranslate2's {CTRANSLATE2_FILE} are read"


def demand_safe_header(path: Path, name: str) -> None:
    """Refuse a ``model.bin`` that is not CTranslate2's; files of other names pass.

    CTranslate2 writes a little-endian version (uint32), the length of a name (uint16, closing zero included) and the
    name of its specification, such as ``WhisperSpec``. A pickle begins with 0x80, a zip of pickles with ``PK``.

    Args:
        path: the file to look into.
        name: the path in the manifest; in the Hub's cache the file itself bears a digest for a name.

    Raises:
        WeightsError: it begins like something else.
    """
    if PurePosixPath(name).name != CTRANSLATE2_FILE:
        return
    with path.open("rb") as stream:
        head = stream.read(64)
    version, length = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:6], "little")
    specification = head[6 : 5 + length]
    if not (1 <= version <= 99 and specification.isalnum() and head[5 + length : 6 + length] == b"\0"):
        raise WeightsError(
            f"{path} is not a CTranslate2 model and may be a pickle, so it is not opened; convert it with CTranslate2."
        )
