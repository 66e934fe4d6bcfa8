"""A checkpoint is scored as the network that it names."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

import sr_lightning as sr
from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.evaluate import evaluate
from sr_lightning.models.edsr import EDSR
from sr_lightning.train import init_weights
from sr_lightning.weights.shipped import load_pretrained, weights_file


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(EDSR(scale=2, num_features=8, num_blocks=1))
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_a_checkpoint_alone_is_enough(checkpoint: Path, tmp_path: Path) -> None:
    common = ["data=samples", "device=cpu", f"checkpoint={checkpoint}", f"run_dir={tmp_path / 'run'}"]
    alone = evaluate(compose("evaluate", common))
    same = ["model=edsr", "model.num_features=8", "model.num_blocks=1", "model.res_scale=1.0"]
    named = evaluate(compose("evaluate", [*common, *same]))
    assert (alone["model"], alone["protocol"]) == ("edsr", "y_matlab")
    assert alone["sets"]["samples"]["psnr"] == named["sets"]["samples"]["psnr"]


@pytest.mark.parametrize("name", ["span", "fsrcnn"])
def test_a_shipped_network_is_scored_by_its_name(name: str, tmp_path: Path) -> None:
    common = ["data=samples", "device=cpu", f"model={name}", f"run_dir={tmp_path / 'run'}", "scale=3"]
    shipped = evaluate(compose("evaluate", [*common, "name=mine"]))
    named = evaluate(compose("evaluate", [*common, f"weights={weights_file(name, 3)}"]))
    assert shipped["sets"] == named["sets"]
    assert (shipped["model"], shipped["weights"]) == ("mine", f"{name}_x3.safetensors")


def test_a_network_begins_with_shipped_weights() -> None:
    ours = build(compose("train", ["model=span", "scale=3"]).model)
    init_weights(ours, "span")
    shipped = load_pretrained("span", 3).state_dict()
    assert all(torch.equal(value, shipped[key]) for key, value in ours.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_its_scale_must_be_said(checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["data=samples", "scale=3", f"checkpoint={checkpoint}", f"run_dir={tmp_path / 'run'}"]
    with pytest.raises(ConfigError, match=r"trained for scale 2; type scale=2"):
        evaluate(compose("evaluate", arguments))


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_any_scale(tmp_path: Path) -> None:
    """LR is of the size that the scale leaves whole, and HR is cropped to what the scale makes of it."""
    from sr_lightning.models.liif import LIIF

    torch.manual_seed(0)
    model = LIIF(trunk_args={"num_features": 8, "num_blocks": 1}, hidden_features=16)
    sr.save_pretrained(model, tmp_path / "net")
    common = ["data=samples", "device=cpu", "scale=2.7", "protocol=y_rgb8"]
    named = [f"weights={tmp_path / 'net'}", "model=liif", "model.trunk_args={num_features: 8, num_blocks: 1}"]
    scored = evaluate(compose("evaluate", [*common, *named, "model.hidden_features=16", f"run_dir={tmp_path / 'a'}"]))
    alone = evaluate(compose("evaluate", [*common, named[0], f"run_dir={tmp_path / 'b'}"]))
    assert scored["scale"] == alone["scale"] == 2.7
    assert scored["sets"] == alone["sets"]
    bicubic = evaluate(compose("evaluate", [*common, "model=bicubic", f"run_dir={tmp_path / 'c'}"]))
    assert 20 < bicubic["sets"]["samples"]["psnr"] < 50
    hr = torch.rand(1, 3, 35, 50)
    lr, cropped = model.protocol.prepare(hr, None, 2.7, luma=False)
    assert (lr.shape[2:], cropped.shape[2:]) == ((12, 18), (32, 49))
    assert torch.equal(cropped, hr.double()[..., :32, :49])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["model=span"], "scale=2.5: SPAN needs a whole number; model=liif takes any"),
        (["model=bicubic", "degradation=bd"], "scale=2.5: degradations have whole scales; type one"),
    ],
)
def test_who_has_whole_scales_says_so(options: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(compose("evaluate", ["data=samples", "scale=2.5", f"run_dir={tmp_path}", *options]))
