"""Writes docs/results.md anew: the tables between the marks, and the learning curves, of what runs left.

    python benchmarks/results.py

It reads benchmarks/results/*.json, which benchmarks/tables.py writes, benchmarks/ablations.json and
benchmarks/time_to_psnr.json. What stands outside the marks `<!-- results: NAME -->` … `<!-- end -->` is left as it is.
"""

import json
import re
import shlex
from collections import defaultdict
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib.pyplot as plt
from safetensors import safe_open
from scores import mendable_told, read_results

from sr_lightning.evaluation.scoring import count_parameters, markdown
from sr_lightning.reports.statistics import mean_interval
from sr_lightning.weights.card import KEY
from sr_lightning.weights.shipped import CLEAN, load_pretrained, weights_file

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/results.md"
CURVES = HERE.parent / "docs/images/learning_curves.png"

#: PSNR of Set5, Set14 and BSD100 by network and scale: the Collection's README, column of the same training pictures.
COLLECTION = {
    ("srcnn", 2): (36.55, 32.33, 31.32), ("srcnn", 3): (32.18, 28.84, 28.24), ("srcnn", 4): (30.34, 27.37, 26.81),
    ("espcn", 2): (36.44, 32.15, None), ("espcn", 3): (32.45, 29.00, None), ("espcn", 4): (30.07, 27.11, None),
    ("fsrcnn", 2): (36.96, 32.48, 31.42), ("fsrcnn", 3): (33.05, 29.33, 28.47), ("fsrcnn", 4): (30.66, 27.43, 26.93),
    ("vdsr", 2): (37.46, 32.84, 31.81), ("vdsr", 3): (33.67, 29.76, 28.81), ("vdsr", 4): (31.33, 27.98, 27.26),
    ("drcn", 2): (34.99, 31.28, 30.42),
}  # fmt: skip
#: The papers' numbers, of training pictures that the page names. FSRCNN's paper has BSD200 in place of BSD100.
PAPERS = {
    ("srcnn", 2): (36.66, 32.45, 31.36), ("srcnn", 3): (32.75, 29.28, 28.41), ("srcnn", 4): (30.48, 27.50, 26.90),
    ("espcn", 3): (32.55, 29.08, None),
    ("fsrcnn", 2): (36.94, 32.54, None), ("fsrcnn", 3): (33.06, 29.37, None), ("fsrcnn", 4): (30.55, 27.50, None),
    ("vdsr", 2): (37.53, 33.03, 31.90), ("vdsr", 3): (33.66, 29.77, 28.82), ("vdsr", 4): (31.35, 28.01, 27.29),
    ("drrn_b1u9", 2): (37.66, None, None), ("drrn_b1u9", 3): (33.93, None, None),
    ("drrn_b1u9", 4): (31.58, None, None),
    ("lapsrn", 4): (31.54, 28.19, 27.32),
    ("drcn", 2): (37.63, 33.04, 31.85), ("drcn", 3): (33.82, 29.76, 28.80), ("drcn", 4): (31.53, 28.02, 27.23),
}  # fmt: skip
FILES = {"ablations": "ablations.json", "time": "time_to_psnr.json"}
#: In place of a table without rows.
UNMEASURED = "Not measured yet: `benchmarks/cpu_queue.md` has the command."
#: Of the rows and of the curves.
ORDER = ("srcnn", "espcn", "fsrcnn", "vdsr", "drcn", "drrn_b1u9", "lapsrn")
SETS = ("set5", "set14", "bsd100")
#: What the rows of the small networks are called.
SMALL = {
    "span_32_x2_seed1": "span_32",
    "span_32_longer_x2_seed1": "span_32, for longer",
    "span_32_taught_x2_seed1": "span_32, for longer, half of the patches from a teacher (DAT-light)",
    "span_32_l2_x2_seed1": "the row above, for longer, by L2 on larger patches",
    "span_32_x3_seed1": "span_32",
    "span_32_x4_seed1": "span_32",
}


@cache
def runs() -> list[dict[str, Any]]:
    """What all runs left, in the order of their names."""
    paths = sorted((HERE / "results").glob("*.json"))
    return [{"name": path.stem, **read_results(path)} for path in paths]


def runs_of(protocol: str) -> list[dict[str, Any]]:
    """The runs that are scored by a protocol."""
    return [run for run in runs() if all(protocol in scores for scores in run["scores"].values())]


def with_interval(values: list[float], sign: str = "") -> str:
    """The mean, and half of its interval of 95 % where there are several values; the sign "+" is for differences."""
    middle, half = mean_interval(values)
    return f"{middle:{sign}.2f}" + (f" ± {half:.2f}" if len(values) > 1 else "")


def settings_of(run: dict[str, Any]) -> list[str]:
    """What was typed for a run, without what differs from seed to seed."""
    return [part for part in shlex.split(run["command"]) if not part.startswith(("seed=", "init_from="))]


def collection_table() -> str:
    """One row for each network and scale: ours, the Collection's, the paper's."""
    grouped: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for run in runs_of("y_matlab"):
        for scale in run["scores"]:
            grouped[run["model"], int(scale)].append(run)
    rows = []
    for (model, scale), group in sorted(grouped.items(), key=lambda item: (ORDER.index(item[0][0]), item[0][1])):
        if any(settings_of(run) != settings_of(group[0]) for run in group):
            raise SystemExit(f"{model} x{scale}: runs of other settings are no seeds of one; train all anew")
        scores = [run["scores"][str(scale)]["y_matlab"] for run in group]
        ours = [[run[name][0] for run in scores if name in run] for name in SETS]
        rows.append(
            {
                "network": f"{model} x{scale}",
                "pictures": "291" if "experiment=fast_291" in settings_of(group[0]) else "91",
                "parameters": f"{group[0]['parameters']:,}",
                "seeds": str(len(group)),
                "ours": " / ".join(
                    [with_interval(ours[0]), *(f"{mean(values):.2f}" if values else "-" for values in ours[1:])]
                ),
                "the Collection": known(COLLECTION.get((model, scale))),
                "the paper": known(PAPERS.get((model, scale))),
                "updates": f"{group[0]['updates']:,}",
                "precision": group[0]["precision"],
                "minutes": f"{mean(run['seconds'] for run in group) / 60:.0f}",
            }
        )
    return markdown(rows) + commands_and_machines(runs_of("y_matlab")) if rows else UNMEASURED


def commands_and_machines(group: list[dict[str, Any]]) -> str:
    """Below a table: what was typed for the first seed, and where; some begin with weights of others' folders."""
    commands = "\n".join(f"{run['command']} run_dir=runs/tables/{run['name']}" for run in group if run["seed"] == 1)
    machines = " and ".join(dict.fromkeys(map(machine_of, group)))
    return f"\n\nOne core of {machines}, which other work shared.\n\n```sh\n{commands}\n```"


def small_table() -> str:
    """Networks of less than 200,000 parameters beside the one that comes with the package."""
    by_name = {run["name"]: run for run in runs()}
    group = [by_name[name] for name in SMALL if name in by_name]
    rows = []
    for scale in sorted({scale for run in group for scale in run["scores"]}):
        rows.append(shipped_row(int(scale)))
        for run in group:
            if scale in run["scores"]:
                cost = f"{run['updates']:,}", run["precision"], f"{run['seconds'] / 60:.0f}"
                scores = run["scores"][scale]["y_rgb8"]
                rows.append(small_row(f"x{scale}", SMALL[run["name"]], run["parameters"], scores, *cost))
    return markdown(rows) + commands_and_machines(group) if rows else UNMEASURED


def shipped_row(scale: int) -> dict[str, str]:
    """The network that comes with the package, with the scores of its card."""
    with safe_open(weights_file(CLEAN, scale), "pt") as file:
        scores = json.loads(file.metadata()[KEY])["scores"]
    parameters = count_parameters(load_pretrained(CLEAN, scale))
    return small_row(f"x{scale}", f"{CLEAN}, as it comes with the package", parameters, scores)


def small_row(
    scale: str,
    name: str,
    parameters: int,
    scores: dict[str, list[float]],
    updates: str = "-",
    precision: str = "-",
    minutes: str = "-",
) -> dict[str, str]:
    """One network; what its training took only where that is known."""
    psnr = " / ".join(f"{scores[name][0]:.2f}" for name in SETS)
    costs = {"updates": updates, "precision": precision, "minutes": minutes}
    return {"scale": scale, "network": name, "parameters": f"{parameters:,}", "Set5 / Set14 / BSD100": psnr, **costs}


def machine_of(run: dict[str, Any]) -> str:
    """The processor, and whether it multiplies bfloat16 natively."""
    flags = {"AMX": "amx_bf16", "AVX512-BF16": "avx512_bf16"}
    # Of results that are older than these flags, the processor alone is known.
    native = next((f" with {name}" for name, flag in flags.items() if flag in run["machine"].get("flags", ())), "")
    return run["machine"]["processor"] + native


def known(scores: tuple[float | None, ...] | None) -> str:
    """Published numbers, with a dash for what is not there."""
    return " / ".join("-" if value is None else f"{value:.2f}" for value in scores) if scores else "-"


def draw_curves() -> None:
    """Validation PSNR of every network over its updates, one panel for each scale; of runs on the same pictures."""
    group = [run for run in runs_of("y_matlab") if run["curve"]["pictures"] == "BSDS500_test, 20 of 200"]
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for panel, scale in zip(panels, (2, 3, 4), strict=True):
        for color, model in enumerate(ORDER):
            for run in group:
                if run["model"] == model and next(iter(run["scores"])) == str(scale):
                    label = model if run["seed"] == 1 else None
                    steps, psnr = zip(*run["curve"]["psnr"], strict=True)
                    panel.plot(steps, psnr, color=f"C{color}", alpha=1 if label else 0.5, label=label)
        panel.set_title(f"x{scale}")
        panel.set_xlabel("updates")
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(loc="best")
    panels[0].set_ylabel("PSNR of 20 pictures of BSDS500 (dB)")
    figure.savefig(CURVES, dpi=110)


def ablation_table() -> str:
    """Each setting beside the base, as means of paired differences."""
    results = read_results(HERE / FILES["ablations"])
    by_setting = {(run["setting"], run["seed"]): run for run in results.get("runs", [])}
    rows = []
    for group, settings in results.get("groups", {}).items():
        for setting in settings:
            seeds = [seed for name, seed in by_setting if name == setting and (results["base"], seed) in by_setting]
            if not seeds:
                continue
            differences = {
                name: [
                    by_setting[setting, seed]["sets"][name] - by_setting[results["base"], seed]["sets"][name]
                    for seed in seeds
                ]
                for name in SETS
            }
            base = setting == results["base"]
            rows.append(
                {
                    "what": group,
                    "setting": setting,
                    "updates": f"{by_setting[setting, seeds[0]]['updates']:,}",
                    "seeds": str(len(seeds)),
                    "Set5": with_interval([by_setting[setting, seed]["sets"]["set5"] for seed in seeds]),
                    **{
                        f"Δ {name}": "0" if base else with_interval(values, "+") for name, values in differences.items()
                    },
                }
            )
    return f"{markdown(rows)}\n\nOne core of {machine_of(results)}, which other work shared." if rows else UNMEASURED


def time_table() -> str:
    """Minutes until a network reaches a PSNR."""
    results = read_results(HERE / FILES["time"])
    return f"{markdown(results['rows'])}\n\nTwo cores of {machine_of(results)}." if results else UNMEASURED


def replace(text: str, name: str, table: str) -> str:
    """The page with a new table between the marks of that name."""
    begin = f"<!-- results: {name} -->"
    pattern = re.compile(re.escape(begin) + r".*?<!-- end -->", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{PAGE.name}: has no mark {begin}")
    return pattern.sub(lambda _: f"{begin}\n{table}\n<!-- end -->", text)


def page(text: str) -> str:
    """The page, with tables of today's results."""
    tables = {"collection": collection_table, "ablations": ablation_table, "time": time_table, "small": small_table}
    for name, make in tables.items():
        text = replace(text, name, make())
    return text


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    draw_curves()


if __name__ == "__main__":
    with mendable_told():
        main()
