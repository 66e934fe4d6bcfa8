"""Quality against time of networks with weights, at x4: the chart, the table and the crops of docs/which_network.md.

    SR_DATA=… OMP_NUM_THREADS=1 python benchmarks/which_network.py [--rounds 5]

Scores are those of Set5 and Set14 by ``y_rgb8``. Times are processor time of one core in float32 for a result of
1280x720. Each round times every network once, so that other work on the machine meets all of them alike. Every number
is kept in ``which_network.json`` as soon as it is measured; a second start continues. ``--rounds 0`` only draws.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import sr_lightning as sr
from sr_lightning.config import build, compose
from sr_lightning.data.sets.benchmarks import Benchmarks
from sr_lightning.evaluation.crops import to_pixels, window_with_most_error
from sr_lightning.evaluation.scoring import count_parameters, markdown, score_sets
from sr_lightning.functional import imresize, modcrop, psnr, rgb_to_y, shave
from sr_lightning.weights.load import load_weights

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "docs/images/which"
KEPT = HERE / "which_network.json"
#: Published weights, below ``$SR_DATA/weights``: LABEL: (model, {scale: file}).
PUBLISHED = {
    "SPAN, authors'": ("span", {4: "SPAN_ntire24_ch28_x4.pth"}),
    "CARN-M": ("carn_m", {2: "CARN-M_x234.pth", 4: "CARN-M_x234.pth"}),
    "PAN": ("pan", {2: "PAN_x2.pth", 4: "PAN_x4.pth"}),
    "RFDN": ("rfdn", {4: "RFDN_AIM_x4.pth"}),
    "IMDN": ("imdn", {2: "IMDN_x2.pth", 4: "IMDN_x4.pth"}),
    "LapSRN": ("lapsrn", {4: "official_LapSRN_x4.mat"}),
    "VDSR": ("vdsr", {4: "VDSR_x234_plain.pth"}),
}
SHIPPED = ("fsrcnn", "espcn", "span")
#: Labels of the chart that stand on the left of their dot, where another one is on its right.
TO_THE_LEFT = ("SPAN, authors'", "RFDN", "IMDN", "LapSRN", "VDSR")
CROPS = (("astronaut", 4), ("chelsea", 2))


def network(label: str, scale: int) -> Any:
    """The network of a label with its weights, scored by ``y_rgb8``; None where there are no weights of that scale."""
    if label in SHIPPED:
        model = sr.load(label, scale=scale).model
    else:
        name, files = PUBLISHED[label]
        if scale not in files:
            return None
        model = build(compose("evaluate", [f"model={name}", f"scale={scale}"]).model)
        load_weights(model, Path(os.environ["SR_DATA"]) / "weights" / files[scale])
    model.protocol = build(compose("evaluate", ["protocol=y_rgb8"]).protocol)
    return model.eval()


def keep(numbers: dict[str, Any]) -> None:
    KEPT.write_text(json.dumps(numbers, indent=1) + "\n")


def measure(numbers: dict[str, Any], rounds: int) -> None:
    models = {label: network(label, 4) for label in (*SHIPPED, *PUBLISHED)}
    sets = Benchmarks(4, root=os.environ["SR_DATA"], sets=["set5", "set14"])
    sets.setup("test")
    for label, model in models.items():
        row = numbers.setdefault(label, {"parameters": count_parameters(model), "seconds": []})
        if "psnr" not in row:
            row["psnr"] = {name: values["psnr"] for name, values in score_sets(model, sets).items()}
            keep(numbers)
            print(label, row["psnr"], flush=True)
    lr = torch.rand(1, 3, 180, 320, generator=torch.Generator().manual_seed(0))
    for number in range(min(len(row["seconds"]) for row in numbers.values()), rounds):
        for label, model in models.items():
            if len(numbers[label]["seconds"]) > number:
                continue
            with torch.inference_mode():
                model(lr[..., :45, :80])
                begin = time.process_time()
                model(lr)
            numbers[label]["seconds"].append(round(time.process_time() - begin, 4))
            keep(numbers)


def rows(numbers: dict[str, Any]) -> list[dict[str, str]]:
    """One row a network, from the fastest to the slowest; times are multiples of the smallest network's."""
    smallest = min(numbers.values(), key=lambda row: row["parameters"])
    unit = statistics.median(smallest["seconds"])
    ordered = sorted(numbers.items(), key=lambda item: statistics.median(item[1]["seconds"]))
    return [
        {
            "network": f"`{label}`" if label in SHIPPED else label,
            "weights": "shipped" if label in SHIPPED else "published",
            "parameters": f"{row['parameters']:,}",
            "time": f"{statistics.median(row['seconds']) / unit:.1f}",
            "Set5": f"{row['psnr']['set5']:.2f}",
            "Set14": f"{row['psnr']['set14']:.2f}",
        }
        for label, row in ordered
    ]


def chart(table: list[dict[str, str]]) -> None:
    """Writes ``psnr_time.svg``: shipped networks filled, published weights open."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11, "svg.hashsalt": "sr"})
    figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
    for row in table:
        x, y, ours = float(row["time"]), float(row["Set14"]), row["network"].startswith("`")
        axes.plot(x, y, "o", color="C0", markersize=8, fillstyle="full" if ours else "none")
        label = row["network"].strip("`")
        left = label in TO_THE_LEFT
        axes.annotate(
            label, (x, y), (-7 if left else 7, -4), textcoords="offset points", ha="right" if left else "left"
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.12, y=0.08)
    axes.grid(alpha=0.3, which="both")
    axes.set_xlabel("processor time, in multiples of fsrcnn's")
    axes.set_ylabel("PSNR of Set14, x4, y_rgb8 (dB)")
    figure.savefig(IMAGES / "psnr_time.svg", metadata={"Date": None})


def crops() -> None:
    """Writes the detail that bicubic enlargement misses most, by each network; prints the page's figures of them."""
    data = build(compose("evaluate", ["data=samples"]).data)
    data.setup("test")
    pictures = {str(item["name"]): item["hr"] for item in data.val_sets["samples"]}
    for name, scale in CROPS:
        hr = modcrop(pictures[name][None].double() / 255, scale)
        lr = (imresize(hr, 1 / scale).clamp(0, 1) * 255).round() / 255
        panels = {"bicubic": imresize(lr, scale).clamp(0, 1)}
        for label in (*SHIPPED, *PUBLISHED):
            if (model := network(label, scale)) is not None:
                panels[label] = sr.Upscaler(model).upscale(lr)
        panels["truth"] = hr
        top, left = window_with_most_error((panels["bicubic"] - hr).abs(), 96)
        for label, picture in panels.items():
            path = IMAGES / f"{name}_x{scale}_{label.split(',')[0].lower()}{'_authors' if ',' in label else ''}.webp"
            pixels = to_pixels(picture[..., top : top + 96, left : left + 96])
            Image.fromarray(pixels).save(path, lossless=True, method=6)
            score = psnr(*(shave(rgb_to_y(p.double()), scale) for p in (picture, hr))).item()
            caption = label if label == "truth" else f"{label}<br>{score:.2f} dB"
            print(f'<figure markdown="span">![{label}](images/which/{path.name})')
            print(f"<figcaption>{caption}</figcaption></figure>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    numbers: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    IMAGES.mkdir(parents=True, exist_ok=True)
    if options.rounds:
        measure(numbers, options.rounds)
    table = rows(numbers)
    chart(table)
    text = f"# PSNR against time, x4, `y_rgb8`\n\n{markdown(table)}\n\n`python benchmarks/which_network.py`\n"
    KEPT.with_suffix(".md").write_text(text)
    crops()


if __name__ == "__main__":
    main()
