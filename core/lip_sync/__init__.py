"""Lip-sync: a face and speech in, the mouth that says it out (METHODS 4).

Before the network: the blurred mouth and its gradient map (`mouth_region`), faces and their points (`faces`), faces
followed through a film (`tracks`, `following`), crops (`crops`), and the cepstrum of speech (`sound`, `speech`). The
network: `model` and `generator`, run by `mouths`. After it: `finish` and `lengths`. A job: `request`, `job`, `known`,
`covering`, `new_mouths`, `new_film`, `soundtrack`, and between them `remembering`. Training: `animator`, `cartoons`,
`articulation`, `alignment`, `voices`, `making`, `data`, `losses`, `train`. All of it together: `pipeline`.
"""

from core.lip_sync.config import SyncConfig
from core.lip_sync.pipeline import LipSync
from core.lip_sync.request import SyncRequest
from core.lip_sync.results import LipSyncResult

__all__ = ["LipSync", "LipSyncResult", "SyncConfig", "SyncRequest"]
