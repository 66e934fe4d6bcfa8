"""The user's own albumentations, applied equally to HR and LR patches."""

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.patches.levels import to_levels
from sr_lightning.errors import ConfigError

# albumentations asks the network for a newer version of itself whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

#: Draws that each transform is tried with.
SEEDS = 8
#: Levels of 255 by which LR may lie from HR on the average of all draws: strong changes of colour clip, and hue is not
#: linear (0.8), while 16 levels of grey (2.6) or equalised histograms (10 and more) are no longer a pair.
MAX_MEAN_DIFFERENCE = 1.3
#: The same of a single pixel that was enlarged: what is drawn somewhere falls on other pixels of HR and LR.
MAX_DIFFERENCE = 16
#: Levels of 255 between what is made of 8 and of 16 bit.
MAX_16_BIT_DIFFERENCE = 3


class JointTransform:
    """Applies albumentations to HR and LR patch with the same random parameters, which depend only on a seed.

    Only what does the same to both, and leaves them pictures of their type, can be used: changes of colour, flips and
    quarter turns. That is checked of each transform, however deep in others and however improbable: of a picture
    enlarged by repeating pixels it must make the enlarged transform of the picture, and of a picture made smaller
    about the smaller transform of it.

    Patches of 16 bit are given to the transforms as numbers from 0 to 1, since few take anything else but 8 bit.

    Args:
        transforms: From albumentations, in the order they are taken.

    Raises:
        ConfigError: If one is none of albumentations', or does not do the same to both.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        import albumentations

        for transform in transforms:
            if not isinstance(transform, albumentations.BasicTransform | albumentations.BaseCompose):
                raise ConfigError(
                    f"data.transform: {transform!r} is not of albumentations; "
                    "each entry needs a _target_ such as albumentations.ColorJitter"
                )
            _check(transform)
        self.transforms = list(transforms)
        self._pipelines: dict[int, Any] = {}

    def check_16_bit(self) -> None:
        """Tries the transforms on 16 bit.

        Raises:
            ConfigError: If one does something else to them than to 8 bit.
        """
        for transform in self.transforms:
            _check(transform, deep=True)

    def __call__(self, pictures: Sequence[NDArray[Any]], seed: int) -> None:
        """Changes the ``(C, H, W)`` pictures of one patch, uint8 or uint16, in place, all with the same parameters."""
        if len(pictures) not in self._pipelines:
            self._pipelines[len(pictures)] = _pipeline(self.transforms, len(pictures))
        try:
            changed = _changed(self._pipelines[len(pictures)], pictures, seed)
        except ValueError as error:
            raise ConfigError(
                f"data.transform: a patch cannot be changed ({error}); leave that transform out"
            ) from None
        for picture, result in zip(pictures, changed, strict=True):
            picture[...] = result


def _pipeline(transforms: Sequence[Any], count: int) -> Any:
    import albumentations

    others = {f"image{i}": "image" for i in range(1, count)}
    return albumentations.Compose(list(transforms), additional_targets=others, is_check_shapes=False)


def _changed(pipeline: Any, pictures: Sequence[NDArray[Any]], seed: int) -> list[NDArray[Any]]:
    names = ["image", *(f"image{i}" for i in range(1, len(pictures)))]
    pipeline.set_random_seed(seed % 2**32)
    inputs = {name: np.ascontiguousarray(p.transpose(1, 2, 0)) for name, p in zip(names, pictures, strict=True)}
    if any(picture.dtype == np.uint16 for picture in pictures):
        inputs = {name: p.astype(np.float32) / np.iinfo(p.dtype).max for name, p in inputs.items()}
    changed = pipeline(**inputs)
    for name, before in inputs.items():
        after = changed[name]
        if after.dtype != before.dtype:
            raise ValueError(f"it makes {after.dtype} of {before.dtype}; they become floating point afterwards anyway")
        if after.shape != before.shape:
            raise ValueError("it changes the size of patches")
    planar = [changed[name].transpose(2, 0, 1) for name in names]
    if planar[0].dtype == pictures[0].dtype:
        return planar
    return [to_levels(torch.from_numpy(p.clip(0, 1)), old.dtype) for p, old in zip(planar, pictures, strict=True)]


def _check(transform: Any, deep: bool = False, within: str = "") -> None:
    """Refuses what does not commute with enlarging and shrinking, in all that the transform consists of."""
    import albumentations

    name = type(transform).__name__
    if isinstance(transform, albumentations.BaseCompose):
        for part in transform.transforms:
            _check(part, deep, f", within {name},")
    always = copy.deepcopy(transform)
    always.p = 1.0
    pipeline = _pipeline([always], 2)
    try:
        reason = _difference(pipeline, deep)
    # Whatever it trips over has to do with the two sizes, or with their type.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    if reason:
        raise ConfigError(
            f"data.transform: {name}{within} does not do the same to LR and HR patches{' of 16 bit' if deep else ''} "
            f"({reason:.120}); changes of colour, flips and quarter turns do. Cropping is data.patch_size, blur, noise "
            "and JPEG degradation="
        )


def _difference(pipeline: Any, deep: bool) -> str:
    """What tells HR and LR apart after the transform, in words; empty if nothing does."""
    factor = 257 if deep else 1  # 255 becomes 65535
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    hr, shrunk = _scene(), []
    pairs = [(noise.repeat(2, 1).repeat(2, 2), noise), (hr, _half(hr).round().astype(np.uint8))]
    for seed in range(SEEDS):
        results = []
        for pair in pairs:
            inputs = [picture * np.asarray(factor, np.uint16 if deep else np.uint8) for picture in pair]
            results.append([picture / factor for picture in _changed(pipeline, inputs, seed)])
            if deep:
                plain = _changed(pipeline, list(pair), seed)
                if max(np.abs(a - b).mean() for a, b in zip(results[-1], plain, strict=True)) > MAX_16_BIT_DIFFERENCE:
                    return "it changes 8-bit pictures in another way"
        (large, small), (scene, small_scene) = results
        distance = np.abs(small.repeat(2, 1).repeat(2, 2) - large)
        # One level on average: a mean of all pixels, on which contrast depends, rounds in its own way.
        if distance.mean() > 1 or distance.max() > MAX_DIFFERENCE:
            return "it looks at more than one pixel at a time, or at the size"
        shrunk.append(np.abs(_half(scene) - small_scene).mean())
    return "" if np.mean(shrunk) <= MAX_MEAN_DIFFERENCE else "LR is no longer the smaller HR"


def _scene() -> NDArray[np.uint8]:
    """Smooth colours, half of them with a texture of brightness, which changes of hue and saturation keep."""
    generator, side = np.random.default_rng(0), 64
    colours = generator.uniform(90, 160, (3, 4, 4)).repeat(side // 4, 1).repeat(side // 4, 2)
    texture = 1 + generator.normal(0, 0.18, (side, side)).clip(-0.45, 0.45) * (np.arange(side) >= side // 2)
    scene: NDArray[np.uint8] = (colours * texture).round().astype(np.uint8)
    return scene


def _half(picture: NDArray[Any]) -> NDArray[Any]:
    channels, height, width = picture.shape
    half: NDArray[Any] = picture.reshape(channels, height // 2, 2, width // 2, 2).mean((2, 4))
    return half
