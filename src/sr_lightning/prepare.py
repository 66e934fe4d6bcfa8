"""``python -m sr_lightning.prepare``: download, check and decode a data set, or cut pictures into patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sr_lightning.cli.start import run
from sr_lightning.config import build
from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

    from sr_lightning.data import PictureDataModule


def prepare(cfg: DictConfig) -> PictureDataModule | list[Path]:
    """Cuts the pictures of ``input`` into patches. Without ``input``, decodes the data set into the cache.

    Returns:
        The files or folders of patches, or the data set, ready for training.

    Raises:
        SRError: If an option is invalid, pictures are missing or unusable, or the download failed.

    Example:
        >>> from sr_lightning.config import compose
        >>> data = prepare(compose("prepare", ["data=samples"]))
        training: 7 pictures, LR made of them at scale 2, patches of 64x64
        validation, samples: 2 pictures
        cache: ...
    """
    if cfg.input is not None:
        return cut_patches(cfg)
    if cfg.use_h5py or any(cfg[key] is not None for key in ("output", "output_hr", "output_lr")):
        raise ConfigError("input is missing; type input=FOLDER to cut its pictures into patches")
    return decode(cfg)


def cut_patches(cfg: DictConfig) -> list[Path]:
    """Cuts a folder of pictures into pairs of patches."""
    from sr_lightning.data.prepare.cutting import cut
    from sr_lightning.data.prepare.cutting_options import CutOptions

    return cut(CutOptions.from_config(cfg))


def decode(cfg: DictConfig) -> PictureDataModule:
    """Decodes the data set that the config describes into the cache. ``download=true`` downloads it first.

    ``write=FOLDER`` writes the photographs of ``data=raw_synthesis`` as files in rawSR's layout.
    """
    from pathlib import Path

    from sr_lightning.data.prepare.shard_writing import write_shards
    from sr_lightning.data.raw_synthesis import RawSynthesis
    from sr_lightning.data.srraw import SRRAW
    from sr_lightning.errors import DataError, PictureError

    data: PictureDataModule = build(cfg.data)
    if cfg.write is not None and not isinstance(data, RawSynthesis):
        raise ConfigError("write=FOLDER writes photographs; type data=raw_synthesis, too")
    if cfg.download:
        data.download()
    if isinstance(data, RawSynthesis) and cfg.write is not None:
        data.write(Path(cfg.write))
    if cfg.verify:
        report_problems(data)
    if cfg.shards is not None:
        shards = write_shards(data, Path(cfg.shards), cfg.shard_size)
        print(f"shards: {len(shards)} files in {cfg.shards}; read them with data=shards data.urls={cfg.shards}")
    if cfg.verify or cfg.shards is not None:
        return data
    try:
        data.prepare_data()
        data.setup("fit")
    except (ConfigError, DataError) as error:
        if not isinstance(data, SRRAW) or not data.built or isinstance(error, PictureError):
            raise
        print(f"the pairs are made; to train on them, change an option: {error}")
        return data
    print(f"training: {data.describe() or 'none, this set is for validation only'}")
    for name, val_set in data.val_sets.items():
        print(f"validation, {name}: {len(val_set)} pictures")
    if cfg.write is not None:
        print(f"written: {cfg.write}; read it with data=rawsr_files data.root={cfg.write}")
    print(f"cache: {data.cache}")
    return data


def report_problems(data: PictureDataModule) -> None:
    """Prints what is wrong with a data set, and raises an error if there is any problem."""
    from sr_lightning.data.prepare.verify import describe, verify
    from sr_lightning.errors import DataError

    reports = verify(data)
    print(describe(reports))
    if any(report.problems for report in reports):
        where = next((getattr(data, key) for key in ("hr_dir", "root", "file") if hasattr(data, key)), "data")
        raise DataError(f"{where}: has problems; they are listed above")


def main() -> None:
    """Entry point of ``sr-prepare``."""
    run(prepare, "prepare")


if __name__ == "__main__":
    main()
