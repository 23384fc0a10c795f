"""Weights by name: a manifest says what they are, and `weights_path` gives the verified file.

    >>> from core.weights import load_tensors, read_trained, weights_path
    >>> tensors = load_tensors("efficientnet_lite0", "model.safetensors", torch.float32)    # doctest: +SKIP
    >>> model = AutoModel.from_pretrained(weights_path("minilm"), local_files_only=True)    # doctest: +SKIP

They lie in ``weights/<name>/`` (the embedded profile, which asks nobody) or come from the Hub (the hub profile).
"""

from core.weights.catalogue import all_manifests, find_manifest, weights_folder
from core.weights.manifest import Manifest, WeightFile
from core.weights.resolve import load_tensors, weights_path
from core.weights.trained import fingerprint, load_trained, read_trained

__all__ = [
    "Manifest",
    "WeightFile",
    "all_manifests",
    "find_manifest",
    "fingerprint",
    "load_tensors",
    "load_trained",
    "read_trained",
    "weights_folder",
    "weights_path",
]
