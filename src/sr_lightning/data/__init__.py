"""Data modules: one file for each set, over one store of decoded pictures."""

from sr_lightning.data.benchmarks import Benchmarks
from sr_lightning.data.div2k import DIV2K
from sr_lightning.data.flickr2k import Flickr2K
from sr_lightning.data.folder import Folder
from sr_lightning.data.hdf5 import HDF5
from sr_lightning.data.mixture import Mixture
from sr_lightning.data.module import PictureDataModule
from sr_lightning.data.pair_list import PairList
from sr_lightning.data.raw_synthesis import RawSRFiles, RawSynthesis
from sr_lightning.data.samples import Samples
from sr_lightning.data.srraw import SRRAW
from sr_lightning.data.t91 import T91

__all__ = [
    "DIV2K",
    "Flickr2K",
    "Folder",
    "HDF5",
    "Mixture",
    "PairList",
    "PictureDataModule",
    "SRRAW",
    "RawSRFiles",
    "RawSynthesis",
    "Samples",
    "T91",
    "Benchmarks",
]
