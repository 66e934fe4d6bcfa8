"""Data modules: one file for each set, over one store of decoded pictures."""

from typing import TYPE_CHECKING

from sr_lightning.lazy import imported_at_first_use

if TYPE_CHECKING:
    from sr_lightning.data.patches.datamodule import PictureDataModule
    from sr_lightning.data.raw_sr import RawToRaw
    from sr_lightning.data.raw_synthesis import RawSRFiles, RawSynthesis
    from sr_lightning.data.sets.benchmarks import Benchmarks
    from sr_lightning.data.sets.div2k import DIV2K
    from sr_lightning.data.sets.flickr2k import Flickr2K
    from sr_lightning.data.sets.folder import Folder
    from sr_lightning.data.sets.hdf5 import HDF5
    from sr_lightning.data.sets.mixture import Mixture
    from sr_lightning.data.sets.pair_list import PairList
    from sr_lightning.data.sets.samples import Samples
    from sr_lightning.data.sets.t91 import T91
    from sr_lightning.data.srraw import SRRAW

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
    "RawToRaw",
    "Samples",
    "T91",
    "Benchmarks",
]

if not TYPE_CHECKING:  # at first use: who only reads pictures needs no data set, and no Lightning
    __getattr__ = imported_at_first_use(
        __name__,
        {
            "PictureDataModule": "patches.datamodule",
            "RawSRFiles": "raw_synthesis",
            "RawSynthesis": "raw_synthesis",
            "RawToRaw": "raw_sr",
            "Benchmarks": "sets.benchmarks",
            "DIV2K": "sets.div2k",
            "Flickr2K": "sets.flickr2k",
            "Folder": "sets.folder",
            "HDF5": "sets.hdf5",
            "Mixture": "sets.mixture",
            "PairList": "sets.pair_list",
            "Samples": "sets.samples",
            "T91": "sets.t91",
            "SRRAW": "srraw",
        },
    )
