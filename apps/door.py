"""The door at which everything is admitted or refused that is asked of gradio's events."""

import json
import re
from typing import Any

import anyio
import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.desk import REFUSED, Desk

_ASKED = re.compile(r"/gradio_api/(queue/join|run/[^/]+|api/[^/]+|call/(?:v2/)?([^/]+))/?$")
_CANCELLED = re.compile(r"/gradio_api/cancel/?$")


def refuse(sentence: str) -> None:
    """Tell whoever asked why not."""
    raise gr.Error(sentence, title="Not now", duration=None, print_exception=False)


class Door:
    """Looks at every request for an event before gradio does; a refused one becomes an event that says why.

    So a browser, the Python client, a program over HTTP and an MCP client all read the sentence where they read any
    other error.

    Args:
        app: what the request goes on to.
        desk: which admits.
    """

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, whole, changed, or not at all."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        asked, cancelled = _ASKED.search(scope["path"]), _CANCELLED.search(scope["path"])
        if not asked and not cancelled:
            return await self._app(scope, receive, send)
        body = await _read(receive)
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            return await self._app(scope, _replay(body, receive), send)
        if cancelled:
            self._desk.stop(str(told.get("event_id")))
            return await self._app(scope, _replay(body, receive), send)
        return await self._ask((scope, receive, send), told, asked[2] if asked else None)

    async def _ask(self, call: tuple[Scope, Receive, Send], told: dict[str, Any], name: str | None) -> None:
        scope, receive, send = call
        session = str(told.get("session_hash") or f"address {(scope.get('client') or ['unknown'])[0]}")
        event = name or told.get("fn_index")
        is_job = isinstance(event, int | str) and self._desk.is_job(event)
        admission = self._desk.admission(session, is_job)
        sentence = await anyio.to_thread.run_sync(admission.__enter__)
        try:
            if sentence:
                scope, told = self._refused(scope, told, name, sentence)
            messages: list[Message] = []

            async def hold(message: Message) -> None:
                messages.append(message)

            await self._app(
                scope, _replay(json.dumps(told).encode(), receive), hold if is_job and not sentence else send
            )
            if messages and (job_id := _event_id(messages)):
                await anyio.to_thread.run_sync(self._desk.enter, session, job_id)
            for message in messages:
                await send(message)
        finally:
            admission.__exit__(None, None, None)

    def _refused(
        self, scope: Scope, told: dict[str, Any], name: str | None, sentence: str
    ) -> tuple[Scope, dict[str, Any]]:
        if name is not None:
            path = f"{scope['path'].partition('/call/')[0]}/call/{REFUSED}"
            return {**scope, "path": path, "raw_path": path.encode()}, {"data": [sentence]}
        return scope, told | {"fn_index": self._desk.refusing, "data": [sentence]}


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """A request's body once more, and then whatever else comes."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _event_id(messages: list[Message]) -> str:
    """The id in the answer of gradio's queue, or nothing."""
    if messages[0].get("status") != 200:
        return ""
    try:
        told = json.loads(b"".join(message.get("body", b"") for message in messages))
    except ValueError:
        return ""
    return str(told.get("event_id", "")) if isinstance(told, dict) else ""
