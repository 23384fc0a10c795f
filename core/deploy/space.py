"""The upload: one commit on a Space that makes it hold exactly the files that were listed."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from core.deploy.files import Item
from core.errors import ParameterError, PublishError
from core.weights import hub

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OWN = {".gitattributes"}
"""Files of the Space itself, which stay."""
FRESH = OWN | {"README.md"}
"""What a new Space holds."""
MARK = "core/deploy/space.py"
"""A Space that has this file is one of ours."""
REVISION_VARIABLE = "SHOWREEL_REVISION"


@dataclass(frozen=True)
class SpaceConfig:
    """Where the files go.

    Raises:
        ParameterError: the repository is not written as owner/name.
    """

    repository: str
    public: bool = field(default=False, metadata={"help": "let everybody see a Space that is made; private otherwise"})
    hardware: str = field(
        default="", metadata={"help": "cpu-basic, zero-a10g or another name of the Hub's; as it is when empty"}
    )

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository):
            raise ParameterError(f"The Space {self.repository!r} is not written as owner/name; write it so.")


@dataclass(frozen=True)
class Published:
    """What was done.

    Attributes:
        url: of the Space.
        commit: its new commit.
        removed: files of an earlier upload that are no longer there.
    """

    url: str
    commit: str
    removed: tuple[str, ...]


def publish(root: Path, items: Sequence[Item], config: SpaceConfig, revision: str) -> Published:
    """Make the Space where there is none, and commit the files; what an earlier upload left over is removed.

    Who may write is the client's affair: ``HF_TOKEN``, or the login of ``hf auth login``.

    Raises:
        PublishError: the Hub does not answer or does not take the files, or the Space holds something else.
    """
    api, name = hub.client(), config.repository
    with _explained(name):
        url = api.create_repo(
            name,
            repo_type="space",
            space_sdk="gradio",
            private=not config.public,
            exist_ok=True,
            space_hardware=config.hardware or None,  # type: ignore[arg-type]  # a name the client does not list yet passes
        )
        left = _left_over(api, name, items)
        api.add_space_variable(name, REVISION_VARIABLE, revision)
        made = api.create_commit(
            name,
            [
                *(CommitOperationAdd(item.path, root / item.path) for item in items),
                *(CommitOperationDelete(path) for path in left),
            ],
            commit_message=f"Showreel at {revision[:12]}",
            repo_type="space",
        )
    return Published(str(url), made.oid, tuple(left))


def _left_over(api: HfApi, name: str, items: Sequence[Item]) -> list[str]:
    """Files of an earlier upload that do not go up any more."""
    there = set(api.list_repo_files(name, repo_type="space"))
    if there - FRESH and MARK not in there:
        raise PublishError(f"The Space {name} holds something else, which would be lost; name another one.")
    return sorted(there - {item.path for item in items} - OWN)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn the client's errors into ours: a refused front matter is a ValueError, a broken transfer a RuntimeError."""
    try:
        yield
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise PublishError(
                f"The Hub does not let you write to the Space {name}: log in with `hf auth login` and a token that may."
            ) from error
        raise PublishError(f"The Hub refused the Space {name}: {_first_line(error)}.") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise PublishError(
            f"The upload to the Space {name} failed: {_first_line(error)}. What is there is as it was; try again."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
