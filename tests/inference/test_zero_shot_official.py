"""``zero_shot=official`` against stored results of the authors' code, see tests/golden/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sr_lightning.config import build, compose
from sr_lightning.inference.zero_shot import AffineFathers, Settings
from sr_lightning.inference.zero_shot.fathers import Source
from sr_lightning.inference.zero_shot.training import Given, ZeroShot
from sr_lightning.models.zssr import ZSSR

GOLDEN = Path(__file__).parents[1] / "golden" / "zssr.npz"
STEPS = "zero_shot.factors=[[1,1.5],[1.5,1],[1.5,1.5],[1.5,2],[2,1.5],2]"
THEIRS = {
    "x2": ("zero_shot.max_iterations=60",),
    "gradual": ("zero_shot.max_iterations=10", STEPS, "zero_shot.back_projections=[6,6,8,10,10,12]"),
}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


def as_tensor(pixels: np.ndarray) -> Tensor:
    levels = np.iinfo(pixels.dtype).max
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(levels)).moveaxis(-1, -3)


class Refine(nn.Module):
    """The network behind its enlargement, with stored weights."""

    def __init__(self, golden: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.net = ZSSR(scale=2, num_features=8, num_layers=4).net
        layers = [layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d)]
        for i, layer in enumerate(layers):
            layer.weight.data = torch.from_numpy(golden[f"weight{i}"])

    def forward(self, enlarged: Tensor) -> Tensor:
        return self.net(enlarged, scale=1)  # type: ignore[no-any-return]


def enlarged(golden: dict[str, np.ndarray], *overrides: str) -> tuple[Tensor, list[int]]:
    """The result, and after which iterations the picture was tested."""
    given = ("model=zssr", "zero_shot=official", "zero_shot.fathers.crop_size=18", "zero_shot.seed=5", *overrides)
    settings = build(compose("upscale", given).zero_shot)
    assert isinstance(settings, Settings)
    task = ZeroShot(settings, Refine(golden), torch.device("cpu"))
    sr = task.enlarge(as_tensor(golden["picture"]), (50, 40), Given())
    return sr, [row["iteration"] for row in task.history]


@pytest.mark.parametrize("case", THEIRS)
def test_a_whole_training_is_the_authors(case: str, golden: dict[str, np.ndarray]) -> None:
    """Of an odd size, so that every size on the way is rounded as theirs; 2e-5 is what storing costs."""
    expected = as_tensor(golden[case])
    sr, tested = enlarged(golden, *THEIRS[case])
    assert (sr - expected).abs().max() < 5e-5
    assert tested == ([1, 51] if case == "x2" else [1] * 6)
    for setting in ("official=false", "fathers._target_=sr_lightning.inference.zero_shot.AffineFathers"):
        other, _ = enlarged(golden, *THEIRS[case], f"zero_shot.{setting}")
        assert (other - expected).abs().max() > 1e-3


def test_fathers_are_the_authors(golden: dict[str, np.ndarray]) -> None:
    settings = build(compose("upscale", ["zero_shot=official", "zero_shot.fathers.crop_size=18"]).zero_shot)
    source, draw = Source(as_tensor(golden["picture"]).double(), (1.0, 1.0)), np.random.default_rng(5)
    for father in as_tensor(golden["fathers"]):
        torch.testing.assert_close(settings.fathers.draw([source], (2.0, 2.0), draw).float(), father, atol=1e-4, rtol=0)


def test_fathers_of_the_default_are_less_empty() -> None:
    white, empty = Source(torch.ones(1, 40, 40), (1.0, 1.0)), []
    official = build(compose("upscale", ["zero_shot=official", "zero_shot.fathers.crop_size=24"]).zero_shot).fathers
    for fathers in (official, AffineFathers(crop_size=24)):
        draw = np.random.default_rng(0)
        crops = [fathers.draw([white], (2.0, 2.0), draw) for _ in range(200)]
        empty.append(float(torch.stack([crop == 0 for crop in crops]).float().mean()))
    assert empty[1] < empty[0] / 2
