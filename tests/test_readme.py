"""What the README says of the configs is what there is."""

import re
from pathlib import Path

import pytest

from sr_lightning.config import CONF_DIR

README = Path(__file__).resolve().parents[1] / "README.md"
GROUPS = [
    "model",
    "data",
    "degradation",
    "loss",
    "optimizer",
    "scheduler",
    "trainer",
    "protocol",
    "callbacks",
    "logger",
]


def choices(group: str) -> list[str]:
    """Names in the README's row of a group; neither examples with ``=`` nor what stands in brackets are choices."""
    (row,) = re.findall(rf"^\| `{group}` \|(.*)\|$", README.read_text(encoding="utf-8"), re.M)
    return [name for name in re.findall(r"`([^`]+)`", row) if re.fullmatch(r"\w+", name)]


@pytest.mark.parametrize("group", GROUPS)
def test_the_table_of_keys_names_configs(group: str) -> None:
    """It need not name all of them: a new one is a class and a config, and nothing else changes."""
    named, files = choices(group), {path.stem for path in (CONF_DIR / group).glob("*.yaml")}
    assert named and len(named) == len({*named})
    assert {*named} <= files
