"""Who may talk to the page, and how much it takes: foreign sites and full disks are refused before gradio sees them."""

import ipaddress
import os
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Names of this computer for itself, which no foreign site can take.
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_EVERYWHERE = {"0.0.0.0", "::", ""}  # what is listened on, not told to anyone
_STANDARD = {"http": 80, "https": 443}  # ports that browsers leave out
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
        named = [_name_and_port(name.rpartition("://")[2].rstrip("/")) for name in (host, *hosts)]
        self.hosts = _LOCAL | {name for name, _ in named if name}
        self.origins = {
            (name, each)
            for name, own in named
            if name not in _LOCAL | _EVERYWHERE
            for each in ([own] if own else [port, *_STANDARD.values()])
        }
        self.everywhere = host in _EVERYWHERE
        self._measured = self._since = self._coming = 0.0
        self._next_measuring = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["type"] != "http":  # the page uses no other
            await send({"type": "websocket.close", "code": 1008})
        elif reason := self.refusal(scope["method"], headers):
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

    def refusal(self, method: str, headers: dict[str, str]) -> str | None:
        """Why a request is not answered; None if it is.

        A name that a foreign site has pointed here ("DNS rebinding") is not a name of this page. Browsers say which
        site sends what changes something; other programs do not, and no site can make them send anything.
        """
        host = headers.get("host", "")
        name, _ = _name_and_port(host)
        if not name:
            return "This request does not say which page it is for."
        if not self._is_own(name):
            return f"This page is not called {name!r}; start it with hosts=[{name}] if it is."
        site = headers.get("sec-fetch-site", "none")
        if method in ("GET", "HEAD", "OPTIONS"):
            foreign = site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"
        elif "origin" in headers:
            scheme, _, origin = headers["origin"].lower().partition("://")
            name, port = _name_and_port(origin)
            foreign = origin != host.lower() and (name, port or _STANDARD.get(scheme)) not in self.origins
        else:
            foreign = site not in ("same-origin", "none")
        return "Another site asked for this in your name; open the page itself." if foreign else None

    def _is_own(self, name: str) -> bool:
        if name in self.hosts:
            return True
        with suppress(ValueError):  # addresses cannot be pointed elsewhere
            return self.everywhere and bool(ipaddress.ip_address(name))
        return False

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


def _name_and_port(host: str) -> tuple[str, int | None]:
    """Of a ``Host`` header, or of what was typed, where an address of IPv6 may lack its brackets; none if malformed."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host)), None
    with suppress(ValueError):
        parts = urlsplit(f"//{host}")
        if parts.netloc != host or "@" in host:  # more than a name and a port
            return "", None
        return (parts.hostname or "").rstrip("."), parts.port
    return "", None


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
