"""The server of GPUs of a ZeroGPU Space, in this process, under the real wrapper of the ``spaces`` package.

The wrapper's own code runs: it asks for a GPU with a duration, forks a process, sends the arguments there pickled and
the answers back, and takes errors and progress over. What is stood in for is the server (what it was asked is noted),
and what needs CUDA: moving tensors to the GPU.
"""

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest


@dataclass
class Lender:
    """What was asked of the server.

    Attributes:
        seconds: of each request for a GPU.
        released: how often one was given back, and whether by a failure.
    """

    seconds: list[float] = field(default_factory=list)
    released: list[bool] = field(default_factory=list)


def lend_gpus(monkeypatch: pytest.MonkeyPatch) -> Lender:
    """Let this process believe that it runs on a ZeroGPU Space."""
    import spaces
    from spaces.config import Config

    cuda = ModuleType("spaces.zero.torch")
    for name, answer in (("unpatch", None), ("init", None), ("size", 0), ("move", None), ("enter_mode", None)):
        vars(cuda)[name] = lambda *_, answer=answer, **__: answer
    monkeypatch.setitem(sys.modules, "spaces.zero.torch", cuda)
    monkeypatch.setattr(spaces.zero, "torch", cuda, raising=False)
    from spaces.zero import api, client, wrappers

    lender = Lender()

    def schedule(task_id: int, request: Any, duration: timedelta, gpu_size: object) -> api.ScheduleResponse:
        lender.seconds.append(duration.total_seconds())
        return api.ScheduleResponse(idle=False, nvidiaIndex=0, nvidiaUUID="GPU-0", allowToken="allowed")

    def release(token: str, fail: bool = False, **_: object) -> None:
        lender.released.append(fail)

    for name, stand_in in (
        ("schedule", schedule),
        ("release", release),
        ("allow", lambda token: None),
        ("get_duration_seconds", lambda duration, size: 3600),
        ("duration_warning", lambda: None),
    ):
        monkeypatch.setattr(client, name, stand_in)
    monkeypatch.setattr(wrappers, "tqdm", None)
    monkeypatch.setattr(Config, "zero_gpu", True)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return lender
