"""The trainings behind docs/results.md: the Collection's tables anew, and the best network of 200,000 parameters.

    SR_DATA=… python benchmarks/tables.py train            # one after another; resumes the one that was stopped
    SR_DATA=… python benchmarks/tables.py train vdsr       # those whose names begin with a word
    SR_DATA=… python benchmarks/tables.py collect          # scores what is trained, writes benchmarks/results/*.json

The Collection's networks see the pictures of its column and nothing else; small ones have three seeds. SMALL needs
the pictures of `python benchmarks/pretrained.py smaller` (and `noise`, and `taught`).

Runs go into runs/tables/<name>. The epoch that is published is the best one of pictures of BSDS500 that are in no test
set. `python benchmarks/results.py` makes docs/results.md of what `collect` wrote. The folder of a run that was
begun with other settings is renamed, and the run begins anew.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scores import act, read_results, scored, this_machine

from sr_lightning.config import build, compose
from sr_lightning.evaluation.scoring import count_parameters, write_json
from sr_lightning.reports.collect import learning_curve
from sr_lightning.training.run_folders import new_folder, result_of, typed_for, written_settings
from sr_lightning.weights.load import load_weights

RUNS = Path("runs/tables")
RESULTS = Path(__file__).with_name("results")
SEEDS = (1, 2, 3)

FLOAT32 = "trainer.precision=float32"
#: What each network of the 91 pictures adds to `experiment=fast_t91` at x2, and at x3 and x4, which begin with the
#: weights of x2.
ON_T91 = {
    "srcnn": (["model.last_layer_lr=1.0", "epochs=6"], ["model.last_layer_lr=1.0", "epochs=8"]),
    "espcn": ([FLOAT32, "model.last_layer_lr=1.0", "epochs=24"], [FLOAT32, "model.last_layer_lr=1.0", "epochs=12"]),
    "fsrcnn": (
        [FLOAT32, "model.deconv_lr=1.0", "loss=l1", "optimizer.lr=1e-2", "epochs=32"],
        [FLOAT32, "model.deconv_lr=1.0", "loss=l1", "optimizer.lr=1e-2", "epochs=16"],
    ),
}
#: Larger networks, each as long as a processor core allows in an hour: VDSR and DRRN serve x2, x3 and x4.
LARGER = {
    "vdsr_seed1": ["experiment=fast_291"],
    "lapsrn_x4_seed1": [
        "experiment=fast_291", "model=lapsrn", "scale=4", "data.scales=null", "data.patch_size=72", "loss=charbonnier",
        "epochs=4",
    ],
    "drcn_x2_seed1": [
        "experiment=fast_t91", "model=drcn", "model.alpha_epochs=3", "data.patch_size=36", "data.batch_size=8",
        "data.batches_per_epoch=100", "data.max_val_pictures=4", "optimizer.lr=1e-3", "epochs=4",
    ],
    "drrn_b1u9_seed1": ["experiment=fast_291", "model=drrn_b1u9", "epochs=3"],
}  # fmt: skip

#: The test sets of networks that are too slow for all three: DRCN takes minutes for a picture on a core.
SETS = {"drcn_x2_seed1": ("set5",), "drrn_b1u9_seed1": ("set5", "set14")}

#: Pairs whose HR a large network made.
TAUGHT = [
    "+data@data.sets.taught=folder", "data.sets.taught.hr_dir=runs/pretrained/taught_x2/hr",
    "data.sets.taught.lr_dir=runs/pretrained/taught_x2/lr", "data.sets.taught.num_val=1",
]  # fmt: skip
#: SPAN of 32 channels for clean pictures: from the beginning, and ways to go on.
SMALL = {
    "span_32_x2_seed1": [
        "experiment=small", "scale=2", "trainer.precision=bf16-mixed",
    ],
    "span_32_longer_x2_seed1": [
        "experiment=small", "scale=2", "trainer.precision=bf16-mixed",
        "optimizer.lr=1.5e-3", "scheduler.pct_start=0.03", "epochs=10",
        "init_from=runs/tables/span_32_x2_seed1/checkpoints/best.ckpt",
    ],
    "span_32_taught_x2_seed1": [
        "experiment=small", "scale=2", "trainer.precision=bf16-mixed", *TAUGHT, "+data.weights.taught=12",
        "optimizer.lr=1.5e-3", "scheduler.pct_start=0.03", "epochs=10",
        "init_from=runs/tables/span_32_x2_seed1/checkpoints/best.ckpt",
    ],
    "span_32_l2_x2_seed1": [
        "experiment=small", "scale=2", "trainer.precision=float32", *TAUGHT, "+data.weights.taught=11",
        "loss=l2", "data.patch_size=76", "optimizer.lr=5e-4", "scheduler.pct_start=0.03", "epochs=3",
        "init_from=runs/tables/span_32_taught_x2_seed1/checkpoints/best.ckpt",
    ],
    **{
        f"span_32_x{scale}_seed1": [
            "experiment=small", f"scale={scale}", "trainer.precision=bf16-mixed", "epochs=6",
            "init_from=runs/tables/span_32_longer_x2_seed1/checkpoints/best.ckpt",
        ]
        for scale in (3, 4)
    },
}  # fmt: skip


def commands() -> dict[str, list[str]]:
    """What is typed behind `python -m sr_lightning.train`, by the name of the run, in the order of training."""
    typed: dict[str, list[str]] = {}
    for seed in SEEDS:
        for name, (first, later) in ON_T91.items():
            for scale in (2, 3, 4):
                start = [f"init_from={RUNS / run_name(name, 2, seed)}/checkpoints/best.ckpt"] if scale > 2 else []
                settings = ["data.patch_size=72", *later] if scale > 2 else ["data.patch_size=48", *first]
                typed[run_name(name, scale, seed)] = [
                    "experiment=fast_t91", f"model={name}", f"scale={scale}", *settings, f"seed={seed}", *start
                ]  # fmt: skip
    return typed | LARGER | SMALL


def run_name(name: str, scale: int, seed: int) -> str:
    """Such as espcn_x3_seed2."""
    return f"{name}_x{scale}_seed{seed}"


def chosen(words: Sequence[str]) -> dict[str, list[str]]:
    """The commands whose names begin with one of the words; without words, all."""
    return {name: typed for name, typed in commands().items() if not words or name.startswith(tuple(words))}


def train(*words: str) -> None:
    """Trains what has no results yet."""
    for name, settings in chosen(words).items():
        folder = RUNS / name
        if not (is_published(name) or is_trained(folder, settings)):
            if typed_for(folder) not in (None, as_recorded(settings)):
                folder.rename(new_folder(f"{folder}_before"))
            print(name, flush=True)
            argv = [*settings, f"run_dir={folder}", "ckpt_path=auto"]
            subprocess.run([sys.executable, "-m", "sr_lightning.train", *argv], check=True)


def as_recorded(settings: Sequence[str]) -> list[str]:
    """Settings as a run writes them down."""
    return list(compose("train", settings).overrides)


def is_trained(folder: Path, settings: Sequence[str]) -> bool:
    """Whether the folder has a complete run of these settings."""
    return result_of(folder) is not None and typed_for(folder) == as_recorded(settings)


def has_scores(name: str) -> bool:
    """Whether benchmarks/results has the run as it is typed today."""
    return read_results(RESULTS / f"{name}.json").get("command") == shown(commands()[name])


def shown(settings: Sequence[str]) -> str:
    """The command as one types it."""
    return shlex.join(["python", "-m", "sr_lightning.train", *settings])


def is_published(name: str) -> bool:
    """Whether benchmarks/results has the run, and the runs that begin with its weights."""
    needed = {name, *(name.replace("_x2_", f"_x{scale}_") for scale in (3, 4))} & commands().keys()
    return all(map(has_scores, needed))


def collect(*words: str) -> None:
    """Scores every run that is done, and writes what docs/results.md needs of it."""
    for name, settings in chosen(words).items():
        folder = RUNS / name
        if not has_scores(name) and is_trained(folder, settings):
            write_json(RESULTS / f"{name}.json", summary(name, folder))
            print(name, flush=True)


def summary(name: str, folder: Path) -> dict[str, Any]:
    """Command, scores, learning curve and machine of a run."""
    settings = commands()[name]
    result = read_results(folder / "results.json")
    cfg = compose("train", settings)
    protocol = "y_rgb8" if name in SMALL else "y_matlab"
    curve = [(int(step) + 1, psnr) for step, psnr in learning_curve(folder, "val/psnr")]
    return {
        "command": shown(settings),
        "model": result["model"],
        "parameters": count_parameters(build(cfg.model)),
        "seed": result["seed"],
        "updates": result["steps"],
        "seconds": result["seconds"],
        "precision": written_settings(folder / "config.yaml")["trainer"]["precision"],
        "machine": this_machine(),
        "scores": {
            str(scale): {protocol: scored(best_network(folder, settings, scale), protocol, *SETS.get(name, ()))}
            for scale in cfg.data.get("scales") or [cfg.scale]
        },
        "curve": {"pictures": f"BSDS500_test, {cfg.data.max_val_pictures or 20} of 200", "psnr": curve},
    }


def best_network(folder: Path, settings: list[str], scale: int) -> Any:
    """The network of a run with its best weights."""
    model = build(compose("train", [*settings, f"scale={scale}"]).model)
    load_weights(model, folder / "checkpoints/best.ckpt")
    return model


if __name__ == "__main__":
    act({"train": train, "collect": collect}, commands(), str.startswith)
