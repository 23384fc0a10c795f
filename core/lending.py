"""Whether this process runs where GPUs are lent for the length of one job: a ZeroGPU Space.

There jobs run in forks of the server. It stands alone because the store asks it too, which loads no torch.
"""

import os

ZERO_GPU_VARIABLE = "SPACES_ZERO_GPU"
"""Set on Spaces that have no GPU of their own and are lent one for each job."""


def zero_gpu() -> bool:
    """True on a Space that is lent a GPU for each job."""
    return os.environ.get(ZERO_GPU_VARIABLE, "").lower() in ("1", "t", "true")
