"""What a worker does with one picture: check it, enlarge it as ``upscale`` does, and say what went wrong."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_lightning.data.files.io import picture_size
from sr_lightning.data.files.pages.reading import pages_of
from sr_lightning.data.files.raw import is_raw
from sr_lightning.errors import CheckpointError, ConfigError, DataError, PictureError, SRError
from sr_lightning.inference.engines.network import Forward
from sr_lightning.inference.files.enlarging import is_video, upscale_file
from sr_lightning.inference.files.targets import Job
from sr_lightning.inference.files.uploads import TooLargeError, check_result, check_upload, page_sizes
from sr_lightning.inference.loading import enough, load_upscaler
from sr_lightning.inference.sizes import wanted_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler
from sr_lightning.serving.batching import Batcher
from sr_lightning.serving.options import with_options
from sr_lightning.serving.upload import Upload
from sr_lightning.weights.shipped import AUTO, CLEAN, RAW, pretrained_networks

TAKER = "this server"
#: Codes of answers by what went wrong; the first that fits.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (TooLargeError, 413),
    (CheckpointError, 500),
    (SRError, 422),
    (MemoryError, 503),
)

log = logging.getLogger(__name__)


class GivenUpError(SRError):
    """Work that nobody waits for any more."""


class NoPictureError(PictureError):
    """An upload that is no picture."""


@dataclass(frozen=True)
class Enlarged:
    """The answer to one request.

    Attributes:
        code: Of HTTP.
        path: The result; None where there is none.
        sentence: What went wrong.
        told: Pixels that came in and went out, and the counts of the batches of this worker.
    """

    code: int
    path: Path | None = None
    sentence: str = ""
    told: Mapping[str, int] = field(default_factory=dict)


class Enlarger:
    """The networks of one worker.

    Args:
        cfg: Of ``serve``, with the limits.
        plain: The config of ``upscale`` for a request without options.
        batcher: That computes tiles of several pictures.

    Raises:
        ConfigError: If there is no such network, or it is not for a server.
        CheckpointError: If its weights do not fit.
    """

    def __init__(self, cfg: DictConfig, plain: DictConfig, batcher: Batcher) -> None:
        self.cfg, self.plain, self.batcher = cfg, plain, batcher
        self._loading = threading.Lock()
        self._known: dict[Any, Upscaler] = {}
        self._scales = [scale for scale in self._shipped_scales() if scale >= plain.scale]
        upscaler = self._upscaler(None, None)
        if isinstance(upscaler, ZeroShotUpscaler):
            raise ConfigError(
                f"{plain.name}: is trained on each picture, which takes minutes; serve another, as model={CLEAN}"
            )
        if upscaler.model.packed:
            raise ConfigError(f"{upscaler.model.title}: enlarges mosaics; serve another, as model={CLEAN}")

    def _shipped_scales(self) -> list[int]:
        known = {**pretrained_networks(), AUTO: pretrained_networks()[CLEAN]}
        named = self.plain.weights or self.plain.checkpoint
        return known.get(self.plain.name or AUTO, []) if not named and self.plain.name != RAW else []

    def network(self) -> str:
        """What enlarges, in words."""
        upscaler = self._known[None]
        auto = type(upscaler).__name__ == "AutoUpscaler"
        return f"{AUTO if auto else upscaler.model.title} x{upscaler.model.scale} on {upscaler.device}"

    def _upscaler(self, factor: float | None, size: str | None) -> Upscaler:
        """As ``upscale`` loads it; of the factor, the next scale that there are weights for decides."""
        key = "size" if size else enough(self._scales, factor) if factor and self._scales else None
        with self._loading:
            if key not in self._known:
                asked = {"size": size} if size else {} if key is None else {"factor": key}
                self._known[key] = load_upscaler(with_options(self.plain, asked))
                _ = self._known[key].autocast  # is measured once, not by several threads
            return self._known[key]

    def enlarge(self, upload: Upload) -> Enlarged:
        """The answer to a request; errors become codes and sentences."""
        try:
            with self.batcher.picture():
                path, told = self._enlarged(upload)
            return Enlarged(200, path, told=told)
        except Exception as error:
            return self._failed(upload, error)

    def _enlarged(self, upload: Upload) -> tuple[Path, dict[str, int]]:
        source, on_progress = upload.path, _watched(upload)
        on_progress(0)
        if is_video(source):
            raise NoPictureError(f"{source}: is a video; this server takes pictures")
        height, width = _checked(source, self.cfg)
        options = with_options(self.plain, upload.options)
        upscaler = self._upscaler(options.factor, options.size)
        size = wanted_size(height, width, upscaler.model.scale, options.factor, options.size)
        check_result(source, size, upscaler.model.scale, options, self.cfg.max_megapixels, TAKER)
        if options.format == "gif" and not (not is_raw(source) and pages_of(source)):
            raise DataError("format=gif is for animations; choose another format")
        in_tiles = self.plain.tile is not None and not upscaler.model.any_scale
        upscaler = upscaler.for_thread(self.batcher.batched if in_tiles else _as_it_is)
        target = upload.path.parent / "result"
        target.mkdir()
        (written,) = upscale_file(Job(source, target), upscaler, options, on_progress)
        return written, {"pixels_in": height * width, "pixels_out": size[0] * size[1]}

    def _failed(self, upload: Upload, error: Exception) -> Enlarged:
        if isinstance(error, GivenUpError) or not upload.path.exists():
            return Enlarged(499, sentence="nobody waits for it any more")
        if isinstance(error, NoPictureError):
            return Enlarged(415, sentence=_sentence(error, upload))
        code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
        if code == 500:
            log.error("%s could not be enlarged", upload.path.name, exc_info=error)
            return Enlarged(500, sentence=f"{upload.path.name}: cannot be enlarged; the server's log says why")
        if isinstance(error, MemoryError):
            return Enlarged(503, sentence=f"{upload.path.name}: there is not enough memory at the moment")
        return Enlarged(code, sentence=_sentence(error, upload))


def _checked(source: Path, cfg: DictConfig) -> tuple[int, int]:
    try:
        size = check_upload(source, cfg, TAKER)
        # Each takes time, however small it is.
        if (count := len(page_sizes(source))) > cfg.max_pages:
            raise TooLargeError(f"{source}: has {count} pictures, and {TAKER} takes {cfg.max_pages:g} at most.")
        return size
    except TooLargeError:
        raise
    except PictureError as error:
        try:
            picture_size(source, upright=False)
        except PictureError:
            raise NoPictureError(str(error)) from None
        raise


def _watched(upload: Upload) -> Callable[[float], None]:
    """Ends the work after the current tile where its time is over, or its upload was taken away."""

    def on_progress(done: float) -> None:
        if time.time() > upload.due or not upload.path.exists():
            raise GivenUpError("nobody waits for it any more")

    return on_progress


def _as_it_is(net: Forward) -> Forward:
    return net


def _sentence(error: Exception, upload: Upload) -> str:
    """An error without the folders of this machine, and without advice that only ``upscale`` can follow."""
    text = re.sub(rf"{re.escape(str(upload.path.parent))}/(result/)?", "", str(error))
    return text.split("; memory=")[0] if "of memory, and" in text else text
