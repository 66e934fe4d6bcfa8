"""``python -m sr_lightning.train``: train a network and report how much it gains over bicubic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sr_lightning.cli.start import run
from sr_lightning.cli.sweep_jobs import is_run_of_sweep
from sr_lightning.config import build
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.training.arguments import training_arguments
from sr_lightning.training.run_folders import run_folder
from sr_lightning.training.sweep import left_off_at, table_of_broken_sweep

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sr_lightning.models import SuperResolutionModule


def train(cfg: DictConfig) -> dict[str, float]:
    """Trains the network that the config describes.

    Returns:
        Mean scores over the validation pictures, with the best weights: ``psnr``, ``bicubic_psnr`` and the
        protocol's other metrics.

    Raises:
        SRError: If data, config and checkpoint do not fit together.
        NothingToDo: If the resumed run is complete already, or was done when its sweep was started before.

    Example:
        >>> from sr_lightning.config import compose
        >>> scores = train(compose("train", ["model=espcn", "data=samples"]))  # doctest: +SKIP
    """
    with run_folder(cfg.run_dir) as folder:
        if is_run_of_sweep():
            cfg.ckpt_path = left_off_at(cfg, folder) or cfg.ckpt_path
        refuse_bad_weights(cfg)
        from sr_lightning.training.building import build_model, build_trainer, fine_tuning, prepare_run
        from sr_lightning.training.distillation import distil
        from sr_lightning.training.fitting import fit
        from sr_lightning.training.opposing import oppose
        from sr_lightning.training.reporting import report
        from sr_lightning.training.tracking import loggers_closed_after

        prepare_run(cfg)
        data = build(cfg.data)
        model = build_model(cfg)
        if cfg.get("init_from") and not cfg.ckpt_path:
            init_weights(model, cfg.init_from)
        fine_tuning(cfg).apply(model)
        distil(cfg, model)
        oppose(cfg, model)
        trainer = build_trainer(cfg, folder)
        with loggers_closed_after(trainer):
            seconds = fit(trainer, model, data, cfg.ckpt_path, folder)
            return report(cfg, trainer, model, data, seconds, folder)


def init_weights(model: SuperResolutionModule, source: str) -> None:
    """Weights to begin with: whatever fits of a file, a folder, a shipped network or one of the Hub.

    Raises:
        SRError: If there is no such file or network, or nothing in it fits.
    """
    from sr_lightning.errors import ConfigError
    from sr_lightning.inference.plausible import plausible_network
    from sr_lightning.weights.choose import find_weights
    from sr_lightning.weights.initialise import initialise
    from sr_lightning.weights.shipped import pretrained_networks

    scales = pretrained_networks().get(source, [])
    try:
        file = find_weights(source, model.scale if model.scale in scales else scales[-1] if scales else None)
    except ConfigError as error:
        raise ConfigError(f"init_from={error}") from None
    scale = None
    if not file.is_ours and "scale" in model.untraced:  # as `upscale` finds it
        scale = plausible_network(file)[0].scale
    initialise(model, file, scale)


def main() -> None:
    """Entry point of the command."""
    run(train, "train", training_arguments, table_of_broken_sweep)


if __name__ == "__main__":
    main()
