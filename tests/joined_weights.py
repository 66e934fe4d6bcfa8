"""Weights that lie in two files, as one."""

from pathlib import Path

from safetensors.torch import load_file, save_file


def joined_liif(data: Path, folder: Path) -> Path:
    """The published LIIF on EDSR-baseline, which ``data`` has in two parts, as a file in ``folder``."""
    parts = sorted((data / "weights_2").glob("edsr_baseline_liif_part*.safetensors"))
    path = folder / "edsr_baseline_liif.safetensors"
    save_file({name: value for part in parts for name, value in load_file(part).items()}, path)
    return path
