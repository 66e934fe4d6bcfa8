"""Who may talk to the page, and how much it takes: foreign sites and full disks are refused before gradio sees them."""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_lightning.cli.visitors import Visitors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: The page's own files, and what gradio makes of them: it writes styles and its scripts' functions as text.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """An ASGI app around another: it refuses requests of foreign sites, and uploads that there is no place for.

    Args:
        app: Which answers what is let through.
        host: Where it listens.
        port: Where it listens.
        hosts: Further names under which browsers reach it, as those of a proxy. Without a port of its own, a name
            stands for the standard ports and for ``port``.
        root: Folder of all files.
        megabytes: That they may have together.
    """

    def __init__(self, app: App, host: str, port: int, hosts: Iterable[str], root: Path, megabytes: float) -> None:
        self.app, self.root, self.bytes = app, root, megabytes * 1e6
        self.visitors = Visitors(host, port, hosts)
        self._measured = self._since = self._coming = 0.0
        self._next_measuring = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["type"] != "http":  # the page uses no other
            await send({"type": "websocket.close", "code": 1008})
        elif reason := self.visitors.refusal(scope["method"], headers):
            await _answer(send, 403, reason)
        elif scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/upload"):
            await self._upload(headers, scope, receive, _with_headers(send))
        else:
            try:
                await self.app(scope, receive, _with_headers(send))
            except KeyError:  # gradio's, where work ends in the moment in which it is cancelled
                if not scope["path"].endswith("/cancel"):
                    raise
                await _answer(send, 200, '{"success": true}', "application/json")

    async def _upload(self, headers: dict[str, str], scope: Message, receive: Receive, send: Send) -> None:
        length = headers.get("content-length", "")
        if not length.isdecimal():
            await _answer(send, 411, "Uploads must say how long they are.")
            return
        size = int(length)
        if size + self._held() > self.bytes:
            await _answer(send, 507, "This page holds too many files at the moment; try again later.")
            return
        self._coming += size
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming -= size
            self._since += size

    def _held(self) -> float:
        """Bytes of all files; the folder is walked rarely, and what has come since then is added."""
        begin = time.monotonic()
        if begin >= self._next_measuring:
            self._measured, self._since = _size(self.root), 0.0
            end = time.monotonic()
            self._next_measuring = end + max(1.0, 20 * (end - begin))  # nobody else is answered meanwhile
        return self._measured + self._since + self._coming


def _size(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(here) / name).stat().st_size
    return total


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {key for key, _ in _HEADERS}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in ours]
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return sent


async def _answer(send: Send, status: int, sentence: str, kind: str = "text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind.encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})
