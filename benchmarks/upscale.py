"""Megapixels per second and peak memory of ``upscale``, files and tiles included: one fresh process for every number.

    python benchmarks/upscale.py [--rows edsr_baseline,fsrcnn] [--sizes 0.25,1,4,16] [--ways eager,torch] [--repeats 3]

Sizes are megapixels of the result; ``edsr_baseline:1:4`` names a network's own. ``eager`` is float32 on the whole
picture, as one writes it without this library.
Interleaved, medians; writes upscale.md beside this file. ``--large`` adds the memory of a result of 100 megapixels.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WAYS = ("eager", "torch", "compile", "onnxruntime", "openvino")
CHILD = """
import json, resource, sys, time
name, way, source, target = sys.argv[1:]
from pathlib import Path
import torch
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.data.files.writing import write_photo
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.weights.shipped import load_pretrained, pretrained_networks
torch.manual_seed(0)
model = load_pretrained(name, 2) if name in pretrained_networks() else build(compose("train", ["model=" + name]).model)
model.eval()
begin = time.perf_counter()
photo = read_photo(Path(source))
if way == "eager":
    lr = torch.tensor(photo.pixels).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        sr = model(lr)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    result = Photo(sr.permute(1, 2, 0).contiguous().numpy())
else:
    result = Upscaler(model, engine=way).photo(photo)
computed = time.perf_counter()
write_photo(Path(target), result)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - begin, computed - begin, peak]))
"""


def measure(name: str, way: str, source: Path, target: Path) -> tuple[float, float, float] | None:
    command = [sys.executable, "-W", "ignore", "-c", CHILD, name, way, str(source), str(target)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        print(name, way, source.name, ended.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return tuple(json.loads(ended.stdout.splitlines()[-1]))


def photograph(path: Path, megapixels: float) -> Path:
    """A picture of 3 to 2 whose x2 result has this many megapixels, from skimage's astronaut."""
    import skimage
    from PIL import Image

    height = round((megapixels * 1e6 / 4 / 1.5) ** 0.5)
    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as image:
        image.convert("RGB").resize((round(height * 1.5), height), Image.Resampling.BICUBIC).save(path)
    return path


def main() -> None:
    from sr_lightning.evaluation.scoring import markdown

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="edsr_baseline,span,espcn,fsrcnn")
    parser.add_argument("--sizes", default="0.25,1,4,16")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    rows, ways = [], options.ways.split(",")
    with tempfile.TemporaryDirectory() as folder:
        names = [row.split(":") for row in options.rows.split(",")]
        cases = [(name, float(size)) for name, *own in names for size in own or options.sizes.split(",")]
        cases += [("fsrcnn", 100.0)] if options.large else []
        for name, size in cases:
            source = photograph(Path(folder) / "lr.png", size)
            results: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
            for _ in range(options.repeats if size < 100 else 1):
                for way in ways if size < 100 else ["torch"]:
                    if (result := measure(name, way, source, Path(folder) / "sr.png")) is not None:
                        results[way].append(result)
            eager = statistics.median(r[0] for r in results["eager"]) if results.get("eager") else None
            for way, values in results.items():
                if not values:
                    continue
                total, computed, peak = (statistics.median(column) for column in zip(*values, strict=True))
                rows.append({
                    "network": name, "megapixels": f"{size:g}", "way": way, "seconds": f"{total:.2f}",
                    "without writing": f"{computed:.2f}", "megapixels/s": f"{size / total:.3f}",
                    "times eager": f"{eager / total:.2f}" if eager else "", "peak MiB": f"{peak:.0f}",
                })  # fmt: skip
                print(rows[-1], flush=True)
                text = f"# upscale, x2, from file to file\n\n{markdown(rows)}\n\n`python {' '.join(sys.argv)}`\n"
                Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
