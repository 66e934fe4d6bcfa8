"""``python -m sr_lightning.export``: write a trained network as ONNX, TorchScript, ``torch.export`` or safetensors."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.atomic import expand_home
from sr_lightning.cli.start import run
from sr_lightning.config.paths import WEIGHT_FILES, refuse_bad_weights
from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def export(cfg: DictConfig) -> Path:
    """Writes the network that the config names in another format, and checks that it computes the same there.

    Returns:
        The file.

    Raises:
        SRError: If there is no such network or format, or the file would not compute the same.

    Example:
        >>> from sr_lightning.config import compose
        >>> export(compose("export", ["weights=best.ckpt", "precision=int8"]))  # doctest: +SKIP
        PosixPath('best_int8.onnx')
    """
    refuse_bad_weights(cfg)
    if cfg.precision == "fp32":
        warnings.warn("precision=fp32 is called float32 now; 0.4 removes the old name", FutureWarning, stacklevel=2)
        cfg.precision = "float32"
    from sr_lightning.inference.engines.exporting import ENDINGS, export_network
    from sr_lightning.inference.engines.onnx_network import OnnxNetwork
    from sr_lightning.inference.engines.quantizing import calibration_pictures, losses
    from sr_lightning.inference.engines.spandrel_network import SpandrelNetwork
    from sr_lightning.inference.engines.triton import TritonSettings, export_triton
    from sr_lightning.inference.loading import load_network, named_weights
    from sr_lightning.weights.openmodeldb import check_openmodeldb, write_openmodeldb_card

    if cfg.openmodeldb:
        check_openmodeldb(cfg.openmodeldb, cfg.format)
    model = load_network(cfg)
    if isinstance(model, SpandrelNetwork):
        raise ConfigError(f"{named_weights(cfg)}: is {model.title}, which spandrel alone computes; upscale runs it")
    if isinstance(model, OnnxNetwork):
        raise ConfigError(f"{named_weights(cfg)}: is exported already; type the weights that it was made from")
    named = Path(named_weights(cfg) or f"{cfg.name or type(model).__name__.lower()}_x{model.scale}")
    stem = named.name if named.suffix not in WEIGHT_FILES else named.stem
    part = ("_spandrel" if cfg.format == "spandrel" else "") + (
        "" if cfg.precision == "float32" else f"_{cfg.precision}"
    )
    path = expand_home(cfg.output) if cfg.output else Path(f"{stem}{part}{ENDINGS.get(cfg.format, '')}")
    if cfg.format == "triton":
        path = (expand_home(cfg.output) if cfg.output else Path("triton")) / re.sub(r"[^\w.-]", "_", f"{stem}{part}")
    if path.exists() and not cfg.overwrite:
        other = "output=FOLDER chooses another folder" if cfg.format == "triton" else "output=FILE chooses another name"
        raise ConfigError(f"{path}: exists already; overwrite=true replaces it, {other}")
    pictures = []
    if cfg.precision != "float32" and model.inputs == ("lr",):
        pictures = calibration_pictures(model, expand_home(cfg.calibration) if cfg.calibration else None)
    calibration = [lr for lr, _ in pictures]
    if cfg.format == "triton":
        exported = export_triton(model, path, cfg.precision, calibration, TritonSettings(**cfg.triton))
    else:
        exported = export_network(model, path, cfg.format, cfg.precision, calibration)
    if pictures:
        apart, lost = losses(model, exported, pictures)
        print(
            f"{cfg.precision}: {apart:.1f} dB between it and float32, {lost + 0.0:.3f} dB lost against the original "
            f"(protocol {model.protocol.name}, {len(pictures)} pictures)"
        )
    print(path)
    if cfg.openmodeldb:
        print(write_openmodeldb_card(model, path, cfg.openmodeldb))
    return path


def main() -> None:
    """Entry point of ``sr-export``."""
    run(export, "export")


if __name__ == "__main__":
    main()
