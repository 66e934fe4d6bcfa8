"""The worker as LitServe runs it: a process with networks, that enlarges several pictures at once."""

import json
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Annotated, Any

import litserve as ls
from fastapi import Depends
from fastapi.responses import FileResponse, JSONResponse, Response
from litserve.loops.base import LitLoop
from litserve.utils import LitAPIStatus, LoopResponseType
from omegaconf import OmegaConf

from sr_lightning.atomic import atomic_write
from sr_lightning.devices import count_of, fastest_device
from sr_lightning.errors import SRError
from sr_lightning.serving.receiving import received
from sr_lightning.serving.upload import Upload

PATH = "/upscale"
#: Header by which a worker tells the process that listens what it did; it is not sent on.
TOLD = "x-sr-told"

log = logging.getLogger(__name__)


class UpscaleAPI(ls.LitAPI):  # type: ignore[misc]  # LitServe has no types
    """Enlarges uploads.

    Args:
        cfg: Of ``serve``, as a plain dictionary: it goes to other processes.
        plain: That of ``upscale`` for a request without options.
        folder: For what workers tell of themselves.
    """

    def __init__(self, cfg: dict[str, Any], plain: dict[str, Any], folder: Path) -> None:
        slots = 1 if plain["tile"] is None else cfg["max_batch"]  # strips are for one thread
        super().__init__(api_path=PATH, loop=SlotsLoop(slots))
        self.cfg, self.plain, self.folder = cfg, plain, folder
        self.manager = 0  # process that holds the queues

    def setup(self, device: str) -> None:
        """Loads the networks, in the worker's process.

        Raises:
            SystemExit: If that cannot be; ``error.txt`` has the sentence.
        """
        _ignore_signals()
        try:
            self.enlarger = self._loaded()
        except SRError as error:
            _tell(self.folder / "error.txt", str(error))
            raise SystemExit(1) from None
        _tell(self.folder / "network.json", json.dumps({"network": self.enlarger.network()}))

    def _loaded(self) -> Any:
        import torch

        from sr_lightning.data.files.io import no_pixel_limit
        from sr_lightning.inference.sizes import bytes_of
        from sr_lightning.serving.batching import Batcher
        from sr_lightning.serving.work import Enlarger

        number, workers = int(os.environ.get("LITSERVE_WORKER_ID", 0)), self.cfg["workers"]
        if workers > 1:
            torch.set_num_threads(max(1, torch.get_num_threads() // workers))
        plain = OmegaConf.create(self.plain)
        if plain.device is None and (count := count_of(fastest_device())) > 1:
            plain.device = f"{fastest_device()}:{number % count}"
        self._no_limit = no_pixel_limit()  # as long as this worker lives: the limits are ours
        self._no_limit.__enter__()
        batcher = Batcher(self.cfg["max_batch"], self.cfg["batch_ms"] / 1000, bytes_of(self.cfg["memory"]))
        return Enlarger(OmegaConf.create(self.cfg), plain, batcher)

    def decode_request(self, request: Annotated[Upload, Depends(received)]) -> Upload:
        """Takes what ``received`` made of the request."""
        return request

    def predict(self, x: Upload) -> Any:
        """The answer of the networks."""
        return self.enlarger.enlarge(x)

    def encode_response(self, output: Any) -> Response:
        """The file of the result, or a sentence."""
        if output.path is None:
            return JSONResponse({"error": output.sentence}, output.code)
        counts = self.enlarger.batcher.counts
        told = {"process": os.getpid(), "tiles": counts.tiles, "batches": counts.batches, "alone": counts.alone}
        return FileResponse(output.path, filename=output.path.name, headers={TOLD: json.dumps({**output.told, **told})})


class SlotsLoop(LitLoop):  # type: ignore[misc]
    """Takes a request as soon as one of several slots is free, so that a small picture never waits for a large one.

    Args:
        slots: Requests that are at work at once.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots

    def run(
        self, lit_api: UpscaleAPI, device: str, worker_id: int, request_queue: Any, transport: Any, *_: Any
    ) -> None:
        """Works until ``None`` is in the queue, or the process that listens is gone."""
        parent, free = os.getppid(), threading.Semaphore(self.slots)

        def answer(queue: int, uid: str, upload: Upload) -> None:
            try:
                response = lit_api.encode_response(lit_api.predict(lit_api.decode_request(upload)))
            except BaseException as error:
                log.exception("an answer could not be made")
                response = JSONResponse({"error": f"the server failed ({type(error).__name__})"}, 500)
            finally:
                free.release()
            with suppress(OSError, EOFError):  # the process that listens is gone
                self.put_response(transport, queue, uid, response, LitAPIStatus.OK, LoopResponseType.REGULAR)

        with ThreadPoolExecutor(self.slots) as pool:
            while True:
                free.acquire()
                item = self._next(request_queue, parent, lit_api.manager)
                if item is None:
                    break
                queue, uid, _, upload = item
                # From here on, the process that listens knows whose request it was if this one dies.
                self.put_response(transport, queue, uid, (), LitAPIStatus.START, LoopResponseType.REGULAR)
                pool.submit(answer, queue, uid, upload)
        raise SystemExit(0)

    @staticmethod
    def _next(request_queue: Any, parent: int, manager: int) -> Any:
        while os.getppid() == parent:
            try:
                return request_queue.get(timeout=1.0)
            except Empty:
                continue
            except (OSError, EOFError):
                break
        with suppress(OSError):  # or it would stay for ever
            # It has the handlers of the process that listened, which end nothing.
            os.kill(manager, getattr(signal, "SIGKILL", signal.SIGTERM))
        return None


def _ignore_signals() -> None:
    """Terminals and service managers signal the whole group, and what runs is to be finished; the parent says when."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _tell(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
