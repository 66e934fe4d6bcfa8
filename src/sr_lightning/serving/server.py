"""The process that listens: LitServe's queues and workers, behind one HTTP server that ends when it is told to."""

import asyncio
import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import litserve as ls
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from litserve.server import response_queue_to_buffer
from litserve.utils import LitAPIStatus, WorkerSetupStatus
from omegaconf import DictConfig, OmegaConf
from starlette.exceptions import HTTPException

from sr_lightning.cli.listening import End
from sr_lightning.errors import ConfigError
from sr_lightning.serving.api import PATH, UpscaleAPI
from sr_lightning.serving.connection import MOST_OF_HEADERS, Connection
from sr_lightning.serving.gate import Gate
from sr_lightning.version import __version__

#: Seconds that workers have for what they compute when the server has ended, beyond the time of a request.
_GRACE = 5.0

#: Seconds after which LitServe's queue no longer waits on behalf of a worker that died, and those in which a worker
#: that took a request has told so.
_SETTLED, _BEGUN = 1.5, 0.3

log = logging.getLogger(__name__)


class _Queues(ls.LitServer):  # type: ignore[misc]  # LitServe has no types
    """LitServe without its own listening: it takes three addresses only, and drops what runs when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.loop = asyncio.get_running_loop()
        answers = response_queue_to_buffer(self._transport, self.response_buffer, 0, self.litapi_connector)
        task = asyncio.create_task(answers)
        try:
            yield
        finally:
            self._transport.close(send_sentinel=True)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class _Kept:
    """LitServe's queue of requests, and a copy of those that no worker has begun.

    Its process may hand a request to a worker that died a moment ago, and then nobody has it.

    Args:
        queue: That workers read.
    """

    def __init__(self, queue: Any) -> None:
        self.queue = queue
        self.items = dict[str, Any]()

    def put(self, item: Any) -> None:
        if item is not None:
            self.items[item[1]] = item
        self.queue.put(item)

    def __reduce__(self) -> Any:  # workers get the queue alone
        return _itself, (self.queue,)

    def forget(self, answers: Mapping[str, Any]) -> None:
        """Drops copies of requests that were begun or answered."""
        old = time.monotonic() - _SETTLED
        waiting = {uid for uid, item in [*answers.items()] if item.worker_id is None}
        for uid, item in [*self.items.items()]:  # others put more meanwhile
            if uid not in waiting and item[2] <= old:
                self.items.pop(uid, None)

    def renew(self, answers: Mapping[str, Any]) -> None:
        """Puts all into the queue again, in their order, that no worker has begun."""
        with contextlib.suppress(Empty):
            while True:
                self.queue.get(block=False)
        before = time.monotonic()
        time.sleep(_BEGUN)  # what a worker took just now, it tells meanwhile
        for uid, item in [*self.items.items()]:
            answer = answers.get(uid)
            if item[2] < before and answer is not None and answer.worker_id is None and not answer.event.is_set():
                self.queue.put(item)


def _itself(queue: Any) -> Any:
    return queue


class Server:
    """Listens, and has workers enlarge.

    Args:
        cfg: Of ``serve``.
        plain: The config of ``upscale`` for a request without options.
        root: Folder of all files.
    """

    def __init__(self, cfg: DictConfig, plain: DictConfig, root: Path) -> None:
        self.cfg, self.root = cfg, root
        self.ended = False
        settings: Any = OmegaConf.to_container(cfg, resolve=True)
        of_upscale: Any = OmegaConf.to_container(plain, resolve=True)
        self.api = UpscaleAPI(settings, of_upscale, root)
        self.queues = _Queues(
            self.api, accelerator="cpu", workers_per_device=cfg.workers, timeout=False, restart_workers=True,
            disable_openapi_url=True,
        )  # fmt: skip
        app = self.queues.app
        app.state.plain = plain
        app.response_queue_id = 0
        self.gate = Gate(app, cfg, root)
        app.add_exception_handler(HTTPException, _as_sentence)
        # LitServe's own pages say what nobody asked for, and "litserve running".
        app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") == PATH]
        for path, answer in (
            ("/health", self._health), ("/ready", self._ready), ("/info", self._info), ("/metrics", self._metrics),
        ):  # fmt: skip
            app.add_api_route(path, answer, methods=["GET", "HEAD"])
        self._broken, self._renew_at = 0, float("inf")

    def run(self, end: End) -> None:
        """Serves until a signal comes, then answers what it has taken.

        Raises:
            ConfigError: If no worker can start, or the port was taken meanwhile.
        """
        cfg = self.cfg
        self.manager = self.queues._init_manager(1)
        self.waiting = _Kept(self.queues.litapi_request_queues[self.api.api_path])
        self.queues.litapi_request_queues[self.api.api_path] = self.waiting
        self.api.manager = self.manager._process.pid
        self.queues.inference_workers = self.queues.launch_inference_worker(self.api)
        try:
            config = uvicorn.Config(
                self.gate, host=cfg.host, port=cfg.port, log_level="warning", access_log=False, server_header=False,
                timeout_graceful_shutdown=int(cfg.max_seconds + _GRACE), timeout_keep_alive=30, lifespan="on",
                http=Connection, h11_max_incomplete_event_size=MOST_OF_HEADERS,
            )  # fmt: skip
            http = uvicorn.Server(config)
            listening = threading.Thread(target=partial(_listen, http), name="http", daemon=True)
            listening.start()
            told = False
            # A signal that another thread of the process gets does not wake this one; it is noticed after a while.
            while not end.happened.wait(0.2):
                if not listening.is_alive():
                    raise ConfigError(f"host={cfg.host} port={cfg.port}: cannot listen there; choose another port=")
                self._look_after_workers()
                if not told and self.is_ready() and http.started:
                    told = True
                    print(f"http://{cfg.host}:{cfg.port}/upscale  (Ctrl-C ends it)", flush=True)
            self.gate.closing = True
            http.should_exit = True
            listening.join(cfg.max_seconds + 2 * _GRACE)
        finally:
            self._end()

    def _look_after_workers(self) -> None:
        """Starts workers anew that died, such as for want of memory, and answers those whose pictures they had."""
        workers, answers = self.queues.inference_workers, self.queues.response_buffer
        if time.monotonic() > self._renew_at:
            self._renew_at = float("inf")
            self.waiting.renew(answers)
        self.waiting.forget(answers)
        for number, process in enumerate(workers):
            if process.is_alive():
                continue
            error = self.root / "error.txt"
            if error.is_file():
                raise ConfigError(error.read_text(encoding="utf-8"))
            self._broken += 1
            if not (self.root / "network.json").is_file() and self._broken > 2:
                raise ConfigError(f"workers end with code {process.exitcode} before they can work; see what they print")
            log.error("worker %s ended with code %s, and is started again", number, process.exitcode)
            self._renew_at = time.monotonic() + _SETTLED
            for item in [*answers.values()]:
                if item.worker_id == number and not item.event.is_set():
                    item.response = (None, LitAPIStatus.ERROR)
                    self.queues.loop.call_soon_threadsafe(item.event.set)
            workers[number] = self.queues.launch_single_inference_worker(self.api, number)

    def is_ready(self) -> bool:
        """Whether a request would be taken and computed now."""
        status = {**self.queues.workers_setup_status}
        ready = any(each == WorkerSetupStatus.READY for each in status.values())
        return ready and not self.gate.closing and self.gate.taken < self.gate.most

    def _end(self) -> None:
        workers = self.queues.inference_workers
        with contextlib.suppress(OSError, EOFError):
            for _ in workers:
                self.waiting.put(None)
        due = time.monotonic() + _GRACE
        for process in workers:
            process.join(max(0.0, due - time.monotonic()))
            if process.is_alive():  # it computes what nobody waits for, or has only begun
                process.kill()
                process.join()
        self.manager.shutdown()

    async def _health(self) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self) -> Response:
        return PlainTextResponse("ok") if self.is_ready() else PlainTextResponse("not ready", 503)

    async def _info(self) -> Response:
        file = self.root / "network.json"
        network = json.loads(file.read_text(encoding="utf-8"))["network"] if file.is_file() else None
        cfg = self.cfg
        limits = {str(key): value for key, value in cfg.items() if str(key).startswith("max_")}
        settings = {key: cfg[key] for key in ("workers", "tile", "precision", "batch_ms")}
        versions = {"sr_lightning": __version__, "litserve": ls.__version__}
        return JSONResponse({"network": network, "versions": versions, "limits": limits, "settings": settings})

    async def _metrics(self) -> Response:
        processes = {"server": os.getpid()} | {
            f"worker {number}": process.pid for number, process in enumerate(self.queues.inference_workers)
        }
        text = self.gate.metrics.text(self.gate.taken + len(self.gate.uploading), processes)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


async def _as_sentence(request: Request, error: Exception) -> Response:
    detail, code = getattr(error, "detail", str(error)), getattr(error, "status_code", 500)
    path = request.url.path
    asked = f"{request.url.scheme}://{request.url.netloc}{PATH}"
    sentences = {
        404: f"there is no such address; POST a picture to {PATH}",
        405: f"POST a picture, as with curl --data-binary @photo.png {asked} -o large.png"
        if path == PATH
        else f"GET {path}; pictures go to {PATH}",
    }
    return JSONResponse({"error": sentences.get(code, str(detail))}, code, headers=getattr(error, "headers", None))


def _listen(server: uvicorn.Server) -> None:
    with contextlib.suppress(SystemExit):  # its word for a port in use
        server.run()
