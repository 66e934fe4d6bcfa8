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
#: Configs that a newcomer need not know.
LEFT_OUT = {
    "model": {"rawsr_tiny"},
    # Parts of callbacks=default, and nothing at all.
    "callbacks": {
        "checkpoint", "progress", "pictures", "learning_rate", "random_state", "channels_last", "stop_on_nan", "none",
        "notice_standstill",
    },
}  # fmt: skip


def choices(group: str) -> list[str]:
    """Names in the README's row of a group; neither examples with ``=`` nor what stands in brackets are choices."""
    (row,) = re.findall(rf"^\| `{group}` \|(.*)\|$", README.read_text(encoding="utf-8"), re.M)
    return [name for name in re.findall(r"`([^`]+)`", row) if re.fullmatch(r"\w+", name)]


@pytest.mark.parametrize("group", GROUPS)
def test_the_table_of_keys_has_every_config(group: str) -> None:
    named, files = choices(group), {path.stem for path in (CONF_DIR / group).glob("*.yaml")}
    assert len(named) == len({*named})
    assert {*named} == files - LEFT_OUT.get(group, set())


def test_what_is_left_out_exists() -> None:
    for group, names in LEFT_OUT.items():
        assert names <= {path.stem for path in (CONF_DIR / group).glob("*.yaml")}
