"""Precisions have one name in every command, and a GPU that is not there is said at once."""

from pathlib import Path

import pytest

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.runs import build_trainer


@pytest.mark.parametrize(
    ("typed", "lightnings"),
    [("float32", "32-true"), ("bf16", "bf16-mixed"), ("bf16-mixed", "bf16-mixed"), ("32-true", "32-true")],
)
def test_old_and_new_names_of_precisions(typed: str, lightnings: str, tmp_path: Path) -> None:
    cfg = compose("train", ["trainer=cpu", f"trainer.precision={typed}", "logger=none"])
    assert build_trainer(cfg, tmp_path).precision == lightnings


def test_a_missing_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^trainer.accelerator=gpu: PyTorch finds none .* type trainer=cpu, or"):
        build_trainer(compose("train", ["trainer=gpu"]), tmp_path)
