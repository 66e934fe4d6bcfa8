"""The end of a training: scores of the best weights and of bicubic, as a table and as ``results.json``."""

from pathlib import Path

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from omegaconf import DictConfig

from sr_lightning.evaluation.scoring import (
    Scores,
    markdown,
    protocol_line,
    record,
    score_rows,
    score_sets,
    write_json,
)
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.bicubic import baseline_of
from sr_lightning.training.budget import TimeBudget
from sr_lightning.training.building import build_model
from sr_lightning.training.callbacks import Pruning, SamplePictures
from sr_lightning.training.run_folders import LAST, short_path
from sr_lightning.training.tracking import log_table
from sr_lightning.weights.load import load_weights


def report(
    cfg: DictConfig,
    trainer: Trainer,
    model: SuperResolutionModule,
    data: LightningDataModule,
    seconds: float,
    folder: Path,
) -> dict[str, float]:
    """Scores the best weights and bicubic, prints the table and writes ``results.json``."""
    if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
        return {}
    if isinstance(trainer.strategy, FSDPStrategy):  # each process has a part of the weights
        model = build_model(cfg)
        load_weights(model, folder / LAST)
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best and Path(best).is_file():  # it is not where a resumed run's folder was moved away
        load_weights(model, Path(best))
    if not data.val_sets:  # type: ignore[attr-defined]  # spawned processes had them, this one did not
        data.setup("validate")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, SamplePictures):
            callback.save(trainer, model, data)
    device = trainer.strategy.root_device
    scores = score_sets(model, data, device=device)
    baseline = score_sets(baseline_of(model, protocol=model.protocol), data, device=device)
    degradation = getattr(data, "degradation", None)
    result = {
        **record(model, cfg.name, scores, degradation),
        "bicubic": baseline,
        "seconds": round(seconds, 1),
        "seed": cfg.seed,
        "steps": trainer.global_step,
        "checkpoint": best,
    }
    if any(isinstance(callback, Pruning) and callback.pruned for callback in trainer.callbacks):  # type: ignore[attr-defined]
        result["pruned"] = True
    write_json(folder / "results.json", result)
    rows = [*score_rows("bicubic", baseline), *score_rows(cfg.name, scores)]
    log_table(trainer, rows)
    none = "there are no validation pictures, so there are no scores and no best.ckpt; the weights are in last.ckpt"
    print(markdown(rows) if rows else none)
    took = f"{seconds:.0f} s{TimeBudget.of(trainer).told()}"
    print(f"{protocol_line(model, degradation)}, {took}; everything is in {short_path(folder)}")
    return {**_overall(scores), **{f"bicubic_{k}": v for k, v in _overall(baseline).items()}}


def _overall(scores: Scores) -> dict[str, float]:
    from sr_lightning.metrics import mean_scores

    return mean_scores({f"{s}/{n}": v for s, values in scores.items() for n, v in values["images"].items()})
