"""The tables of docs/recipes.md say of this library's trainings what their configs compose to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from sr_lightning.config import CONF_DIR, chosen_configs, compose

PAGE = Path(__file__).resolve().parents[1] / "docs/recipes.md"
if not PAGE.is_file():
    pytest.skip("the documentation is not part of the source distribution", allow_module_level=True)

#: What every training has to tell.
NEEDED = {"data", "data.patch_size", "data.batch_size", "data.batches_per_epoch", "loss", "optimizer", "optimizer.lr"}
NEEDED |= {"scheduler", "epochs"}


def tables(text: str) -> Iterator[list[list[str]]]:
    """Each table's rows, and each row's cells; the head is the first row."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        yield [head, *rows]


def ours(text: str, heads: str = r"`(\w+)`") -> dict[str, list[str]]:
    """The settings that the page gives, as a user types them, for each experiment, or what else heads a column."""
    found: dict[str, list[str]] = {}
    for head, *rows in tables(text):
        for column, title in enumerate(head):
            if name := re.fullmatch(heads, title):
                cells = " ".join(row[column] for row in rows)
                found[name[1]] = re.findall(r"`([\w.]+=[^`]+)`", cells)
    return found


OURS = ours(PAGE.read_text(encoding="utf-8"))


def test_tables_are_read() -> None:
    assert ours("| a | `x` |\n|---|---|\n| b | `k=1` `m=[1,2]` |\n") == {"x": ["k=1", "m=[1,2]"]}
    assert {"vdsr_291_paper", "vdsr_291_collection", "vdsr_mixed", "rdn_div2k_x2"} <= {*OURS}


@pytest.mark.parametrize("name", OURS)
def test_the_page_says_what_the_config_composes_to(name: str) -> None:
    said: dict[str, Any] = {}
    for setting in OURS[name]:
        key, _, value = setting.partition("=")
        said[key] = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))["value"]  # type: ignore[call-overload]
    cfg, chosen = compose("train", [f"experiment={name}"]), chosen_configs("train", [f"experiment={name}"])
    there = {}
    for key in said:
        value = chosen[key] if key in chosen else OmegaConf.select(cfg, key, default="no such key")
        there[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    assert said == there
    assert {*said} >= NEEDED


def test_the_page_says_what_the_presets_of_zero_shot_are() -> None:
    said = ours(PAGE.read_text(encoding="utf-8"), heads=r"`zero_shot=(\w+)`")
    assert sorted(said) == sorted(path.stem for path in (CONF_DIR / "zero_shot").glob("*.yaml"))
    for preset, settings in said.items():
        cfg = compose("upscale", ["model=zssr", f"zero_shot={preset}"]).zero_shot
        assert settings and OmegaConf.merge(cfg, OmegaConf.from_dotlist(settings)) == cfg
