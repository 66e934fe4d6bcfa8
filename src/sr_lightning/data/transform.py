"""The user's own albumentations, done alike to HR and LR patches."""

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.errors import ConfigError

# albumentations asks the network for a newer version of itself whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


class JointTransform:
    """Albumentations with the same random parameters for HR and LR patch, from a seed alone.

    Only what does the same to both can be used: changes of colour, flips and quarter turns. That is checked: of a
    picture enlarged by repeating pixels, the transform must make the enlarged transform of the picture.

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

    def __call__(self, pictures: Sequence[NDArray[Any]], seed: int) -> None:
        """Changes the ``(C, H, W)`` pictures of one patch in place, all with the same parameters."""
        if len(pictures) not in self._pipelines:
            self._pipelines[len(pictures)] = _pipeline(self.transforms, len(pictures))
        for picture, changed in zip(pictures, _changed(self._pipelines[len(pictures)], pictures, seed), strict=True):
            picture[...] = changed


def _pipeline(transforms: Sequence[Any], count: int) -> Any:
    import albumentations

    others = {f"image{i}": "image" for i in range(1, count)}
    return albumentations.Compose(list(transforms), additional_targets=others, is_check_shapes=False)


def _changed(pipeline: Any, pictures: Sequence[NDArray[Any]], seed: int) -> list[NDArray[Any]]:
    names = ["image", *(f"image{i}" for i in range(1, len(pictures)))]
    pipeline.set_random_seed(seed % 2**32)
    given = {name: np.ascontiguousarray(p.transpose(1, 2, 0)) for name, p in zip(names, pictures, strict=True)}
    changed = pipeline(**given)
    return [changed[name].transpose(2, 0, 1) for name in names]


def _check(transform: Any) -> None:
    """Refuses what does not commute with enlarging by repeated pixels."""
    always = copy.deepcopy(transform)
    always.p = 1.0
    lr = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    hr = lr.repeat(2, 1).repeat(2, 2)
    pipeline = _pipeline([always], 2)
    for seed in range(8):
        try:
            hr_changed, lr_changed = _changed(pipeline, [hr, lr], seed)
            same = hr_changed.shape == hr.shape and lr_changed.shape == lr.shape
            # One level on average: a mean of all pixels, on which contrast depends, rounds in its own way.
            same = same and np.abs(lr_changed.repeat(2, 1).repeat(2, 2).astype(int) - hr_changed).mean() <= 1
        # Whatever it trips over has to do with the two sizes.
        except Exception:
            same = False
        if not same:
            raise ConfigError(
                f"data.transform: {type(transform).__name__} does not do the same to LR and HR patches; changes of "
                "colour, flips and quarter turns do. Cropping is data.patch_size, blur, noise and JPEG degradation="
            )
