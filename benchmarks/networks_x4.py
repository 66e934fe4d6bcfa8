"""The table of networks_x4.md, from what networks_x4.sh measured."""

import json
from pathlib import Path
from typing import Any

from sr_lightning.evaluation.scoring import markdown

HERE = Path(__file__).resolve().parent
TITLES = {
    "small": "256x256 pixels, medians of three rounds",
    "light": "256x256 pixels, one round after one that warms up",
    "large": "96x96 pixels, one round after one that warms up",
}
INTRODUCTION = """# Speed of all networks at x4

Milliseconds for each megapixel of the result, in {machine}. "Best" is the fastest of this library's ways and precisions
there. "Beside spandrel" is the time of spandrel's network with the same weights, in the same precision and run, divided
by ours: 2.0 is twice as fast. MiB is the peak of a process of its own, over its imports. Weights are random where none
are shipped; that does not matter for time. `benchmarks/networks_x4.sh` makes the table.
"""


def measured() -> dict[str, dict[str, Any]]:
    """Rows by ``network, way, precision`` of each file."""
    return {
        path.stem.rpartition("_")[2]: json.loads(path.read_text()) for path in sorted(HERE.glob("networks_x4_*.json"))
    }


def milliseconds() -> dict[str, float]:
    """For a megapixel of the result in float32, by network."""
    rows = [row for part in ("small", "light", "large") for row in measured()[part]["rows"]]
    return {
        row["network"].removesuffix(" x4"): 1000 / row["MP/s"]
        for row in rows
        if row["way"] == "channels_last" and row["precision"] == "float32"
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for name in dict.fromkeys(row["network"] for row in rows):
        of = {(row["way"], row["precision"]): row for row in rows if row["network"] == name}
        ours = {key: row for key, row in of.items() if key[0] != "spandrel"}
        plain, best = of["channels_last", "float32"], max(ours.items(), key=lambda item: item[1]["MP/s"])
        line = {
            "network": name.removesuffix(" x4"),
            "float32, ms": f"{1000 / plain['MP/s']:,.0f}",
            "best, ms": f"{1000 / best[1]['MP/s']:,.0f}",
            "best way": f"{best[0][0]}, {'bf16' if best[1].get('bits') == 16 else 'float32'}",
            "MiB": f"{plain['peak MiB']:,.0f}",
        }
        for precision, title in (("float32", "float32 beside spandrel"), ("auto", "bf16 beside spandrel")):
            theirs, same = of.get(("spandrel", precision)), of.get(("channels_last", precision))
            same_bits = theirs and same and theirs.get("bits") == same.get("bits")
            line[title] = f"{same['MP/s'] / theirs['MP/s']:.2f}" if theirs and same and same_bits else ""
        line["MiB of spandrel"] = (
            f"{of['spandrel', 'float32']['peak MiB']:,.0f}" if ("spandrel", "float32") in of else ""
        )
        lines.append(line)
    return markdown(lines)


def main() -> None:
    """Writes ``networks_x4.md``."""
    parts = measured()
    machine = parts["small"]["machine"]
    text = INTRODUCTION.format(machine=f"{machine['threads']} threads of an {machine['processor']}")
    for part, title in TITLES.items():
        if part in parts:
            text += f"\n## {title}\n\n{_table(parts[part]['rows'])}\n"
    if "files" in parts:
        text += "\n## A PNG file of 1024x1024 pixels, to one of 4096x4096\n\n"
        rows = [
            {
                "network": row["network"].removesuffix(" x4"),
                "bits": str(row["bits"]),
                "seconds": f"{row['seconds']:.1f}",
                "MiB": f"{row['peak MiB']:,.0f}",
            }
            for row in parts["files"]["rows"]
        ]
        text += f"{markdown(rows)}\n"
    (HERE / "networks_x4.md").write_text(text)


if __name__ == "__main__":
    main()
