"""SR-RAW: real pairs of pictures, taken with a longer and a shorter focal length, and the mosaics behind them."""

from sr_lightning.data.srraw.module import SRRAW

__all__ = ["SRRAW"]
