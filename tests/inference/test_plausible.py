"""Weights of another project without a word: the network, and settings that no shape shows."""

from pathlib import Path

import pytest
import torch

import sr_lightning as sr
from running import fails, run_here
from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.evaluate import evaluate
from sr_lightning.export import export
from sr_lightning.inference.finding import find_network
from sr_lightning.models import SPAN, SRCNN
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import load_pretrained


def as_published(model: SPAN, white: float = 255.0) -> dict[str, torch.Tensor]:
    """The shipped network under its authors' names, for an input of another value of white."""
    state = next(filter(None, (layout.to_theirs(model.net.state_dict()) for layout in SPAN.layouts)))
    state["conv_1.eval_conv.weight"] = state["conv_1.eval_conv.weight"] * (255.0 / white)
    return state


@pytest.mark.parametrize("white", [255.0, 1.0])
def test_the_value_of_white_is_found_on_a_photograph(white: float, tmp_path: Path) -> None:
    shipped = load_pretrained("span", 2)
    assert isinstance(shipped, SPAN)
    torch.save({"params": as_published(shipped, white)}, tmp_path / "net.pth")
    network, line = find_network(tmp_path / "net.pth")
    assert network.hparams["value_range"] == white  # type: ignore[union-attr]
    assert str(line).startswith("net.pth: SPAN, 6 blocks, 28 features, x2, RGB (names of SPAN)")
    assert ("value_range=1.0 by a look at a photograph" in str(line)) == (white == 1)
    lr = torch.rand(1, 3, 9, 12)
    with torch.inference_mode():
        assert torch.allclose(network(lr), shipped(lr), atol=1e-4)


def test_what_is_said_is_not_looked_for(tmp_path: Path) -> None:
    torch.save(as_published(load_pretrained("span", 2), 1.0), tmp_path / "net.pth")  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match=r"net.pth: .* dB below bicubic interpolation; try foreign.white=1"):
        network, _ = find_network(tmp_path / "net.pth", foreign={"white": 255.0})
    assert network.hparams["value_range"] == 255  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"foreign\.res_scale: net\.pth is SPAN, which has none; leave it out"):
        find_network(tmp_path / "net.pth", foreign={"res_scale": 0.1})
    with pytest.raises(ConfigError, match=r"scale=3: .*net.pth is for scale 2"):
        find_network(tmp_path / "net.pth", 3)


def test_the_name_of_the_file_tells_a_scale(tmp_path: Path) -> None:
    model = SRCNN(scale=3)
    torch.save({f"conv{i}.{k}": getattr(model.net.net, layer).state_dict()[k] for i, layer in
                enumerate(("extraction", "mapping", "reconstruction"), 1) for k in ("weight", "bias")},
               tmp_path / "SRCNN_x3.pth")  # fmt: skip
    with pytest.warns(UserWarning, match="hardly trained"):
        assert find_network(tmp_path / "SRCNN_x3.pth")[0].scale == 3
        assert find_network(tmp_path / "SRCNN_x3.pth", 4)[0].scale == 4


def test_every_command_takes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = load_pretrained("span", 3)
    torch.save(as_published(shipped), "net.pth")  # type: ignore[arg-type]
    result = evaluate(compose("evaluate", ["weights=net.pth", "data=samples", "run_dir=run"]))
    assert (result["model"], result["scale"], result["weights"]) == ("span", 3, "net.pth")
    told = evaluate(compose("evaluate", ["checkpoint=net.pth", "info=true", "run_dir=other"]))
    assert told["network"] == "SPAN, 6 blocks, 28 features, x3, RGB" and not Path("other").exists()
    assert export(compose("export", ["weights=net.pth", "format=safetensors"])) == Path("net.safetensors")
    for model in (load_model("net.safetensors"), sr.load("net.pth", device="cpu").model, sr.from_pretrained("net.pth")):
        assert all(torch.equal(value, shipped.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(ConfigError, match=r"scale=2: .*net.pth is for scale 3"):
        evaluate(compose("evaluate", ["weights=net.pth", "scale=2", "data=samples"]))


def test_training_goes_on_from_it_at_another_scale(tmp_path: Path) -> None:
    torch.save(as_published(load_pretrained("span", 3)), tmp_path / "net.pth")  # type: ignore[arg-type]
    short = ["scale=2", "trainer.max_epochs=1", "data.batches_per_epoch=1", "logger=null", "run_dir=run"]
    result = run_here("train", "model=span", "init_from=net.pth", *short, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "init_from: 42 of 44 tensors from net.pth (scale 3); new: net.tail.0" in result.stdout
    wrong = run_here("train", "model=espcn", "init_from=net.pth", *short, cwd=tmp_path)
    fails(wrong, "init_from=net.pth: it is SPAN, 6 blocks, 28 features, x3, RGB, not ESPCN")
