"""What a run is made of."""

from pathlib import Path

import pytest

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.building import build_trainer


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["experiment=rdn_div2k_x2", "callbacks=default"], r"callbacks\.skip_exploding: .*=\[default,skip_exploding\]"),
        (["+callbacks.skip_exploding=3"], r"callbacks\.skip_exploding: .*callbacks=\[default,skip_exploding\]"),
        (["+logger.wandb.project=mine"], r"logger\.wandb: has settings, but .*logger=\[csv,wandb\]"),
    ],
)
def test_settings_of_a_part_that_is_not_there_are_told(typed: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        build_trainer(compose("train", [*typed, "data=samples"]), tmp_path)
