"""A double of the Hub that takes uploads to Spaces, as `HubDouble` serves downloads.

Its Spaces lie in ``root/spaces/<owner>/<name>/``. As on the Hub, writing needs a token; files above a bound are refused
in a commit itself and go to the storage server first, by sha256, where a commit only names them; a file that is there
already with the same bytes is told by its blob's name; a README with a bad front matter is refused.
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from huggingface_hub import RepoCard

from tests.weights.hub_double import TOKEN, HubDouble, git_blob, sha256

LARGE_BYTES = 10_000_000
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
Answer = dict[str, Any]


class SpaceDouble(HubDouble):
    """Spaces under ``root/spaces``, and what was asked for each."""

    def __init__(self, root: Path, large_bytes: int = LARGE_BYTES) -> None:
        super().__init__(root)
        self.large_bytes = large_bytes
        self.created: dict[str, Answer] = {}
        self.variables: dict[str, dict[str, str]] = {}
        self.summaries: list[str] = []
        self.stored: list[str] = []
        """Digests that were sent to the storage server, in order."""
        self.forbidden: set[str] = set()
        """Spaces that the token may not write to."""
        self.storage_fails = False

    def space(self, name: str) -> Path:
        return self.root / "spaces" / name

    def files(self, name: str) -> dict[str, bytes]:
        """What a Space holds now."""
        folder = self.space(name)
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def _answer_as_hub(self, request: Any) -> None:
        parts = [unquote(part) for part in urlsplit(request.path).path.strip("/").split("/")]
        if request.command == "GET" and parts[:2] != ["api", "spaces"]:
            super()._answer_as_hub(request)
            return
        self._log("hub", request)
        body = request.body()
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            request.refuse(401, None)
        elif parts == ["api", "repos", "create"]:
            self._create(request, json.loads(body))
        elif parts == ["api", "validate-yaml"]:
            self._validate(request, json.loads(body)["content"])
        elif parts[:2] == ["api", "spaces"] and self.space("/".join(parts[2:4])).is_dir():
            self._answer_for_space(request, "/".join(parts[2:4]), parts[4:], body)
        elif parts[0] == "spaces" and parts[3:] == ["info", "lfs", "objects", "batch"]:
            self._batch(request, json.loads(body))
        else:
            request.refuse(404, "RepoNotFound")

    def _answer_for_space(self, request: Any, name: str, what: list[str], body: bytes) -> None:
        if name in self.forbidden and request.command == "POST":
            request.refuse(403, None)
        elif what[:1] == ["tree"]:
            folder = self.space(name)
            rows = [
                {"type": "file", "path": path, "size": len(data), "oid": git_blob(folder / path)}
                for path, data in sorted(self.files(name).items())
            ]
            request.reply_json(200, rows)
        elif what == ["variables"]:
            told = json.loads(body)
            self.variables.setdefault(name, {})[told["key"]] = told["value"]
            request.reply_json(200, {key: {"value": value} for key, value in self.variables[name].items()})
        elif what[:1] == ["preupload"]:
            request.reply_json(200, {"files": [self._mode(name, file) for file in json.loads(body)["files"]]})
        elif what[:1] == ["commit"]:
            self._commit(request, name, [json.loads(line) for line in body.splitlines()])
        else:
            request.refuse(404, None)

    def _create(self, request: Any, told: Answer) -> None:
        name = f"{told['organization']}/{told['name']}"
        url = f"{self.url}/spaces/{name}"
        if name in self.forbidden:
            request.refuse(403, None)
        elif self.space(name).is_dir():
            request.reply_json(409, {"error": "You already created this space repo", "url": url})
        else:
            self.created[name] = told
            self.space(name).mkdir(parents=True)
            (self.space(name) / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
            (self.space(name) / "README.md").write_text("---\nsdk: gradio\n---\n")
            request.reply_json(200, {"url": url})

    def _validate(self, request: Any, content: str) -> None:
        front = RepoCard(content, ignore_metadata_errors=True).data.to_dict()
        errors = []
        if len(front.get("short_description", "")) > 60:
            errors.append({"message": '"short_description" length must be less than or equal to 60 characters long'})
        if {front.get("colorFrom", "red"), front.get("colorTo", "red")} - COLOURS:
            errors.append(
                {"message": '"colorFrom" must be one of [red, yellow, green, blue, indigo, purple, pink, gray]'}
            )
        request.reply_json(400 if errors else 200, {"errors": errors, "warnings": []})

    def _mode(self, name: str, file: Answer) -> Answer:
        there = self.space(name) / file["path"]
        mode = "lfs" if file["size"] > self.large_bytes else "regular"
        oid = (sha256(there) if mode == "lfs" else git_blob(there)) if there.is_file() else None
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _batch(self, request: Any, told: Answer) -> None:
        objects = [
            {"oid": one["oid"], "size": one["size"]}
            | (
                {}
                if self._object(one["oid"]).is_file()
                else {"actions": {"upload": {"href": f"{self.storage_url}/objects/{one['oid']}"}}}
            )
            for one in told["objects"]
        ]
        request.reply_json(200, {"transfer": "basic", "objects": objects})

    def _object(self, digest: str) -> Path:
        return self.root / "objects" / digest

    def _answer_as_storage(self, request: Any) -> None:
        if request.command != "PUT":
            super()._answer_as_storage(request)
            return
        self._log("storage", request)
        digest, content = request.path.rpartition("/")[2], request.body()
        self._object(digest).parent.mkdir(parents=True, exist_ok=True)
        self._object(digest).write_bytes(content)
        if self.storage_fails or sha256(self._object(digest)) != digest:
            self._object(digest).unlink()
            request.refuse(400, None)
            return
        self.stored.append(digest)
        request.reply(200, {"Content-Length": "0"})

    def _commit(self, request: Any, name: str, lines: list[Answer]) -> None:
        folder, changes = self.space(name), [(line["key"], line["value"]) for line in lines[1:]]
        for kind, value in changes:
            if kind == "file" and len(base64.b64decode(value["content"])) > self.large_bytes:
                request.reply_json(413, {"error": f"{value['path']} is too large for a commit"})
                return
            if kind == "lfsFile" and not self._object(value["oid"]).is_file():
                request.reply_json(400, {"error": f"{value['path']} was never stored"})
                return
        for kind, value in changes:
            path = folder / value["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "deletedFile":
                path.unlink()
            else:
                large = kind == "lfsFile"
                path.write_bytes(
                    self._object(value["oid"]).read_bytes() if large else base64.b64decode(value["content"])
                )
        self.summaries.append(lines[0]["value"]["summary"])
        commit = self.commit(f"spaces/{name}")
        request.reply_json(200, {"commitUrl": f"{self.url}/spaces/{name}/commit/{commit}", "commitOid": commit})
