"""Super-resolution of whole pictures of any size by one network."""

import copy
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from sr_lightning.atomic import expand_home
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw import AS_SHOT, Development, RawPicture, is_raw
from sr_lightning.devices import fastest_device, found_device
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import to_levels
from sr_lightning.inference.any_scale import Decoding
from sr_lightning.inference.engines.choosing import TILE, fastest_engine
from sr_lightning.inference.engines.engine import ON_CPU, with_engine
from sr_lightning.inference.engines.network import Field, Forward, Network, WithConstants, field_of
from sr_lightning.inference.engines.onnx_network import OnnxNetwork
from sr_lightning.inference.ensemble import back_project, self_ensemble
from sr_lightning.inference.exact import Enlargement
from sr_lightning.inference.images import to_pil, upscale_image
from sr_lightning.inference.memory import is_out_of_memory
from sr_lightning.inference.mosaics import refuse_other_sizes, upscale_mosaic, upscale_raw_file
from sr_lightning.inference.options import (
    File,
    Files,
    Kind,
    Progress,
    UpscaleOptions,
    Values,
)
from sr_lightning.inference.settings import Engine, Ensemble, Precision, Tiling, check_upscaler
from sr_lightning.inference.sizes import bytes_of, enlarged_size, wanted_size
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.resizing import MATLAB
from sr_lightning.inference.tiles.runaway import Runaway, bicubic_part
from sr_lightning.inference.tiles.tiling import SMALLEST, Look
from sr_lightning.models.foundation import stand_on_lightning
from sr_lightning.strips.program import Program


class Upscaler:
    """Enlarges pictures with one network; memory grows with the picture's width, and with the 8- or 16-bit result.

    Args:
        model: The network, with its weights.
        device: Where it computes; None for the fastest there is that the engine can use.
        tile: Largest side of a tile in LR pixels. By default, large pictures are computed in strips of all columns,
            and no pixel twice; those of networks that look at the whole picture, and of other engines than torch, in
            tiles.
        engine: What computes: ``"torch"``, ``"compile"`` (its compiler, which takes a while for each size of tiles),
            ``"onnxruntime"``, ``"openvino"``, or ``"auto"``: the fastest of those that are installed, which is measured
            before the first picture, once on each machine.
        precision: ``"float32"``, ``"bf16"``, ``"fp16"``, or ``"auto"``: bf16 where the device multiplies it natively
            and a measurement on a small picture says that it changes nothing that a PSNR would show.
        ensemble: ``"mean"`` or ``"median"`` of the eight flips and turns of every tile.
        back_projection: Steps towards a picture whose bicubic reduction is the LR picture.
        memory: GB that the network's features may take; by default a quarter of what is free.
        tiling: ``"exact"``, or as papers' code has it, for its numbers: EDSR's ``"chop"`` into quarters, rawSR's
            ``"average"`` of tiles that overlap by half. Those two hold the whole result in floating point.

    Example:
        >>> from sr_lightning.models import Bicubic
        >>> Upscaler(Bicubic(scale=2)).array(np.zeros((3, 20, 30), np.uint8)).shape
        (3, 40, 60)
    """

    def __init__(
        self,
        model: Network,
        *,
        device: torch.device | str | None = "cpu",
        tile: int | None = None,
        engine: Engine = "torch",
        precision: Precision = "auto",
        ensemble: Ensemble | None = None,
        back_projection: int = 0,
        tiling: Tiling = "exact",
        memory: float | str | None = None,
    ) -> None:
        options = {"tiling": tiling, "ensemble": ensemble, "tile": tile, "back_projection": back_projection}
        check_upscaler({**options, "engine": engine, "precision": precision, "memory": memory})
        if tiling == "chop" and model.reads_mosaic:
            raise ConfigError("tiling=chop: quarters would begin anywhere in the mosaic that the network reads")
        if ensemble is not None and (model.packed or model.inputs != ("lr",)):
            raise ConfigError(f"ensemble={ensemble}: flips and turns would change the mosaic that the network reads")
        if model.any_scale:
            _check_any_scale(model, {**options, "engine": engine})
        elif isinstance(model.scale, float):
            raise ConfigError(f"scale={model.scale}: must be whole here; factor={model.scale} resizes the result")
        other = engine not in ("torch", "auto") or isinstance(model, OnnxNetwork)
        if tile is None and (tiling != "exact" or other):
            tile = TILE
        multiple = model.tile_multiple
        if tiling == "average" and tile is not None and (tile % multiple or tile < 2 * multiple):
            of = "" if multiple == 1 else f" and a multiple of {multiple}"
            raise ConfigError(f"tile={tile}: tiles that overlap by half must be at least {2 * multiple}{of}")
        if back_projection and (model.packed or model.inputs != ("lr",)):
            raise ConfigError(f"back_projection={back_projection}: is for networks that read ordinary pictures")
        if device is None:
            device = "cpu" if model.cpu_only or engine in ON_CPU else fastest_device()
        self.device, self.tile = found_device(device), tile
        self._model = model.eval().to(self.device)
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.engine, self.precision, self.ensemble = engine, precision, ensemble
        self.back_projection, self.tiling, self._multiple = back_projection, tiling, multiple
        self._field: Field | None = None
        self._memory = bytes_of(memory)
        self._programs: dict[int, dict[Any, Program | str]] = {}
        #: Is called with a sentence when bicubic pixels replaced the network's, or should, and when tiles are computed
        #: that may differ from the whole picture.
        self.on_warning: Callable[[str], None] = warnings.warn
        #: Is called with a sentence about the network that was chosen for a picture, where there are several.
        self.on_note: Callable[[str], None] = lambda sentence: None
        self.noted: str | None = None  # the last such sentence

    @property
    def model(self) -> Network:
        """The network; a ``LightningModule`` in a process that has imported Lightning."""
        if "lightning.pytorch" in sys.modules:
            stand_on_lightning()
        return self._model

    @cached_property
    def _computed(self) -> tuple[nn.Module, torch.dtype | None]:
        if self.engine == "auto" and self.model.any_scale:
            self.engine = "torch"
        if self.engine == "auto":
            self.engine = fastest_engine(self.model, self.precision, self.device, self.tile, self.halo)
            self.tile = self.tile or (None if self.engine == "torch" else TILE)
        return with_engine(self.model, self.engine, self.precision, self.device)

    @property
    def autocast(self) -> torch.dtype | None:
        """Half precision that torch computes in, None for float32."""
        return self._computed[1]

    def field(self, constants: dict[str, Tensor] | None = None) -> Field:
        """What tiles see of their surroundings, which is measured once if the network does not state it."""
        self._field = self._field or field_of(self.model, constants)
        return self._field._replace(halo=self._field.halo + 4 * self.model.scale * self.back_projection)

    def halo(self, constants: dict[str, Tensor] | None = None) -> int:
        """LR pixels around each tile."""
        return self.field(constants).halo

    def __repr__(self) -> str:
        precision: str = self.precision
        if "_computed" in self.__dict__ and self.precision == "auto":  # measured by now
            precision = "float32" if self.autocast is None else f"auto ({str(self.autocast).removeprefix('torch.')})"
        return f"Upscaler({self.model.title} x{self.model.scale}, device={self.device}, precision={precision})"

    @overload
    def upscale(self, image: File | Image.Image, **options: Unpack[UpscaleOptions]) -> Image.Image: ...
    @overload
    def upscale(self, image: NDArray[Values], **options: Unpack[UpscaleOptions]) -> NDArray[Values]: ...
    @overload
    def upscale(self, image: Tensor, **options: Unpack[UpscaleOptions]) -> Tensor: ...
    @overload
    def upscale(self, image: list[Kind], **options: Unpack[UpscaleOptions]) -> list[Kind]: ...
    @overload
    def upscale(self, image: Files, **options: Unpack[UpscaleOptions]) -> list[Image.Image]: ...
    def upscale(
        self,
        image: Any,
        *,
        factor: float | None = None,
        size: str | tuple[int, int] | None = None,
        memory: float | str | None = None,
        on_progress: Progress | None = None,
        development: Development = AS_SHOT,
    ) -> Any:
        """A picture of the same kind, ``factor`` times as large; by default, the network's own factor.

        Args:
            image: A PIL picture; an array ``(H, W)`` or ``(H, W, C)``, uint8, uint16, or floating point in [0, 1], the
                last of 2 or 4 channels opacity; a tensor ``(C, H, W)`` or ``(N, C, H, W)``, uint8 or in [0, 1]; or the
                path, the bytes, or the opened file of a picture, for a PIL picture of 8 bit. The path may be that of a
                RAW file. A list gives a list.
            factor: Any number; the network's result is resized to it as MATLAB does, unless it is one of any scale,
                which computes at that factor.
            size: Or width and height, such as ``(3840, 2160)`` or ``"3840x2160"``: the largest result within that has
                the picture's proportions.
            memory: GB that the picture of a file and its result may take; by default what is free.
            on_progress: Is called with the share that is done, up to 1.
            development: Exposure, highlights, white balance and colours of a RAW file.

        Raises:
            ConfigError: If ``factor`` or ``size`` cannot be, or both are given, or the network cannot follow the
                development.
            DataError: If the picture cannot be enlarged.
            TypeError: If the picture is of no such kind.

        Example:
            >>> from sr_lightning.models import Bicubic
            >>> Upscaler(Bicubic(scale=2)).upscale(np.zeros((20, 30, 3), np.uint8), factor=2.5).shape
            (50, 75, 3)
        """
        if isinstance(image, list | tuple):
            options: dict[str, Any] = {"factor": factor, "size": size, "memory": memory, "development": development}
            shares = [_part_of(on_progress, index, len(image)) for index in range(len(image))]
            return [self.upscale(one, **options, on_progress=share) for one, share in zip(image, shares, strict=True)]

        if isinstance(image, str | Path) and is_raw(image):
            chosen = self.for_raw_file(expand_home(image), factor if size is None else 0, development)
            if chosen.model.reads_mosaic:
                refuse_other_sizes(None if factor == chosen.model.scale else factor, size)
                path = expand_home(image)
                return to_pil(upscale_raw_file(chosen, path, development, bits=8, on_progress=on_progress))

        def enlarge(photo: Photo, size: tuple[int, int]) -> Photo:
            return self.photo(photo, size=size, on_progress=on_progress)

        wanted = partial(wanted_size, scale=self.model.scale, factor=factor, size=size)
        return upscale_image(enlarge, image, wanted, memory, development)

    def array(
        self,
        *pictures: NDArray[Any],
        bits: int = 8,
        constants: dict[str, Tensor] | None = None,
        on_progress: Progress | None = None,
    ) -> NDArray[Any]:
        """The network's result for its inputs, ``(C, H, W)`` each, as ``(C, sH, sW)`` of 8 or 16 bit.

        Args:
            pictures: uint8, uint16, or floating point in [0, 1]; they may be memory-mapped.
            bits: Of the result.
            constants: Inputs that are no pictures, such as ``white_balance``.
            on_progress: Told which share is done after each tile.
        """
        height, width = pictures[0].shape[-2:]
        size, kind = enlarged_size(height, width, self.model.scale), np.uint8 if bits == 8 else np.uint16
        # Colours of a pixel together, as files have them: no other order is ever made.
        channels = 4 if self.model.packed else 1 if self._is_grey(pictures) else 3
        out = np.empty((*size, channels), kind)
        runaway = Runaway(height, width)
        for box, part in self._parts(pictures, size, on_progress, runaway.look, constants):
            _put_levels(part, out[box.slices])
        self._replace_runaway(runaway, out, partial(bicubic_part, pictures, size))
        return out.transpose(2, 0, 1)

    def photo(
        self,
        photo: Photo,
        *,
        size: tuple[int, int] | None = None,
        bits: int | None = None,
        on_progress: Progress | None = None,
    ) -> Photo:
        """An ordinary picture with all that belongs to it.

        Colours are enlarged as they show, multiplied by opacity, so that what a transparent pixel hides does not bleed
        into its neighbours; opacity is enlarged bicubically, and so are colours where it is partial.

        Args:
            photo: The LR picture.
            size: Height and width wanted; the network's result is resized to it as MATLAB does, unless it is one of
                any scale, which computes that size.
            bits: Bit depth of the result; by default that of the picture.
            on_progress: See ``array``.
        """
        if self.model.packed or self.model.inputs != ("lr",):
            name = type(self.model).__name__
            if self.model.packed:
                raise ConfigError(f"{name} gives mosaics: use sr-upscale, or enlarge_mosaic of inference.raw_to_raw")
            raise ConfigError(f"{name} reads {', '.join(self.model.inputs)}: give it a camera's RAW file")
        if bits not in (None, 8, 16):
            raise ConfigError(f"bits={bits}: must be 8 or 16")
        bits = bits or (8 if photo.pixels.dtype == np.uint8 else 16)
        height, width, channels = photo.pixels.shape
        size = size or enlarged_size(height, width, self.model.scale)
        kind = np.uint8 if bits == 8 else np.uint16
        pixels = np.empty((*size, channels), kind)
        alpha = None if photo.alpha is None else np.empty((*size, 1), kind)
        pictures = [each.transpose(2, 0, 1) for each in (photo.pixels, photo.alpha) if each is not None]

        def shown(box: Box, values: Tensor) -> Tensor:
            if alpha is None:
                return values
            opacity = bicubic_part(pictures[1:], size, box)
            # Beside an edge of opacity, networks are sharper than it is: what they make dark would be opaque.
            edge = (10 * (1 - opacity)).clamp(0, 1)
            values = torch.lerp(values.clamp(0, 1), bicubic_part(pictures, size, box).clamp(0, 1), edge)
            values = values / opacity.clamp(1 / 255, 1)
            _put_levels(opacity, alpha[box.slices])
            return values

        runaway = Runaway(height, width)
        for box, values in self._parts(pictures, size, on_progress, runaway.look):
            _put_levels(shown(box, values), pixels[box.slices])
        self._replace_runaway(runaway, pixels, lambda box: shown(box, bicubic_part(pictures, size, box)))
        return replace(photo, pixels=pixels, alpha=alpha)

    def with_sidecar_files(self, source: Path | str) -> "Upscaler":
        """This upscaler, with what it needs of the files beside a picture's: nothing here."""
        return self

    def for_thread(self, net_of: Callable[[Forward], Forward]) -> "Upscaler":
        """A copy for one of several threads: it shares the weights, and tells its warnings and notes for itself.

        Args:
            net_of: What computes in place of a network, such as with the tiles of other threads in one batch.
        """
        net, half = self._computed
        copied = copy.copy(self)
        copied.__dict__["_computed"] = (net_of(net), half)
        return copied

    def for_factor(self, factor: float) -> "Upscaler":
        """The one for results ``factor`` times as large, where there are several: this."""
        return self

    def chosen_for(self, photos: Iterable[Photo], factor: float | None = None) -> "Upscaler":
        """The one that suits pictures, where it is chosen by what they look like: this.

        Args:
            photos: A picture, or some of those that belong together, such as frames of a video; read if needed.
            factor: How many times as large the result is; by default, the scale of the network.
        """
        return self

    def for_raw_file(self, source: Path, factor: float | None = None, development: Development = AS_SHOT) -> "Upscaler":
        """The one for a camera's RAW file, where one of several reads its mosaic: this.

        Args:
            source: The file.
            factor: See ``chosen_for``; 0 for any size.
            development: Of its picture.
        """
        return self

    def accepts(self, source: Path | str) -> bool:
        """Whether a file among others is one to enlarge: for networks that read mosaics, a camera's RAW file."""
        return not (self.model.reads_mosaic or self.model.packed) or is_raw(Path(source))

    def _parts(
        self,
        pictures: Sequence[NDArray[Any]],
        size: tuple[int, int],
        on_progress: Progress | None,
        look: Look,
        constants: dict[str, Tensor] | None = None,
    ) -> Iterator[tuple[Box, Tensor]]:
        """The result in parts: their places in it, and their values ``(C, H, W)``.

        Args:
            pictures: The network's inputs; or colours and opacity, for colours multiplied by it.
            size: Height and width of the result; that of a network of one scale is resized to it as MATLAB does.
            on_progress: See ``array``.
            look: Is shown what the network gives, before it is clipped.
            constants: See ``array``.
        """
        height, width = pictures[0].shape[-2:]
        fits = size == enlarged_size(height, width, self.model.scale) and not self.model.any_scale
        wanted = None if fits else size
        if self.model.any_scale and (size[0] < height or size[1] < width):
            raise DataError(
                f"{width}x{height} pixels cannot become {size[1]}x{size[0]}: {self.model.title} only makes pictures "
                "larger; reduce it with model=bicubic"
            )
        reported = 0.0

        def report(share: float) -> None:
            nonlocal reported
            reported = min(1.0, max(share, reported))  # less where it began anew
            if on_progress:
                on_progress(reported)

        parts = self._enlargement(constants or {}, report).parts(pictures, wanted, look)
        grey, done = self._is_grey(pictures), 0
        while True:
            try:
                box, part = next(parts)
            except StopIteration:
                return
            except (RuntimeError, ValueError) as error:
                if min(height, width) >= SMALLEST or is_out_of_memory(error):
                    raise
                raise DataError(f"{width}x{height} pixels are too few for {type(self.model).__name__}") from error
            yield box, part.mean(0, keepdim=True) if grey and len(part) == 3 else part
            done += box.area
            report(done / (size[0] * size[1]))

    def _enlargement(self, constants: dict[str, Tensor], on_share: Progress) -> Enlargement:
        """What is computed, where and how, for the constants of one picture."""
        net, half = self._computed
        decoding = None
        if self.model.any_scale:
            both: Any = getattr(net, "net", net)
            net, decoding = both.features, Decoding(both, self.device, half)

        def forward(net: Forward, *inputs: Tensor) -> Tensor:
            return self._forward(WithConstants(net, self.model.inputs, constants).to(self.device), *inputs)

        return Enlargement(
            forward=partial(forward, net),
            resizing=decoding or MATLAB,
            each_flip=partial(forward, self_ensemble(net, self.ensemble)) if self.ensemble and not decoding else None,
            ensemble=self.ensemble,
            scale=1 if decoding else self.model.scale,
            field=partial(self.field, constants),
            multiple=self._multiple,
            device=self.device,
            autocast=half,
            tiling=self.tiling,
            tile=self.tile,
            memory=self._memory,
            programs={} if constants else self._programs_of_now(),  # they hold the constants
            note=lambda sentence: self.on_warning(sentence),
            on_share=on_share,
        )

    def _programs_of_now(self) -> dict[Any, Program | str]:
        """Those of earlier pictures, as long as no weight and no option changed: programs hold what follows of both."""
        weights = [] if self._model.cpu_only else [*self._model.parameters(), *self._model.buffers()]
        state = [(w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights]
        now = hash((self.back_projection, self.ensemble, tuple(state)))
        return self._programs.setdefault(now, {})

    def _replace_runaway(self, runaway: Runaway, out: NDArray[Any], bicubic: Callable[[Box], Tensor]) -> None:
        """Bicubic where the network's values are no colours; a word alone where bicubic is no way out."""
        if not runaway.blocks.any():
            return
        model = self.model
        share = f"{max(runaway.share, 0.001):.1%} of the picture"
        cause = f"{model.title} gives values far from any colour there"
        if not model.may_fall_back:
            self.on_warning(f"{share} may be wrong: {cause}, as on strong noise")
            return
        runaway.replace(out, bicubic)
        self.on_warning(f"{share} is enlarged bicubically: {cause}, as on strong noise; another network may do better")

    def _is_grey(self, pictures: Sequence[NDArray[Any]]) -> bool:
        lr = 0 if self.model.inputs == ("lr",) else -1  # opacity and mosaics have one channel, too
        return "lr" in self.model.inputs and pictures[lr].shape[0] == 1

    def raw(
        self,
        raw: RawPicture,
        reference: NDArray[Any] | None = None,
        *,
        bits: int = 16,
        on_progress: Progress | None = None,
    ) -> NDArray[Any]:
        """A camera's RAW picture for networks that read the mosaic: ``(sH, sW, 3)``, turned as it is to be shown.

        Args:
            raw: The mosaic.
            reference: The camera's picture ``(H, W, 3)``, of the same size and not turned; by default, it is made of
                the mosaic as in rawSR's training.
            bits: Of the result.
            on_progress: See ``array``.

        Raises:
            DataError: If the two have different sizes.
        """
        return upscale_mosaic(self.array, self.model, raw, reference, bits, on_progress)

    def _forward(self, net: Forward, *inputs: Tensor) -> Tensor:
        if self.model.inputs == ("lr",) and len(inputs) == 2:
            inputs = (inputs[0] * inputs[1],)  # colours as they show
        lr = inputs[-1]
        grey_for_rgb = lr.shape[1] == 1 and not self.model.luma and self.model.inputs == ("lr",)
        sr = net(*((lr.expand(-1, 3, -1, -1),) if grey_for_rgb else inputs))
        return back_project(sr.float(), lr, self.back_projection) if self.back_projection else sr


def _check_any_scale(model: Network, options: dict[str, Any]) -> None:
    """Refuses what is for networks of one scale alone."""
    for key, fine in (("engine", ("torch", "auto")), ("tiling", ("exact",)), ("back_projection", (0,)),
                      ("ensemble", (None, "mean"))):  # fmt: skip
        if options[key] not in fine:
            raise ConfigError(
                f"{key}={options[key]}: is for networks of one scale, not for {model.title}; choose {key}={fine[-1]}"
            )


def _part_of(on_progress: Progress | None, index: int, count: int) -> Progress | None:
    """What reports the progress on one picture of several as that on all of them."""
    return on_progress and (lambda share: on_progress((index + share) / count))


@torch.inference_mode()
def _put_levels(values: Tensor, place: NDArray[Any]) -> None:
    """Values ``(C, H, W)`` in [0, 1], as the nearest levels into ``(H, W, C)``."""
    place[:] = to_levels(values, 8 if place.dtype == np.uint8 else 16).permute(1, 2, 0).numpy()
