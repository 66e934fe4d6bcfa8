"""The learning curve of a run: validation PSNR over updates, beside bicubic.

python benchmarks/learning_curve.py RUN_FOLDER docs/images/fsrcnn_t91_x2.png
"""

import csv
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt


def main(folder: Path, picture: Path) -> None:
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    result = json.loads((folder / "results.json").read_text())
    key = next(k for k in rows[0] if k.startswith("val/") and "/psnr_" in k)
    steps, psnr = zip(*((int(r["step"]) + 1, float(r[key])) for r in rows if r[key]), strict=True)
    set_name = key.split("/")[1]
    bicubic = result["bicubic"][set_name]["psnr"]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(steps, psnr, label=f"{result['model']}, best {max(psnr):.2f} dB")
    axes.axhline(bicubic, color="grey", linestyle="--", label=f"bicubic, {bicubic:.2f} dB")
    axes.set_ylim(bicubic - 0.5, max(psnr) + 0.4)
    axes.set_xlabel("updates")
    axes.set_ylabel(f"PSNR on {set_name} (dB, {result['protocol']}, x{result['scale']})")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
