"""Quality against time and size at x4: the charts, the table and the crops of docs/which_network.md.

    bash benchmarks/networks_x4.sh
    SR_DATA=… OMP_NUM_THREADS=1 python benchmarks/which_network.py [--only-draw]

Scores are those of Set5 and Set14 by ``y_rgb8``: measured here where there are weights, otherwise as papers state.
Each is kept in ``which_network.json`` as soon as it is measured; a second start continues. Times are those
of ``networks_x4.sh``.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from networks_x4 import milliseconds
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
SHIPPED = ("fsrcnn", "espcn", "span")
#: Published weights, below ``$SR_DATA``: LABEL: (model, {scale: file}).
PUBLISHED = {
    "SPAN, authors'": ("span", {4: "weights/SPAN_ntire24_ch28_x4.pth"}),
    "CARN-M": ("carn_m", {2: "weights/CARN-M_x234.pth", 4: "weights/CARN-M_x234.pth"}),
    "PAN": ("pan", {2: "weights/PAN_x2.pth", 4: "weights/PAN_x4.pth"}),
    "RFDN": ("rfdn", {4: "weights/RFDN_AIM_x4.pth"}),
    "IMDN": ("imdn", {2: "weights/IMDN_x2.pth", 4: "weights/IMDN_x4.pth"}),
    "LapSRN": ("lapsrn", {4: "weights/official_LapSRN_x4.mat"}),
    "VDSR": ("vdsr", {4: "weights/VDSR_x234_plain.pth"}),
    "RLFN": ("rlfn", {2: "weights_2/RLFN_x2.pth", 4: "weights_2/RLFN_x4.pth"}),
    "BSRN": ("bsrn", {2: "weights_2/BSRN_x2.pth", 4: "weights_2/BSRN_x4.pth"}),
    "SPANV2": ("spanv2", {4: "weights_2/NTIRE26_team22_spanv2_c2.pth"}),
    "SPANF": ("spanf", {4: "weights_2/NTIRE25_team24_spanf.pth"}),
    "SMFANet": ("smfanet", {2: "weights_2/SMFANet_DIV2K_x2.pth", 4: "weights_2/SMFANet_DIV2K_x4.pth"}),
    "SMFANet+": ("smfanet_plus", {4: "weights_2/SMFANet_plus_DF2K_x4.pth"}),
    "DAT-light": ("dat_light", {2: "weights_2/DAT_light_x2.safetensors", 4: "weights_2/DAT_light_x4.safetensors"}),
}
#: What papers state of networks without weights at hand: LABEL: (model, Set5, Set14).
STATED = {
    "CARN": ("carn", 32.13, 28.60),
    "EDSR": ("edsr", 32.46, 28.80),
    "RDN": ("rdn", 32.47, 28.81),
    "RCAN": ("rcan", 32.63, 28.87),
    "SwinIR-light": ("swinir_light", 32.44, 28.77),
    "SwinIR": ("swinir", 32.92, 29.09),
    "OmniSR": ("omnisr", 32.49, 28.78),
    "ATD-light": ("atd_light", 32.62, 28.87),
    "PFT-light": ("pft_light", 32.63, 28.97),
    "HAT-S": ("hat_s", 32.92, 29.15),
    "HAT": ("hat", 33.04, 29.23),
}
CROPS = (("astronaut", 4), ("chelsea", 2))


def model_of(label: str) -> str:
    """The name of the config of a label."""
    return label if label in SHIPPED else (PUBLISHED | STATED)[label][0]


def network(label: str, scale: int) -> Any:
    """The network of a label with its weights, scored by ``y_rgb8``; None where there are no weights of that scale."""
    if label in SHIPPED:
        model: Any = sr.load(label, scale=scale).model
    else:
        name, files = PUBLISHED[label]
        if scale not in files:
            return None
        model = build(compose("evaluate", [f"model={name}", f"scale={scale}"]).model)
        load_weights(model, Path(os.environ["SR_DATA"]) / files[scale])
    model.protocol = build(compose("evaluate", ["protocol=y_rgb8"]).protocol)
    return model.eval()


def keep(numbers: dict[str, Any]) -> None:
    KEPT.write_text(json.dumps(numbers, indent=1) + "\n")


def measure(numbers: dict[str, Any]) -> None:
    """Scores what is not scored yet."""
    sets = Benchmarks(4, root=os.environ["SR_DATA"], sets=["set5", "set14"])
    sets.setup("test")
    for label in (*SHIPPED, *PUBLISHED):
        if label not in numbers:
            scores = score_sets(network(label, 4), sets).items()
            numbers[label] = {name: round(values["psnr"], 3) for name, values in scores}
            keep(numbers)
            print(label, numbers[label], flush=True)


def parameters(name: str) -> int:
    """Of a network at x4, as it is used."""
    with torch.device("meta"):
        return count_parameters(build(compose("evaluate", [f"model={name}", "scale=4"]).model).merged())


def rows(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a network, from the fastest to the slowest."""
    ms = milliseconds()
    table = []
    for label in (*SHIPPED, *PUBLISHED, *STATED):
        name = model_of(label)
        psnr = (numbers[label]["set5"], numbers[label]["set14"]) if label in numbers else STATED[label][1:]
        kind = "shipped" if label in SHIPPED else "published" if label in PUBLISHED else "the paper's numbers"
        table.append({"label": label, "weights": kind, "parameters": parameters(name), "psnr": psnr})
        table[-1]["ms"] = ms[name]
    return sorted(table, key=lambda row: row["ms"])


def as_text(table: list[dict[str, Any]]) -> str:
    """The table in Markdown; times are also multiples of FSRCNN's."""
    unit = next(row["ms"] for row in table if row["label"] == "fsrcnn")
    return markdown(
        [
            {
                "network": row["label"],
                "model": f"`{model_of(row['label'])}`",
                "weights": row["weights"],
                "parameters": f"{row['parameters']:,}",
                "ms": f"{row['ms']:,.0f}",
                "times fsrcnn": f"{row['ms'] / unit:.1f}",
                "Set5": f"{row['psnr'][0]:.2f}",
                "Set14": f"{row['psnr'][1]:.2f}",
            }
            for row in table
        ]
    )


def chart(table: list[dict[str, Any]], column: str, title: str) -> None:
    """Writes ``psnr_<column>.svg``: shipped networks filled, published weights open, papers' numbers as crosses."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "svg.hashsalt": "sr"})
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    looks: dict[str, dict[str, Any]] = {
        "shipped": {"marker": "o", "fillstyle": "full"},
        "published": {"marker": "o", "fillstyle": "none"},
        "the paper's numbers": {"marker": "x"},
    }
    for kind, look in looks.items():
        points = [(row[column], row["psnr"][1]) for row in table if row["weights"] == kind]
        axes.plot(*zip(*points, strict=True), linestyle="", color="C0", markersize=7, label=kind, **look)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.margins(x=0.12, y=0.08)
    axes.grid(alpha=0.3, which="both")
    axes.set_xlabel(title)
    axes.set_ylabel("PSNR of Set14, x4, y_rgb8 (dB)")
    axes.legend(loc="lower right")
    _write_labels(axes, [(row["label"], row[column], row["psnr"][1]) for row in table])
    figure.savefig(IMAGES / f"psnr_{column}.svg", metadata={"Date": None})
    plt.close(figure)


def _write_labels(axes: Any, points: list[tuple[str, float, float]]) -> None:
    """Each beside its point, where it covers neither a point nor another label."""
    axes.figure.canvas.draw()
    renderer = axes.figure.canvas.get_renderer()
    places = [axes.transData.transform((x, y)) for _, x, y in points]
    taken = [axes.get_legend().get_window_extent(renderer)]
    for label, x, y in sorted(points, key=lambda point: point[2]):
        best = None
        for dx, dy, ha in ((8, -4, "left"), (-8, -4, "right"), (0, 8, "center"), (0, -16, "center"), (8, 8, "left"),
                           (-8, 8, "right"), (8, -16, "left"), (-8, -16, "right")):  # fmt: skip
            text = axes.annotate(label, (x, y), (dx, dy), textcoords="offset points", ha=ha)
            box = text.get_window_extent(renderer)
            hits = sum(box.overlaps(other) for other in taken)
            hits += sum(box.x0 - 4 < px < box.x1 + 4 and box.y0 - 4 < py < box.y1 + 4 for px, py in places)
            if best is None or hits < best[0]:
                if best:
                    best[1].remove()
                best = hits, text, box
            else:
                text.remove()
            if hits == 0:
                break
        assert best is not None
        taken.append(best[2])


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
            file = label.split(",")[0].lower().replace("+", "_plus") + ("_authors" if "," in label else "")
            path = IMAGES / f"{name}_x{scale}_{file}.webp"
            pixels = to_pixels(picture[..., top : top + 96, left : left + 96])
            Image.fromarray(pixels).save(path, lossless=True, method=6)
            score = psnr(*(shave(rgb_to_y(p.double()), scale) for p in (picture, hr))).item()
            caption = label if label == "truth" else f"{label}<br>{score:.2f} dB"
            print(f'<figure markdown="span">![{label}](images/which/{path.name})')
            print(f"<figcaption>{caption}</figcaption></figure>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only-draw", action="store_true", help="the charts and the table of what is measured")
    options = parser.parse_args()
    numbers: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    IMAGES.mkdir(parents=True, exist_ok=True)
    if not options.only_draw:
        measure(numbers)
        crops()
    table = rows(numbers)
    chart(table, "parameters", "parameters")
    chart(table, "ms", "milliseconds for a megapixel of the result")
    text = f"# PSNR against time and size, x4, `y_rgb8`\n\n{as_text(table)}\n\n`python benchmarks/which_network.py`\n"
    KEPT.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
