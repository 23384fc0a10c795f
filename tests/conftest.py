"""What holds for all tests: no network, threads that share two cores politely, and the same examples in every run.

``HYPOTHESIS_PROFILE=default`` looks for new examples.
"""

import os

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
