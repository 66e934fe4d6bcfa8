"""What stands before LitServe: places, limits, time, clients that leave, and counting."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig
from starlette.responses import JSONResponse

from sr_lightning.cli.visitors import Visitors
from sr_lightning.serving.api import PATH
from sr_lightning.serving.metrics import Metrics
from sr_lightning.serving.visit import App, Message, Receive, Send, Visit

#: Addresses at which the server tells of itself; ``/health`` and ``/ready`` say nothing that a stranger may not know.
_OF_ITSELF = ("/info", "/metrics")
#: Seconds after which it shows how fast an upload is.
_YOUNG = 1.0


class Gate:
    """An ASGI app around that of LitServe.

    Args:
        app: Which answers what is let through.
        cfg: Of ``serve``, with the limits.
        root: Folder of all uploads and results.
    """

    def __init__(self, app: App, cfg: DictConfig, root: Path) -> None:
        self.app, self.root, self.metrics = app, root, Metrics()
        self.visitors = Visitors(cfg.host, cfg.port, cfg.hosts)
        self.most, self.seconds = int(cfg.max_queue), float(cfg.max_seconds)
        self.bytes, self.megabytes = cfg.max_upload_mb * 1e6, cfg.max_upload_mb
        self.pause, self.most_uploads = float(cfg.max_pause_seconds), int(cfg.max_uploads)
        self.taken = 0  # requests whose picture is here; the others are uploading
        self.uploading = set[Visit]()
        self.closing = False
        self._running = set[asyncio.Task[None]]()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (reason := self._foreign(scope)):
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == PATH:
            await Visit(self, scope, receive, send).answer()
        else:
            await self.app(scope, receive, send)

    def _foreign(self, scope: Message) -> str | None:
        """Why a browser is not answered; other programs, which no site can make send anything, are.

        A browser does not say that it is one where a site has its own name pointed here and only reads: what the
        server tells of itself is for its own names, whoever asks.
        """
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["path"] not in _OF_ITSELF and not {"origin", "sec-fetch-site"} & headers.keys():
            return None
        return self.visitors.refusal(scope["method"], headers)

    def refusal(self, headers: dict[str, str]) -> tuple[int, str] | None:
        """Code and sentence for a request that gets no place; None if it gets one."""
        if self.closing:
            return 503, "the server is closing; another one may answer"
        if self.taken >= self.most:
            return 429, self.full()
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.bytes:
            return 413, self.too_large()
        if len(self.uploading) >= self.most_uploads and not self._drop_the_slowest():
            return 429, f"{self.most_uploads} pictures are on their way already, which are all that this server takes"
        return None

    def _drop_the_slowest(self) -> bool:
        """Ends one upload in favour of another, so that nobody holds all places by sending next to nothing."""
        now = time.monotonic()
        known = [visit for visit in self.uploading if now - visit.begin >= _YOUNG]
        if known:
            min(known, key=lambda visit: visit.bytes / (now - visit.begin + 1e-9)).drop()
        return bool(known)

    def full(self) -> str:
        """The sentence about a request that gets no place."""
        return f"{self.taken} pictures are waiting already, which are all that this server takes at once"

    def too_large(self) -> str:
        """The sentence about an upload of too many bytes."""
        return f"the upload has more than the {self.megabytes:g} MB that this server takes"

    def keep(self, task: asyncio.Task[None], ended: Callable[[], None]) -> None:
        """Lets LitServe end what nobody waits for: only then is the place free."""
        self._running.add(task)

        def end(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            with suppress(asyncio.CancelledError):
                task.exception()
            ended()

        task.add_done_callback(end)
