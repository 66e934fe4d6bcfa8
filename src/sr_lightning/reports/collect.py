"""Runs on disk: what their result files, configs and learning curves hold."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sr_lightning.atomic import AnyPath
from sr_lightning.training.run_folders import metrics_files, written_settings

Values = dict[str, dict[str, dict[str, float]]]  # set -> metric -> picture -> value

#: Parts of a config that make a run another method when they differ, unlike its seed or its folders.
SCORED = ("model",)
TRAINED = ("model", "data", "loss", "optimizer", "scheduler", "epochs", "trainer.max_epochs", "trainer.max_steps")
ELSEWHERE = ("seed", "root", "sets", "cache_dir", "num_workers", "hr_dir", "lr_dir", "val_hr_dir", "val_lr_dir")
#: Metrics that are never infinite.
BOUNDED = ("ssim", "ms_ssim", "lpips", "dists")


@dataclass(frozen=True)
class Run:
    """One ``results.json``.

    Args:
        folder: The run folder.
        shown: The same, relative to the folder of all runs.
        model: Name in tables.
        protocol: Name of the evaluation protocol.
        lr: What LR pictures came from, if that is not the protocol's bicubic: a degradation, a camera, or the set's own
            files. A result file whose sets differ in it is as many runs.
        fields: The settings of both; a run whose settings differ goes into another section, whatever the name says.
        scale: Whole factor.
        parameters: Number of trainable parameters.
        macs: Multiply-accumulates for one 720p picture.
        source: ``"trained"``, or the name of the file that the weights came from.
        settings: The parts of its config that tell methods apart.
        values: Scores by set, metric and picture; a picture without any error has infinite PSNR.
        details: What else the result file says about the run.
        lr_files: By set, what tells its own LR files from others, where that is recorded.
    """

    folder: Path
    shown: str
    model: str
    protocol: str
    lr: str
    fields: str
    scale: int
    parameters: int
    macs: int
    source: str
    settings: dict[str, str]
    values: Values
    details: dict[str, Any] = field(default_factory=dict)
    lr_files: dict[str, str] = field(default_factory=dict)


def collect(root: AnyPath) -> tuple[list[Run], list[str]]:
    """All runs below a folder, and a sentence for each result file that cannot be used."""
    root = Path(root)
    runs: list[Run] = []
    skipped = []
    for path in sorted(root.rglob("results.json")):
        try:
            runs += read_runs(path, root)
        except OSError as error:
            skipped.append(f"{path.relative_to(root)}: cannot be read ({error.strerror})")
        except (json.JSONDecodeError, UnicodeDecodeError):
            skipped.append(f"{path.relative_to(root)}: is not whole JSON")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
            skipped.append(f"{path.relative_to(root)}: is no result of this library ({reason})")
    return runs, skipped


def read_runs(path: Path, root: Path) -> list[Run]:
    """The run of a result file, and bicubic's if it holds that as a baseline; one each for each source of LR."""
    content = json.loads(path.read_text(encoding="utf-8"))
    recorded = {k: v for k, v in content.get("protocol_fields", {}).items() if k not in ("name", "metrics")}
    # A file of weights decides the values of a metric, its folder does not.
    fields = {k: Path(v).name if k.endswith("_weights") else v for k, v in recorded.items() if v is not None}
    degradation = dict(content.get("degradation") or {})
    folder = path.parent
    source, settings = _origin(folder, content)
    own = _settings(folder / "config.yaml", ["data.use_lr"]).get("data.use_lr") == "True"
    made = f"degradation {degradation.pop('name', None) or 'without a name'}" if degradation else ""
    if degradation:
        fields |= {f"degradation.{key}": value for key, value in degradation.items()}
    run = Run(
        folder=folder,
        shown=folder.relative_to(root).as_posix(),
        model=str(content["model"]),
        protocol=str(content["protocol"]),
        lr="",
        fields=", ".join(f"{key}={value}" for key, value in sorted(fields.items())),
        scale=int(content["scale"]),
        parameters=int(content.get("parameters") or 0),
        macs=int(content.get("macs_720p") or 0),
        source=source,
        settings=settings,
        values={},
        details={k: content[k] for k in ("seed", "steps", "seconds", "versions") if k in content},
    )
    runs = _by_lr(run, content["sets"], made, own)
    if "bicubic" in content:
        baseline = replace(run, model="bicubic", parameters=0, macs=0, source="", settings={}, details={})
        runs += _by_lr(baseline, content["bicubic"], made, own)
    return runs


def _by_lr(run: Run, sets: dict[str, Any], made: str, own: bool) -> list[Run]:
    """The run with its scores, once for each source of LR.

    Args:
        run: All else.
        sets: As the result file has them.
        made: What degraded the pictures of all sets, if anything did.
        own: What holds of sets without a record, which older versions wrote: their LR pictures are files.
    """
    groups: dict[tuple[str, str], Values] = defaultdict(dict)
    for name, scores in _values(sets).items():
        files = sets[name]["lr"] == "files" if "lr" in sets[name] else own
        camera = sets[name].get("camera") or {}
        photographed = f"LR photographed with {camera['demosaic']} demosaicing" if camera else ""
        fields = ", ".join(filter(None, [run.fields, *(f"camera.{k}={v}" for k, v in sorted(camera.items()))]))
        groups[made or photographed or ("LR of the set" if files else ""), fields][name] = scores
    digests = {name: str(scores["lr_digest"]) for name, scores in sets.items() if "lr_digest" in scores}
    return [
        replace(run, lr=lr, fields=fields, values=values, lr_files=digests) for (lr, fields), values in groups.items()
    ]


def _origin(folder: Path, content: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Where the weights came from, and the settings that made them."""
    if "bicubic" in content:
        return "trained", _settings(folder / "config.yaml", TRAINED)
    weights = Path(content.get("weights") or "")
    training = weights.parent.parent / "config.yaml"  # of runs/NAME/checkpoints/best.ckpt
    if weights.suffix == ".ckpt" and training.is_file():
        return weights.name, _settings(training, TRAINED)
    # Checkpoints of unknown origin are methods of their own.
    source = weights.as_posix() if weights.suffix == ".ckpt" else weights.name
    return source, _settings(folder / "config.yaml", SCORED)


def _values(sets: dict[str, Any]) -> Values:
    values: Values = {}
    for set_name, scores in sets.items():
        values[set_name] = defaultdict(dict)
        for picture, image in scores["images"].items():
            for metric, value in image.items():
                # null is infinity; older versions also wrote it for "nan", which spares no metric of a picture.
                perfect = metric not in BOUNDED and not any(image.get(m, 0.0) is None for m in BOUNDED)
                missing = math.inf if perfect else math.nan
                values[set_name][metric][picture] = missing if value is None else float(value)
    values = {name: dict(scores) for name, scores in values.items() if scores}
    if not values:
        raise ValueError("there are no scores in it")
    return values


def _settings(path: Path, parts: Sequence[str]) -> dict[str, str]:
    """Dotted keys and values of the parts of a config that tell methods apart; none if it cannot be read."""
    try:
        config = OmegaConf.create(written_settings(path))
        found = {
            part: OmegaConf.to_container(OmegaConf.create({"_": OmegaConf.select(config, part)})) for part in parts
        }
    except Exception:  # YAML has many ways to be broken, and a result is as good without its config
        return {}
    flat = {part + key.removeprefix("_"): value for part, tree in found.items() for key, value in _flat(tree)}
    if "trainer.max_epochs" in flat:  # one length under two names, of which this one counts
        flat["epochs"] = flat.pop("trainer.max_epochs")
    return {key: value for key, value in flat.items() if key.split(".")[-1] not in ELSEWHERE}


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(tree, dict):
        return [(prefix, str(tree))]
    return [pair for key, value in tree.items() for pair in _flat(value, f"{prefix}.{key}".lstrip("."))]


def learning_curve(folder: Path, column: str) -> list[tuple[float, float]]:
    """Step and value of a column of a run's ``metrics.csv``; empty if there is none.

    Steps that a run was killed after and did again when it was resumed count once, as they were done last.
    """
    points: list[tuple[float, float]] = []
    for file in reversed(metrics_files(folder)):
        begin = points[0][0] if points else math.inf
        points = [point for point in _column(file, column) if point[0] < begin] + points
    return points


def _column(file: Path, column: str) -> list[tuple[float, float]]:
    points = []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                try:
                    point = float(row["step"]), float(row[column])
                except (KeyError, TypeError, ValueError):
                    continue
                if all(map(math.isfinite, point)):
                    points.append(point)
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return sorted(points)
