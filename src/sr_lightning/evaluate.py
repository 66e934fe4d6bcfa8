"""``python -m sr_lightning.evaluate``: score a network on whole pictures with a named protocol."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_lightning.cli.start import run
from sr_lightning.config import build, chosen_model
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.training.run_folders import SETTINGS, backup_existing, run_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import Tensor

    from sr_lightning.models import SuperResolutionModule


def evaluate(cfg: DictConfig) -> dict[str, Any]:
    """Scores the network that the config describes, with ``checkpoint``, ``weights``, or the shipped weights.

    Returns:
        The content of ``results.json`` in the run folder.

    Raises:
        SRError: If data, config and checkpoint do not fit together.

    Example:
        >>> from sr_lightning.config import compose
        >>> result = evaluate(compose("evaluate", ["data=samples", "protocol=y_matlab"]))  # doctest: +SKIP
        | model   | set     | psnr    | ssim   |
        |---------|---------|---------|--------|
        | bicubic | samples | 33.4701 | 0.9301 |
        protocol y_matlab, scale 2; everything is in runs/bicubic
    """
    refuse_bad_weights(cfg)
    if cfg.info:
        return _info(cfg)
    if isinstance(cfg.scale, float) and cfg.scale.is_integer():
        cfg.scale = int(cfg.scale)
    _refuse_unknown_degradation(cfg)
    with run_folder(cfg.run_dir) as folder:
        from sr_lightning.data.files.io import write_picture
        from sr_lightning.devices import found_device
        from sr_lightning.errors import ConfigError
        from sr_lightning.evaluation.crops import to_pixels
        from sr_lightning.evaluation.scoring import markdown, protocol_line, record, score_rows, score_sets, write_json
        from sr_lightning.training.building import prepare_run
        from sr_lightning.training.callbacks import write_settings
        from sr_lightning.training.run_folders import short_path

        prepare_run(cfg)
        model, name, shipped = _network(cfg)
        data = build(cfg.data)
        data.setup("test")
        if not data.val_names:
            raise ConfigError(f"{type(data).__name__} has no validation pictures; try data=benchmarks")
        device = found_device(cfg.device)
        if (folder / "checkpoints").exists():
            raise ConfigError(f"{folder}: is the folder of a training run; choose another run_dir=")
        backup_existing(folder, [SETTINGS, "results.json", *(["pictures"] if cfg.save_images else [])])
        write_settings(cfg, folder)

        def save(set_name: str, picture: str, sr: Tensor) -> None:
            write_picture(folder / "pictures" / set_name / f"{picture}.png", to_pixels(sr))

        if cfg.save_images:
            _write_truth(data.val_sets, folder / "pictures")
        begin = time.perf_counter()
        scores = score_sets(model, data, device=device, on_picture=save if cfg.save_images else None)
        result = {
            **record(model, name, scores, data.degradation),
            "weights": cfg.weights or cfg.checkpoint or shipped,
            "seconds": round(time.perf_counter() - begin, 1),
        }
        write_json(folder / "results.json", result)
        print(markdown(score_rows(name, scores)))
        print(f"{protocol_line(model, data.degradation)}; everything is in {short_path(folder)}")
        return result


def _write_truth(val_sets: Mapping[str, Any], folder: Path) -> None:
    """The HR pictures of each set that has them, beside the results, for comparison figures."""
    from sr_lightning.data.files.io import write_picture
    from sr_lightning.evaluation.crops import to_pixels

    for set_name, pictures in val_sets.items():
        for i in range(len(pictures) if "hr" in pictures[0] else 0):
            picture = pictures[i]
            hr = picture["hr"]
            pixels = to_pixels(hr[None]) if hr.is_floating_point() else hr.permute(1, 2, 0).numpy()
            write_picture(folder / set_name / "hr" / f"{picture['name']}.png", pixels)


def _refuse_unknown_degradation(cfg: DictConfig) -> None:
    """That of the protocol is optional, because few have one, so Hydra takes no notice of a name that is wrong."""
    from sr_lightning.config import CONF_DIR
    from sr_lightning.errors import ConfigError, nearest

    typed = [o.partition("=")[2] for o in cfg.overrides if o.startswith("degradation=")]
    if typed and cfg.get("degradation") is None:
        options = [path.stem for path in (CONF_DIR / "degradation").glob("*.yaml")]
        raise ConfigError(f"degradation={typed[-1]}: there is no such config; {nearest(typed[-1], options)}")


def _network(cfg: DictConfig) -> tuple[SuperResolutionModule, str, str | None]:
    """The network with its weights, its name in tables, and the name of the shipped file if its weights are shipped."""
    from sr_lightning.errors import ConfigError
    from sr_lightning.evaluation.scoring import count_parameters
    from sr_lightning.inference.finding import find_network, load_named
    from sr_lightning.inference.loading import asked_scale, installed_name, named_weights
    from sr_lightning.models import SuperResolutionModule
    from sr_lightning.training.building import build_model
    from sr_lightning.weights.load import load_weights
    from sr_lightning.weights.shipped import shipped_weights

    installed = None if named_weights(cfg) else installed_name(cfg)
    named = named_weights(cfg) or installed
    model = build_model(cfg)
    if named and (installed or not count_parameters(model)):  # no network was named: the file's own
        found, line = find_network(named, asked_scale(cfg), cfg.foreign)
        if not isinstance(found, SuperResolutionModule):
            raise ConfigError(f"{named}: evaluate scores networks of this library; give its .pth or .safetensors")
        if asked_scale(cfg) not in (None, found.scale):
            raise ConfigError(f"{named}: trained for scale {found.scale}; type scale={found.scale}")
        print(line or f"{Path(named).name}: {type(found).__name__} x{found.scale}", file=sys.stderr)
        cfg.scale, found.protocol = found.scale, model.protocol
        return found, cfg.name if cfg.name != "bicubic" else type(found).__name__.lower(), None
    if named:
        load_named(model, named, cfg.scale)
        return model, cfg.name, None
    if count_parameters(model):
        file = shipped_weights(chosen_model(cfg), cfg.scale)
        load_weights(model, file)
        return model, cfg.name, file.name
    return model, cfg.name, None


def _info(cfg: DictConfig) -> dict[str, Any]:
    """Prints all that a file of weights tells, without running the network."""
    from sr_lightning.errors import ConfigError
    from sr_lightning.inference.loading import asked_scale, named_weights
    from sr_lightning.weights.choose import find_weights
    from sr_lightning.weights.describe import facts

    named = named_weights(cfg)
    if named is None:
        raise ConfigError("info=true: tells about a file; type weights=FILE")
    found = facts(find_weights(named, asked_scale(cfg)))
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")
    return found


def main() -> None:
    """Entry point of the command."""
    run(evaluate, "evaluate")


if __name__ == "__main__":
    main()
