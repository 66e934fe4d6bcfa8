"""Pure tensor functions: resizing, colour, geometry and the metrics' formulas."""

from sr_lightning.functional.blockiness import blockiness
from sr_lightning.functional.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from sr_lightning.functional.geometry import dihedral, modcrop, shave, undo_dihedral
from sr_lightning.functional.ifc import ifc
from sr_lightning.functional.levels import as_unit, round_8bit, to_levels
from sr_lightning.functional.noise_estimate import noise_estimate
from sr_lightning.functional.psnr import psnr
from sr_lightning.functional.resize import imresize, resize_matrix
from sr_lightning.functional.ssim import ms_ssim, ssim

__all__ = [
    "blockiness",
    "dihedral",
    "ifc",
    "imresize",
    "modcrop",
    "ms_ssim",
    "noise_estimate",
    "psnr",
    "resize_matrix",
    "rgb_to_y",
    "rgb_to_ycbcr",
    "as_unit",
    "round_8bit",
    "to_levels",
    "shave",
    "ssim",
    "undo_dihedral",
    "ycbcr_to_rgb",
]
