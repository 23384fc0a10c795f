"""A double of the Hub on loopback, which serves the real client from a folder of repositories.

    with HubDouble(root) as hub:                        # root/<owner>/<name>/<files>
        hub.faults["owner/name/model.safetensors"] = Fault(cut_after=1000)
        point_client_at(monkeypatch, hub.url, cache)
        ...
        hub.requests                                    # what was asked, in order

As on the Hub, small text files come from the address itself, with the git blob's name as their tag, and large ones
by a redirect to a second server (another port, thus another origin), with their sha256 as their tag.
"""

import hashlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit

import pytest
from huggingface_hub import constants

LOOPBACK = "127.0.0.1"
LARGE_SUFFIXES = {".safetensors", ".bin", ".task", ".tflite"}
TOKEN = "hf_of_somebody_who_accepted_the_licence"
PIECE = 1 << 16


@dataclass
class Fault:
    """What goes wrong with the bodies of one file, for the next ``times`` requests (None: always)."""

    cut_after: int | None = None
    """Close the connection after that many bytes."""
    reset: bool = False
    """Close it by a reset rather than by an orderly end."""
    wrong_bytes: bool = False
    """Send as many bytes as promised, the first of them altered."""
    times: int | None = 1


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    server: str
    method: str
    path: str
    range: str | None
    authorised: bool


class HubDouble:
    """Serve ``root/<owner>/<name>/…`` as repositories, each with one branch, ``main``, of one commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[Request] = []
        self.bytes_sent: dict[str, list[int]] = {}
        self.faults: dict[str, Fault] = {}
        self.gated: set[str] = set()
        self.out_of_order = False
        """Answer everything with status 503."""
        self._servers: list[ThreadingHTTPServer] = []

    def __enter__(self) -> Self:
        for answer in (self._answer_as_hub, self._answer_as_storage):
            server = ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, answer))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        """The endpoint for ``HF_ENDPOINT``."""
        return f"http://{LOOPBACK}:{self._servers[0].server_port}"

    @property
    def storage_url(self) -> str:
        """Where large files come from."""
        return f"http://{LOOPBACK}:{self._servers[1].server_port}"

    def commit(self, repository: str) -> str:
        """The 40 hex digits of the repository's only commit: they change with its content."""
        lines = [f"{path} {sha256(self.root / repository / path)}" for path in self._paths(repository)]
        return hashlib.sha1("\n".join(lines).encode()).hexdigest()

    def bodies(self, path: str) -> list[Request]:
        """The requests for the content of ``owner/name/file``, in order."""
        return [request for request in self.requests if request.method == "GET" and request.path.endswith(path)]

    def _paths(self, repository: str) -> list[str]:
        folder = self.root / repository
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def _answer_as_hub(self, request: "_Handler") -> None:
        self._log("hub", request)
        parts = [unquote(part) for part in urlsplit(request.path).path.strip("/").split("/")]
        if self.out_of_order:
            request.refuse(503, None)
        elif parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._list(request, "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve(request, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            request.refuse(404, None)

    def _refused(self, request: "_Handler", repository: str, revision: str) -> bool:
        token = request.headers.get("authorization")
        if not (self.root / repository).is_dir():
            request.refuse(401 if token is None else 404, "RepoNotFound")
        elif repository in self.gated and token != f"Bearer {TOKEN}":
            request.refuse(401 if token is None else 403, "GatedRepo")
        elif revision not in ("main", self.commit(repository)):
            request.refuse(404, "RevisionNotFound")
        else:
            return False
        return True

    def _list(self, request: "_Handler", repository: str, revision: str) -> None:
        if self._refused(request, repository, revision):
            return
        files = [(path, self.root / repository / path) for path in self._paths(repository)]
        siblings = [
            {"rfilename": path, "size": file.stat().st_size, "blobId": git_blob(file)}
            | (
                {"lfs": {"sha256": sha256(file), "size": file.stat().st_size, "pointerSize": 134}}
                if large(file)
                else {}
            )
            for path, file in files
        ]
        request.reply_json(200, {"id": repository, "sha": self.commit(repository), "siblings": siblings})

    def _resolve(self, request: "_Handler", repository: str, revision: str, path: str) -> None:
        if self._refused(request, repository, revision):
            return
        file = self.root / repository / path
        headers = {"X-Repo-Commit": self.commit(repository)}
        if not file.is_file():
            request.refuse(404, "EntryNotFound", headers)
        elif large(file):
            headers["X-Linked-Etag"], headers["X-Linked-Size"] = f'"{sha256(file)}"', str(file.stat().st_size)
            headers["Location"] = f"{self.storage_url}/{quote(repository)}/{quote(path)}"
            request.reply(302, headers | {"Content-Length": "0"})
        else:
            self._send(request, file, headers | {"ETag": f'"{git_blob(file)}"'})

    def _answer_as_storage(self, request: "_Handler") -> None:
        self._log("storage", request)
        file = self.root / unquote(urlsplit(request.path).path).strip("/")
        self._send(request, file, {"ETag": f'"{sha256(file)}"'})

    def _send(self, request: "_Handler", file: Path, headers: dict[str, str]) -> None:
        name = file.relative_to(self.root).as_posix()
        size = file.stat().st_size
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers |= {"Content-Length": str(size - start), "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if start >= size > 0:
            request.refuse(416, None)
            return
        request.reply(206 if start else 200, headers)
        if request.command == "GET":
            content = file.read_bytes()[start:]
            self.bytes_sent.setdefault(name, []).append(request.send_body(content, self._fault(name)))

    def _fault(self, name: str) -> Fault:
        fault = self.faults.get(name, Fault())
        if fault.times == 0:
            return Fault()
        if fault.times is not None:
            fault.times -= 1
        return fault

    def _log(self, server: str, request: "_Handler") -> None:
        path, headers = urlsplit(request.path).path, request.headers
        line = Request(server, request.command, path, headers.get("range"), "authorization" in headers)
        self.requests.append(line)


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 in the words that `HubDouble` needs."""

    protocol_version = "HTTP/1.1"

    def __init__(self, answer: Callable[["_Handler"], None], *arguments: object) -> None:
        self._answer = answer
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(self)

    def do_HEAD(self) -> None:
        self._answer(self)

    def do_POST(self) -> None:
        self._answer(self)

    def do_PUT(self) -> None:
        self._answer(self)

    def body(self) -> bytes:
        """What was sent with the request, in one piece or in chunks."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def reply_json(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.reply(status, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        self.wfile.write(content)

    def reply(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def refuse(self, status: int, code: str | None, headers: dict[str, str] | None = None) -> None:
        named = {"X-Error-Code": code, "X-Error-Message": f"{code} says the double"} if code else {}
        self.reply(status, {**(headers or {}), **named, "Content-Length": "0"})

    def send_body(self, content: bytes, fault: Fault) -> int:
        """Send the content, or what the fault leaves of it; return the number of bytes sent."""
        if fault.wrong_bytes:
            content = bytes([content[0] ^ 0xFF]) + content[1:]
        if fault.cut_after is not None and fault.cut_after < len(content):
            content = content[: fault.cut_after]
            self.close_connection = True
        try:
            self.wfile.write(content)
        except ConnectionError:
            return 0
        if self.close_connection and fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        return len(content)

    def log_message(self, *_: object) -> None:
        """Nothing is printed; `HubDouble.requests` is the log."""


def point_client_at(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path) -> None:
    """Let this process know no other Hub than ``url``, no other cache, and no token."""
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no_token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def large(file: Path) -> bool:
    """Is it stored as a large file, served by redirect?"""
    return file.suffix in LARGE_SUFFIXES


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def git_blob(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
