"""Labels for an auxiliary task: edges, or the detail that enlarging cannot recover."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

Label = Literal["diff", "edge", "none"]
#: Folder of each label beside ``HR``.
FOLDERS: dict[Label, str] = {"diff": "Diff", "edge": "Edge"}


def edges(hr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pillow's ``FIND_EDGES``, then ``EDGE_ENHANCE_MORE``, of ``(H, W, 3)``.

    Example:
        >>> edges(np.full((4, 4, 3), 128, dtype=np.uint8))[1:-1, 1:-1].max()
        np.uint8(0)
    """
    image = Image.fromarray(hr).filter(ImageFilter.FIND_EDGES).filter(ImageFilter.EDGE_ENHANCE_MORE)
    return np.asarray(image)


def difference(hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``|HR - bicubic(LR)|``, then Pillow's ``EDGE_ENHANCE_MORE`` and ``DETAIL``.

    Bicubic by name: what Pillow takes where none is given has changed since the authors' files were made.

    Example:
        >>> grey = np.full((4, 4, 3), 128, dtype=np.uint8)
        >>> difference(grey, grey[:2, :2]).max()
        np.uint8(0)
    """
    residual_ = Image.fromarray(residual(hr, lr))
    return np.asarray(residual_.filter(ImageFilter.EDGE_ENHANCE_MORE).filter(ImageFilter.DETAIL))


def residual(hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``|HR - bicubic(LR)|``."""
    truth = Image.fromarray(hr)
    return np.asarray(ImageChops.difference(truth, Image.fromarray(lr).resize(truth.size, Image.Resampling.BICUBIC)))


def make_label(label: Label, hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label of one of the ``FOLDERS``."""
    return edges(hr) if label == "edge" else difference(hr, lr)
