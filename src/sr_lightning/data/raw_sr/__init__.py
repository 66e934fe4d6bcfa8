"""Pairs of packed mosaics, for networks from RAW to RAW."""

from sr_lightning.data.raw_sr.camera import CoarseCamera
from sr_lightning.data.raw_sr.module import RawToRaw
from sr_lightning.data.raw_sr.npz import read_npz, write_npz

__all__ = ["CoarseCamera", "RawToRaw", "read_npz", "write_npz"]
