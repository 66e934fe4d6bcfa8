"""Corrects samples as a DNG asks for, where LibRaw does not: black levels of rows and columns, and gains."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.raw.dng_tags import DngTags, Opcode
from sr_lightning.data.files.raw.opcodes import gains, is_gain, is_warp, name_of
from sr_lightning.functional.levels import to_levels


def black_levels(raw: Any, tags: DngTags | None) -> NDArray[np.float32]:
    """What LibRaw subtracts from the visible samples, to be broadcast with them."""
    samples = raw.raw_image_visible
    by_channel = np.asarray(raw.black_level_per_channel, np.float32)
    if samples.ndim == 3:
        return by_channel[: samples.shape[-1]]
    if tags is not None and tags.black is not None and not _by_filters(tags):
        means = _rounded(tags.black_rows) + _rounded(tags.black_columns)
        return tiled(np.floor(tags.black), *samples.shape) + np.float32(means)
    if raw.num_colors == 1:
        return by_channel[:1]
    return by_channel[raw.raw_colors_visible]  # type: ignore[no-any-return]


def _by_filters(tags: DngTags) -> bool:
    """Whether black levels repeat as Bayer filters do: LibRaw knows them by their filters then."""
    assert tags.black is not None
    bayer = tags.filters is not None and tags.filters.shape == (2, 2)
    return bayer and all(side in (1, 2) for side in tags.black.shape)


def correct(raw: Any, tags: DngTags) -> list[str]:
    """Changes LibRaw's samples in place, and names the steps that are not taken.

    Gains of the third list belong to the demosaiced picture. They vary slowly, so they may as well come before.
    """
    left = [name_of(step) for step in tags.opcodes if not (is_gain(step) or is_warp(step))]
    left += [f"OpcodeList{stage} (damaged)" for stage in tags.damaged]
    steps = [step for step in tags.opcodes if is_gain(step)]
    if not (steps or tags.black_rows.size or tags.black_columns.size):
        return left
    visible, sizes, libraws_black = raw.raw_image_visible, raw.sizes, black_levels(raw, tags)
    values, black = visible.astype(np.float32), libraws_black + _deviations(tags, visible)
    planes = None if values.ndim == 3 else _planes(raw, tags)
    damaged = []
    for step in (step for step in steps if step.stage == 1):  # of samples as they are stored, with those around
        factors = np.ones(raw.raw_image.shape, np.float32)
        damaged += _multiply(factors, step, None)
        values *= factors[sizes.top_margin :, sizes.left_margin :][: values.shape[0], : values.shape[1]]
    values -= black
    for step in (step for step in steps if step.stage > 1):
        damaged += _multiply(values, step, planes if step.stage == 3 else None)
        np.minimum(values, raw.white_level - libraws_black, out=values)
    values += libraws_black
    visible[...] = to_levels(torch.from_numpy(values / 65535), bits=16).numpy()
    return [*left, *(f"{name_of(step)} (damaged)" for step in damaged)]


def _multiply(values: NDArray[np.float32], step: Opcode, planes: NDArray[Any] | None) -> list[Opcode]:
    """Multiplies samples by a step's gains, of which ``planes`` says the colours; returns the step if it is damaged."""
    try:
        for gain in gains(step, *values.shape[:2]):
            part = values[gain.rows, gain.columns]
            if values.ndim == 3:
                part = part if gain.plane is None else part[..., gain.plane : gain.plane + 1]
                part *= gain.factors[..., None]
            elif planes is None or gain.plane is None:
                part *= gain.factors
            else:
                np.multiply(part, gain.factors, out=part, where=planes[gain.rows, gain.columns] == gain.plane)
    except ValueError:
        return [step]
    return []


def _planes(raw: Any, tags: DngTags) -> NDArray[Any]:
    """The plane of colour that each visible sample belongs to; both greens are one."""
    if tags.filters is not None:
        return tiled(tags.filters, *raw.raw_image_visible.shape)
    return np.where(raw.raw_colors_visible == 3, 1, raw.raw_colors_visible)


def _deviations(tags: DngTags, samples: NDArray[Any]) -> NDArray[np.float32]:
    """Black levels of rows and columns, less the rounded means, which LibRaw has in its own."""
    height, width = samples.shape[:2]
    total = np.zeros((height, width), np.float32)
    if tags.black_rows.size == height:
        total += tags.black_rows[:, None] - _rounded(tags.black_rows)
    if tags.black_columns.size == width:
        total += tags.black_columns - _rounded(tags.black_columns)
    return total[..., None] if samples.ndim == 3 else total


def _rounded(added: NDArray[np.float32]) -> float:
    return float(np.trunc(added.mean() + 0.5)) if added.size else 0.0  # as LibRaw rounds, also below zero


def tiled(pattern: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """A pattern, repeated to fill a picture.

    Example:
        >>> tiled(np.array([[1, 2]]), 2, 3)
        array([[1, 2, 1],
               [1, 2, 1]])
    """
    return np.tile(pattern, (-(-height // pattern.shape[0]), -(-width // pattern.shape[1])))[:height, :width]
