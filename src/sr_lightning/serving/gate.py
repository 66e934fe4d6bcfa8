"""What stands before LitServe: places, limits, time, clients that leave, and counting."""

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from omegaconf import DictConfig
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sr_lightning.cli.visitors import Visitors
from sr_lightning.serving.api import PATH, TOLD
from sr_lightning.serving.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)

_GONE = 499  # nginx's code for a client that did not wait
#: Answers after which the same request may succeed, and so say when to come again.
_LATER = (429, 503, 504)
#: Answers that do not wait for all of a body. After others, such as to a wrong option, it is read and dropped.
_UNREAD = (408, 413, 429, 503, 504)
#: Seconds for which a body is dropped after such an answer, in all and without a new part of it: a client that is still
#: sending would see a broken connection in place of the answer.
_LINGER, _LINGER_PAUSE = 5.0, 1.0
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
        self.uploading = set[_Visit]()
        self.closing = False
        self._running = set[asyncio.Task[None]]()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (reason := self._foreign(scope)):
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == PATH:
            await _Visit(self, scope, receive, send).answer()
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
                if error := task.exception():
                    log.error("a request ended with an error of the server", exc_info=error)
            ended()

        task.add_done_callback(end)


class _Visit:
    """One request for a picture.

    It has a place among the uploads until all of its body is here, and then one among the requests at work.

    Args:
        gate: With the limits, and all other visits.
        scope: Of the request, as ASGI has it.
        receive: Gives the next part of its body.
        send: Takes the next part of its answer.
    """

    def __init__(self, gate: Gate, scope: Message, receive: Receive, send: Send) -> None:
        self.gate, self.receive, self._send = gate, receive, send
        self.headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        self.begin = time.monotonic()
        self.place: dict[str, Any] = {"due": self.begin + gate.seconds, "at_work": False}
        # Pictures do not become smaller by gzip, which LitServe would try.
        headers = [(key, value) for key, value in scope["headers"] if key.lower() != b"accept-encoding"]
        self.scope = {**scope, "headers": headers, "sr": self.place}
        self.code, self.told = 0, dict[str, Any]()
        self.bytes, self.whole, self.over, self.muted, self.complete = 0, asyncio.Event(), False, False, False
        self.placed, self.dropped = False, False
        self.patience: asyncio.Timeout | None = None

    async def answer(self) -> None:
        """Has LitServe answer, if there is a place, within the time that there is."""
        if refused := self.gate.refusal(self.headers):
            await self._say(*refused)
            self._count()
            return
        self.gate.uploading.add(self)
        folder = self.place["folder"] = Path(mkdtemp(dir=self.gate.root))
        task = asyncio.create_task(self._work())
        self.gate.keep(task, lambda: self._leave(folder))
        leaving = asyncio.create_task(self._client_leaves())
        try:
            await asyncio.wait({task, leaving}, timeout=self.gate.seconds, return_when=asyncio.FIRST_COMPLETED)
            if not (task.done() or self.complete):  # servers say that the client left when it has its answer, too
                await self._give_up(task, folder, gone=leaving.done())
        finally:
            leaving.cancel()
            self._count()

    def drop(self) -> None:
        """Ends the upload."""
        self.gate.uploading.discard(self)
        self.dropped = True
        if self.patience is not None:
            with suppress(RuntimeError):  # it ends at this moment
                self.patience.reschedule(0)

    async def _work(self) -> None:
        try:
            await self.gate.app(self.scope, self._received, self._sent)
        except HTTPException as error:  # of the body, as it came
            await self._say(error.status_code, str(error.detail))
        except Exception:
            await self._say(500, "the server failed; its log says why")
            raise

    async def _give_up(self, task: asyncio.Task[None], folder: Path, gone: bool) -> None:
        """The worker sees that its upload is gone, after the current tile."""
        begun, self.muted = self.code != 0, True
        if self.place["at_work"] and not begun:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            task.cancel()
        if gone:
            self.code = _GONE
        elif not begun:
            code, what = (504, "computing") if self.place["at_work"] else (408, "the upload")
            self.muted = False
            await self._say(code, f"{what} took longer than the {self.gate.seconds:g} s that there are")
            self.muted = True

    async def _received(self) -> Message:
        if self.over:
            raise HTTPException(413, self.gate.too_large())
        message = await self.receive() if self.whole.is_set() else await self._next_part()
        self.bytes += len(message.get("body", b""))
        if self.bytes > self.gate.bytes:
            self.over = True
            raise HTTPException(413, self.gate.too_large())
        if message["type"] == "http.disconnect":
            self.whole.set()
        elif not message.get("more_body", False) and not self.whole.is_set():
            self.whole.set()
            self._take_place()
        return message

    async def _next_part(self) -> Message:
        try:
            async with asyncio.timeout(0 if self.dropped else self.gate.pause) as self.patience:
                return await self.receive()
        except TimeoutError:
            if self.dropped:
                raise HTTPException(429, "others need the place of this upload, which was the slowest") from None
            raise HTTPException(408, f"nothing came of the upload for {self.gate.pause:g} s") from None
        finally:
            self.patience = None

    def _take_place(self) -> None:
        self.gate.uploading.discard(self)
        if self.gate.taken >= self.gate.most:
            raise HTTPException(429, self.gate.full())
        self.gate.taken += 1
        self.placed = True

    async def _client_leaves(self) -> None:
        await self.whole.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _sent(self, message: Message) -> None:
        if self.muted:
            return
        if message["type"] == "http.response.start":
            self.code = message["status"]
            kept = []
            for key, value in message.get("headers", []):
                if key.lower() == TOLD.encode():
                    self.told = json.loads(value)
                else:
                    kept.append((key, value))
            message = {**message, "headers": [*kept, *self._more(self.code)]}
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._end_with(message.get("body", b""))
            self.complete = True
        else:
            await self._send(message)

    async def _say(self, code: int, sentence: str) -> None:
        if self.code:  # an answer has begun
            return
        self.code = code
        body = json.dumps({"error": sentence}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += self._more(code)
        with suppress(OSError):
            await self._send({"type": "http.response.start", "status": code, "headers": headers})
            await self._end_with(body)

    async def _end_with(self, body: bytes) -> None:
        """Sends the last part of an answer, and closes only when the client has had time to read it."""
        if self.code in _UNREAD and not self.whole.is_set():
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    while not self.whole.is_set():
                        async with asyncio.timeout(_LINGER_PAUSE):
                            message = await self.receive()
                        if not message.get("more_body", False):
                            self.whole.set()
            body = b""
        await self._send({"type": "http.response.body", "body": body})

    def _more(self, code: int) -> list[tuple[bytes, bytes]]:
        """Headers that every answer with this code has."""
        wait = [(b"retry-after", b"1")] if code in _LATER else []
        # What is left of a body may be much, and is not wanted.
        close = [(b"connection", b"close")] if code in _UNREAD and not self.whole.is_set() else []
        return [(b"x-content-type-options", b"nosniff"), *wait, *close]

    def _leave(self, folder: Path) -> None:
        self.gate.uploading.discard(self)
        self.gate.taken -= self.placed
        shutil.rmtree(folder, ignore_errors=True)

    def _count(self) -> None:
        self.gate.metrics.add(self.code or 500, time.monotonic() - self.begin, self.told)
