"""A picture at once, in strips or in tiles: what fits into memory, with the values of the whole picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.errors import CheckpointError
from sr_lightning.inference.engines.network import Field
from sr_lightning.inference.memory import is_out_of_memory, memory_for_features
from sr_lightning.inference.settings import Ensemble, Tiling
from sr_lightning.inference.strips import upscale_strips
from sr_lightning.inference.tiles.blending import blend_tiles
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.overlap import paper_tiles
from sr_lightning.inference.tiles.resizing import MATLAB, Parts, Resizing, resized_parts
from sr_lightning.inference.tiles.tile_size import tile_size
from sr_lightning.inference.tiles.tiling import Forward, Look, upscale_tiles
from sr_lightning.strips.memory import COMFORT
from sr_lightning.strips.program import NoStripsError, Program
from sr_lightning.strips.whole import LOWEST, SMALL, tried_program

#: Bytes below which strips are given up for tiles.
_LEAST = 8e6


@dataclass(frozen=True)
class Enlargement:
    """How a network enlarges pictures.

    Args:
        forward: Batches ``(1, C, H, W)`` of the pictures to ``(1, C, scale * H, scale * W)``.
        resizing: How what that gives becomes a result of another size. A network of any scale gives features, which
            become pixels here: every result is of another size then.
        each_flip: ``forward`` with self-ensemble, or None.
        ensemble: How the results of flips become one, or None.
        scale: Whole factor of enlargement.
        field: Gives what each tile sees of its surroundings.
        multiple: Strips and tiles begin on multiples of this, 2 for mosaics.
        device: Where ``forward`` computes.
        autocast: Half precision to compute in, or None.
        tiling: ``"exact"``, or as papers' code has it.
        tile: Largest side of a tile; None for strips, and for tiles that fill the memory where there can be none.
        memory: Bytes that features may take; None for a share of what is free.
        programs: Of networks that were met before, by channels and precision; or why there is none.
        note: Is told, once, that tiles are computed where strips cannot be.
        on_share: Is told the share that is done of what takes several passes.
    """

    forward: Forward
    resizing: Resizing
    each_flip: Forward | None
    ensemble: Ensemble | None
    scale: int
    field: Callable[[], Field]
    multiple: int
    device: torch.device
    autocast: torch.dtype | None
    tiling: Tiling
    tile: int | None
    memory: float | None
    programs: dict[Any, Program | str]
    note: Callable[[str], None]
    on_share: Callable[[float], None]

    def parts(self, pictures: Sequence[NDArray[Any]], size: tuple[int, int] | None, look: Look) -> Parts:
        """The result in parts: their places in it, and their values ``(C, H, W)``, float32 on the CPU.

        Where strips or blended tiles run out of memory, or half precision out of range, the result begins anew, from
        its first row.

        Args:
            pictures: The inputs, of the same height and width.
            size: Height and width of the result, if not ``scale`` times those of the pictures.
            look: Is shown what the network gives, before it is clipped: values, place, and size of the whole.
        """
        if self.tiling != "exact":
            return self._paper_tiles(pictures, size, look)
        if self.resizing is not MATLAB:
            assert size is not None
            if self.ensemble is None:
                return _looked_at(self._decoded(pictures, size), size, look)
            return mean_of_flips(self._decoded, pictures, size, None, look, self.on_share)
        height, width = pictures[0].shape[-2:]
        if self.tile is None and self._may_be_cut(height, width):
            program = self._program(pictures, self.autocast)
            if isinstance(program, Program) and self.ensemble is None:
                return self._strips(program, pictures, size, look)
            if isinstance(program, Program):
                native = height * self.scale, width * self.scale
                return mean_of_flips(partial(self._native, program), pictures, native, size, look, self.on_share)
        return self._tiles(pictures, size, look)

    def _native(self, program: Program, pictures: Sequence[NDArray[Any]], size: tuple[int, int]) -> Parts:
        """The result of ``scale``, whatever its size."""
        return self._strips(program, pictures, None, _unseen)

    def _decoded(self, pictures: Sequence[NDArray[Any]], size: tuple[int, int]) -> Parts:
        """The result of a network of any scale."""
        if self.tile is None and self._may_be_cut(*pictures[0].shape[-2:]):
            return self._strips(self._program(pictures, self.autocast), pictures, size, None)
        return self._tiles(pictures, size, None)

    def _may_be_cut(self, height: int, width: int) -> bool:
        """Whether a picture is large enough for strips, and its sides are none that the network fills up."""
        lowest = height if self.ensemble is None else min(height, width)
        uneven = height % self.multiple or width % self.multiple
        return height * width > SMALL and lowest >= LOWEST and not uneven and self.ensemble != "median"

    def _strips(
        self, program: Program | str, pictures: Sequence[NDArray[Any]], size: tuple[int, int] | None, look: Look | None
    ) -> Parts:
        budget = self._budget()
        while isinstance(program, Program) and budget > _LEAST:
            try:
                options = self._options(look) | {"resizing": self.resizing}
                yield from upscale_strips(program, pictures, self.scale, budget=budget, size=size, **options)
                return
            except NoStripsError:  # they do not fit
                break
            except CheckpointError:
                full = self._program(pictures, None)
                if self.autocast is None or program is full:
                    raise
                program = full  # numbers beyond half precision's range
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                budget = min(budget, COMFORT) / 2
        yield from self._tiles(pictures, size, look)

    def _tiles(self, pictures: Sequence[NDArray[Any]], size: tuple[int, int] | None, look: Look | None) -> Parts:
        forward, tile = self.each_flip or self.forward, self.tile
        if tile is None:
            tile = self._tile_size(forward, pictures)
            self._tell(tile, pictures[0].shape[-2:])
        options = self._options(look) | {"autocast": self.autocast, "tile": tile, "resizing": self.resizing}
        blended = max(pictures[0].shape[-2:]) > tile and self.field().everywhere
        in_tiles = blend_tiles if blended else upscale_tiles
        return in_tiles(forward, pictures, self.scale, size=size, **options)

    def _paper_tiles(self, pictures: Sequence[NDArray[Any]], size: tuple[int, int] | None, look: Look) -> Parts:
        assert self.tiling != "exact" and self.tile is not None
        forward, options = self.each_flip or self.forward, self._options(look) | {"autocast": self.autocast}
        parts = paper_tiles(forward, pictures, self.scale, how=self.tiling, tile=self.tile, **options)
        if size is None:
            return parts
        (one,) = parts  # of all pixels
        return resized_parts(iter([one]), (one[0].bottom, one[0].right), size)

    def _options(self, look: Look | None) -> dict[str, Any]:
        """What strips and tiles have in common."""
        return {"halo": self._halo, "multiple": self.multiple, "device": self.device, "look": look}

    def _tile_size(self, forward: Forward, pictures: Sequence[NDArray[Any]]) -> int:
        height, width = pictures[0].shape[-2:]
        if height * width <= SMALL:
            return int(max(height, width))
        channels = [len(picture) for picture in pictures]
        options: dict[str, Any] = {"device": self.device, "autocast": self.autocast}
        return tile_size(forward, channels, self._budget(), self._halo, (height, width), **options)

    def _halo(self) -> int:
        return self.field().halo

    def _budget(self) -> float:
        return self.memory if self.memory is not None else memory_for_features(self.device)

    def _program(self, pictures: Sequence[NDArray[Any]], autocast: torch.dtype | None) -> Program | str:
        """The network as steps for strips, or what it has that there can be no strips of."""
        channels = [len(picture) for picture in pictures]
        key = tuple(channels), autocast
        if key not in self.programs:
            try:
                self.programs[key] = tried_program(
                    self.forward, channels, device=self.device, autocast=autocast, multiple=self.multiple
                )
            except NoStripsError as reason:
                self.programs[key] = str(reason)
        return self.programs[key]

    def _tell(self, tile: int, shape: tuple[int, ...]) -> None:
        reasons = [program for program in self.programs.values() if isinstance(program, str)]
        if max(shape) > tile and "told" not in self.programs and (reasons or self.field().everywhere):
            self.programs["told"] = ""
            why = f" ({reasons[0]})" if reasons else ""
            self.note(
                f"is computed in tiles of {tile} pixels, because the network has a layer that may look at the whole "
                f"picture{why}; the result may differ a little from that of tile={max(shape)}, which takes "
                "more memory"
            )


def mean_of_flips(
    parts: Callable[..., Parts],
    pictures: Sequence[NDArray[Any]],
    made: tuple[int, int],
    size: tuple[int, int] | None,
    look: Look,
    on_share: Callable[[float], None],
) -> Parts:
    """The mean of what a network makes of the eight flips and turns of a whole picture, held in floating point.

    Args:
        parts: Pictures, and the size of what is made of them, to the parts of that.
        pictures: The inputs ``(C, H, W)``, of the same height and width.
        made: That size, height and width.
        size: Height and width of the result, if it is another size.
        look: As for ``upscale_tiles``.
        on_share: Is told the share that is done.
    """
    height, width = made
    one: NDArray[np.float32] | None = None
    total: NDArray[np.float32] | None = None
    for number, view in enumerate(_VIEWS):
        turned = made[::-1] if number >= len(_VIEWS) // 2 else made  # the second half lies on its side
        for box, values in parts([view(picture) for picture in pictures], turned):
            one = np.empty((len(values), height, width), np.float32) if one is None else one
            view(one)[:, *box.slices] = values.numpy()  # not added: a part may come again, where strips began anew
            on_share((number + box.bottom / turned[0]) / len(_VIEWS))
        assert one is not None
        share = one * np.float32(1 / len(_VIEWS))
        total = share if total is None else np.add(total, share, out=total)
    assert total is not None
    strips = (Box(top, min(top + _ROWS, height), 0, width) for top in range(0, height, _ROWS))
    shown = _looked_at(((box, torch.from_numpy(total[:, box.top : box.bottom])) for box in strips), made, look)
    yield from shown if size is None else resized_parts(shown, made, size)


_ROWS = 64


def _looked_at(parts: Parts, size: tuple[int, int], look: Look) -> Parts:
    for box, values in parts:
        look(values, box, size)
        yield box, values


def _unseen(values: Tensor, box: Box, size: tuple[int, int]) -> None:
    """One of eight is no result."""


def _turned(picture: NDArray[Any], transpose: bool, rows: int, columns: int) -> NDArray[Any]:
    picture = picture[:, ::rows, ::columns]
    return picture.swapaxes(1, 2) if transpose else picture


_VIEWS = [
    partial(_turned, transpose=transpose, rows=rows, columns=columns)
    for transpose in (False, True)
    for rows in (1, -1)
    for columns in (1, -1)
]
