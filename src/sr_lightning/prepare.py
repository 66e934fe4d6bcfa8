"""``python -m sr_lightning.prepare``: fetch and decode a data set before training needs it, or cut it into patches."""

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
    """Cuts the pictures of ``input`` into patches; without ``input`` decodes the data set of ``data`` into the cache.

    Returns:
        The files or folders with patches; or the data set, ready to train on.

    Raises:
        SRError: If an option cannot work, pictures are missing or cannot be used, or the download failed.

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
        raise ConfigError("input is missing: input=FOLDER says which pictures are cut into patches")
    return decode(cfg)


def cut_patches(cfg: DictConfig) -> list[Path]:
    """Cuts a folder of pictures into pairs of patches."""
    from sr_lightning.data.prepare.cutting import cut
    from sr_lightning.data.prepare.cutting_options import CutOptions

    return cut(CutOptions.from_config(cfg))


def decode(cfg: DictConfig) -> PictureDataModule:
    """Decodes the data set that the config describes into the cache; fetches it first with ``download=true``.

    With ``write=FOLDER`` the photographs of ``data=raw_synthesis`` become files in rawSR's layout.
    """
    from pathlib import Path

    from sr_lightning.data.prepare.shard_writing import write_shards
    from sr_lightning.data.raw_synthesis import RawSynthesis

    data: PictureDataModule = build(cfg.data)
    if cfg.write is not None and not isinstance(data, RawSynthesis):
        raise ConfigError("write=FOLDER writes photographs: choose data=raw_synthesis")
    if cfg.download:
        data.download()
    if isinstance(data, RawSynthesis) and cfg.write is not None:
        data.write(Path(cfg.write))
    if cfg.verify:
        report_problems(data)
    if cfg.shards is not None:
        shards = write_shards(data, Path(cfg.shards), cfg.shard_size)
        print(f"shards: {len(shards)} files in {cfg.shards}, to be read with data=shards data.urls={cfg.shards}")
    if cfg.verify or cfg.shards is not None:
        return data
    data.prepare_data()
    data.setup("fit")
    print(f"training: {data.describe() or 'none, this set only validates'}")
    for name, val_set in data.val_sets.items():
        print(f"validation, {name}: {len(val_set)} pictures")
    if cfg.write is not None:
        print(f"written: {cfg.write}, to be read with data=rawsr_files data.root={cfg.write}")
    print(f"cache: {data.cache}")
    return data


def report_problems(data: PictureDataModule) -> None:
    """Prints what is wrong with a data set; any problem is an error in the end."""
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
