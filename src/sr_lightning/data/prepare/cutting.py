"""Pairs of patches cut from whole pictures: what ``python -m sr_lightning.prepare input=FOLDER`` does.

A picture is rescaled, cropped to a multiple of the factor, shrunk, and enlarged again for networks that want LR of the
size of HR; all of that once, upright. The flipped and turned views are made of the results, so that the pair stays one
whatever way the view lies, and windows are cut from the views.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from sr_lightning.atomic import exclusive_write
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import find_pictures, is_16_bit, picture_size, read_picture
from sr_lightning.data.patches.levels import Planar, levels_of, pillow_resized, to_float, to_levels, to_uint16
from sr_lightning.data.patches.store import resized as by_matlab
from sr_lightning.data.prepare.cutting_options import CutOptions
from sr_lightning.data.prepare.patch_writers import FolderWriter, HDF5Writer, Patches, write_error
from sr_lightning.degradations.kernels import Kernel, correlate, gaussian_kernel, load_kernel
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.functional import dihedral, modcrop, rgb_to_y
from sr_lightning.functional.levels import rounded
from sr_lightning.version import __version__

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "antialias": Image.Resampling.LANCZOS,  # what Pillow called it
}


@dataclass(frozen=True)
class _Source:
    """The pictures to cut. Their sizes are read without decoding."""

    files: list[Path]
    sizes: list[tuple[int, int]]
    digest: str
    deep: bool

    @property
    def dtype(self) -> type:
        """The number of all patches."""
        return np.uint16 if self.deep else np.uint8


def cut(options: CutOptions) -> list[Path]:
    """Cuts all pictures and writes the patches. After a kill, the next call continues where it stopped.

    Returns:
        The HDF5 files, one for each factor unless LR has the size of HR; or the two folders of PNG files.

    Raises:
        ConfigError: If the options do not fit the pictures or what is at the output already.
        DataError: If a picture cannot be used or the disk is full.
    """
    kernel = _kernel(options)
    with errors_with_file(options.input):
        source = _source(options)
    try:
        with exclusive_write(Path(options.output or options.output_hr or ".")):
            return _cut_all(options, source, kernel)
    except OSError as error:
        raise write_error(error, Path(options.output or options.output_hr or ".")) from None


def _cut_all(options: CutOptions, source: _Source, kernel: Kernel | None) -> list[Path]:
    if not options.use_h5py:
        return _cut_to_folders(options, source, kernel)
    assert options.output is not None
    output = Path(options.output)
    if options.same_size or len(options.upscale_factor) == 1:
        return [_cut_to_hdf5(options, source, kernel, output)]
    # LR patches of several sizes do not go into one dataset.
    outputs = {f: output.with_name(f"{output.stem}_x{f}{output.suffix}") for f in options.upscale_factor}
    jobs = [(replace(options, upscale_factor=(factor,)), path) for factor, path in outputs.items()]
    return [_cut_to_hdf5(job, source, kernel, path) for job, path in jobs]


def windows(length: int, size: int, stride: int) -> int:
    """Windows of ``size`` pixels along an axis of ``length``, ``stride`` apart.

    cv_practise's rule: for a stride above the size, MATLAB's ``1:stride:length-size+1`` may have one more.

    Example:
        >>> windows(100, 41, 41), windows(100, 33, 14), windows(40, 41, 41)
        (2, 5, 0)
    """
    return min(length // stride, (length - size) // stride + 1) if length >= size else 0


def count_patches(height: int, width: int, options: CutOptions) -> int:
    """Counts the patches of a picture of this size.

    Example:
        >>> from sr_lightning.config import compose
        >>> cfg = compose("prepare", ["preset=vdsr", "output=vdsr.h5"])
        >>> count_patches(100, 200, CutOptions.from_config(cfg))
        624
    """
    upright = sum(op < 4 for op in options.ops)
    total = 0
    for factor in options.upscale_factor:
        for scale in options.scales:
            rows, columns = (n - n % factor for n in _scaled((height, width), scale))
            for times, (h, w) in ((upright, (rows, columns)), (len(options.ops) - upright, (columns, rows))):
                total += times * windows(h, options.height, options.stride) * windows(w, options.width, options.stride)
    return total * len(options.upsampling)


def cut_picture(picture: Planar, options: CutOptions, kernel: Kernel | None = None) -> Iterator[tuple[int, Patches]]:
    """The patches of one picture, a row of windows at a time.

    Args:
        picture: ``(1, H, W)`` or ``(3, H, W)``, uint8 or uint16, of the channels wanted.
        options: Factors, scales, ways to resize, views and windows, looped over in this order.
        kernel: Blur of HR before it is shrunk.

    Yields:
        The factor, and arrays ``(n, h, w)`` or ``(n, h, w, 3)`` named ``hr``, ``lr``, ``hr_x2`` and so on.
    """
    for factor in options.upscale_factor:
        for scale in options.scales:
            size = _scaled(picture.shape[1:], scale)
            if min(size) < factor:
                continue
            hr = modcrop(torch.from_numpy(resized(picture, size, "bicubic")), factor).numpy()
            for kind in options.upsampling:
                made = _pair(hr, factor, kind, options, kernel)
                for op in options.ops:
                    views = {key: dihedral(torch.from_numpy(p), op).numpy() for key, p in made.items()}
                    for patches in _windows_of(views, options):
                        yield factor, patches


def resized(picture: Planar, size: tuple[int, int], kind: str) -> Planar:
    """``(C, H, W)`` uint8 or uint16 to ``(C, *size)``: MATLAB's bicubic, or Pillow's other ways.

    Pillow's bilinear and Lanczos (``antialias``) average over all pixels when they shrink; nearest does not.
    """
    if picture.shape[1:] == size:
        return picture
    return by_matlab(picture, size=size) if kind == "bicubic" else pillow_resized(picture, size, _PILLOW[kind])


def _pair(hr: Planar, factor: int, kind: str, options: CutOptions, kernel: Kernel | None) -> dict[str, Planar]:
    """HR, LR and the targets between them, of one whole upright picture."""
    height, width = hr.shape[1:]
    blurred = hr
    if kernel is not None:
        blurred = _rounded(correlate(to_float(hr)[None], kernel)[0], hr.dtype)
    lr = resized(blurred, (height // factor, width // factor), kind)
    made = {"hr": hr, "lr": resized(lr, (height, width), kind) if options.same_size else lr}
    for target in options.targets:
        if target != factor:
            made[f"hr_x{target}"] = resized(hr, (height * target // factor, width * target // factor), kind)
    return made


def _windows_of(views: dict[str, Planar], options: CutOptions) -> Iterator[Patches]:
    height, width = views["hr"].shape[1:]
    rows, columns = windows(height, options.height, options.stride), windows(width, options.width, options.stride)
    if not rows or not columns:
        return
    p = options.padding
    strips: dict[str, tuple[np.ndarray, int]] = {}
    for key, view in views.items():
        ratio = height // view.shape[1]
        all_windows = sliding_window_view(view, (options.height // ratio, options.width // ratio), axis=(1, 2))
        if key == "hr" and p:
            all_windows = all_windows[..., p:-p, p:-p]
        strips[key] = all_windows, options.stride // ratio
    for row in range(rows):
        cut_row = {key: w[:, row * step, : columns * step : step] for key, (w, step) in strips.items()}
        yield {key: w[0] if len(w) == 1 else np.moveaxis(w, 0, -1) for key, w in cut_row.items()}


def _cut_to_hdf5(options: CutOptions, source: _Source, kernel: Kernel | None, output: Path) -> Path:
    counts = _counts(options, source)
    starts = list(accumulate(counts, initial=0))
    recipe = {"options": _recipe(options), "source": source.digest}
    writer = HDF5Writer(output, _shapes(options), starts[-1], recipe, options.seed, source.dtype)
    if writer.finished:
        print(f"{output}: holds these {starts[-1]} patches already")
        return output
    with writer:
        for index, path in _remaining(source.files, writer.done, f"cutting {output.name}"):
            start = starts[index]
            for _, patches in cut_picture(_read(path, source.sizes[index], source.deep, options), options, kernel):
                writer.write(start, patches)
                start += len(patches["hr"])
            assert start == starts[index + 1]
            writer.note(index + 1, now=index + 1 == len(source.files))
        factor = options.upscale_factor[0]
        attributes = {
            "scale": 1 if options.same_size else factor,
            "upscale_factor": list(options.upscale_factor),
            "color": "y" if options.single_y else "rgb",
            "command": json.dumps(asdict(options)),
            "version": __version__,
        }
        # HR is its own target at the whole factor.
        links = {f"hr_x{factor}": "hr"} if factor in options.targets else {}
        writer.finish(attributes, links, options.gzip)
    shapes = ", ".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in _shapes(options).items())
    print(f"{output}: {starts[-1]} patches of {len(source.files)} pictures, {shapes}{_unused(counts)}")
    return output


def _cut_to_folders(options: CutOptions, source: _Source, kernel: Kernel | None) -> list[Path]:
    assert options.output_hr is not None
    assert options.output_lr is not None
    counts = _counts(options, source)
    hr, lr = Path(options.output_hr), Path(options.output_lr)
    recipe = {"options": _recipe(options), "source": source.digest}
    writer = FolderWriter(hr, lr, recipe, len(source.files))
    for index, path in _remaining(source.files, writer.done, "cutting"):
        number = 0
        for factor, patches in cut_picture(_read(path, source.sizes[index], source.deep, options), options, kernel):
            writer.write(path.name, number, factor, patches)
            number += len(patches["hr"])
        assert number == counts[index]
        writer.note(index + 1)
    print(f"{hr}, {lr}: {sum(counts)} pairs of {len(source.files)} pictures{_unused(counts)}")
    return [hr, lr]


def _source(options: CutOptions) -> _Source:
    from rich.progress import track

    files = find_pictures(Path(options.input))
    if options.number is not None:
        if options.number > len(files):
            raise ConfigError(f"number={options.number}: {options.input} has only {len(files)} pictures")
        files = files[: options.number]
    digest, sizes, deep = hashlib.sha256(), [], False
    for path in track(files, description=f"looking at {len(files)} pictures"):
        sizes.append(picture_size(path))
        deep |= is_16_bit(path)
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return _Source(files, sizes, digest.hexdigest(), deep)


def _counts(options: CutOptions, source: _Source) -> list[int]:
    counts = [count_patches(*size, options) for size in source.sizes]
    if not any(counts):
        height, width = max(source.sizes, key=min)
        raise ConfigError(
            f"width={options.width} height={options.height} stride={options.stride}: too large for all pictures "
            f"of {options.input}, the largest has {height}x{width} before scales={list(options.scales)}; choose less"
        )
    return counts


def _unused(counts: Sequence[int]) -> str:
    empty = sum(not count for count in counts)
    return f"; {empty} pictures are smaller than a window" if empty else ""


def _remaining(files: Sequence[Path], done: int, what: str) -> Iterable[tuple[int, Path]]:
    from rich.progress import track

    indexed = list(enumerate(files))[done:]
    return track(indexed, description=what, total=len(files), completed=done) if indexed else []


def _read(path: Path, size: tuple[int, int], deep: bool, options: CutOptions) -> Planar:
    picture = read_picture(path).transpose(2, 0, 1)
    if picture.dtype == np.uint16 and not deep:
        raise PictureError(f"{path}: has 16 bit, but its header says 8; save it again")
    picture = to_uint16(picture) if deep else picture
    if picture.shape[1:] != size:
        raise PictureError(f"{path}: has {picture.shape[1:]} pixels, but its header says {size}; save it again")
    if not options.single_y:
        return np.ascontiguousarray(np.broadcast_to(picture, (3, *size)))
    # A grey picture is its own luma, as in MATLAB's scripts.
    return np.ascontiguousarray(picture) if len(picture) == 1 else _rounded(rgb_to_y(to_float(picture)), picture.dtype)


def _kernel(options: CutOptions) -> Kernel | None:
    if options.kernel is not None:
        return load_kernel(Path(options.kernel))
    return None if options.kernel_size == 1 else gaussian_kernel(options.kernel_size, options.kernel_sigma)


def _shapes(options: CutOptions) -> dict[str, tuple[int, ...]]:
    """Shape of a patch in each dataset."""
    factor, color = options.upscale_factor[0], () if options.single_y else (3,)
    size = np.array([options.height, options.width])
    sides = {"lr": size if options.same_size else size // factor, "hr": size - 2 * options.padding}
    sides |= {f"hr_x{target}": size * target // factor for target in options.targets if target != factor}
    return {key: (*side.tolist(), *color) for key, side in sides.items()}


def _recipe(options: CutOptions) -> dict[str, object]:
    """The options that decide the content of patches: all but paths."""
    return {key: value for key, value in asdict(options).items() if key not in _PLACES}


_PLACES = ("input", "output", "output_hr", "output_lr", "number")


def _scaled(size: Sequence[int], scale: float) -> tuple[int, int]:
    """Truncates in floating point (0.7 * 90 is 62), as the published numbers of patches require."""
    height, width = (int(n * scale) for n in size)
    return height, width


def _rounded(picture: torch.Tensor, dtype: Any) -> Planar:
    return to_levels(rounded(picture, levels_of(dtype)), dtype)
