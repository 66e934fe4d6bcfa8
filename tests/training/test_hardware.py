"""Precisions have one name in every command, and a GPU that is not there is said at once."""

from pathlib import Path

import pytest

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.building import build_trainer


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


NONE = "PyTorch finds none on this machine; type trainer=cpu, or install"
NO_INTEL = "Lightning trains on no Intel GPU; type trainer=cpu, or train elsewhere"


@pytest.mark.parametrize(
    ("typed", "there", "sentence"),
    [
        ("mps", "cuda", NONE),
        ("cuda", "mps", NONE),
        ("xpu", "xpu", NO_INTEL),
        ("xpu", "", NO_INTEL),
        ("gpu", "xpu", NO_INTEL),
    ],
)
def test_accelerators_by_name(
    typed: str, there: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda kind=kind: bool(there) and kind.endswith(there))
    with pytest.raises(ConfigError, match=f"^trainer.accelerator={typed}: {sentence}"):
        build_trainer(compose("train", [f"trainer.accelerator={typed}"]), tmp_path)


def test_an_accelerator_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tpu9.*Available names are"):
        build_trainer(compose("train", ["trainer.accelerator=tpu9"]), tmp_path)
