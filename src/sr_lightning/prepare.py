"""``python -m sr_lightning.prepare``: fetch and decode a data set before training needs it, or cut it into patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sr_lightning.config import build, run
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
    from sr_lightning.data.cutting import cut
    from sr_lightning.data.cutting_options import CutOptions

    return cut(CutOptions.from_config(cfg))


def decode(cfg: DictConfig) -> PictureDataModule:
    """Decodes the data set that the config describes into the cache; fetches it first with ``download=true``."""
    data: PictureDataModule = build(cfg.data)
    if cfg.download:
        data.download()
    data.prepare_data()
    data.setup("fit")
    pictures, patches = data.train_pictures(), data.patches
    if pictures and patches:
        source = "made of them at" if pictures.lr is None else "pictures of the set at"
        size = f"{data.patch_size}x{data.patch_size}"
        print(f"training: {len(pictures)} pictures, LR {source} scale {data.scale}, patches of {size}")
    else:
        print("training: none, this set only validates")
    for name, val_set in data.val_sets.items():
        print(f"validation, {name}: {len(val_set)} pictures")
    print(f"cache: {data.cache}")
    return data


def main() -> None:
    """Entry point of ``sr-prepare``."""
    run(prepare, "prepare")


if __name__ == "__main__":
    main()
