"""Settings that no shape shows, chosen by a look at a photograph."""

from pathlib import Path

import torch

from sr_lightning.inference.plausible import plausible_network
from sr_lightning.models import MDSR, RCAN, SuperResolutionModule
from sr_lightning.weights.reading import read_weights


def saved(model: SuperResolutionModule, file: Path) -> Path:
    torch.save({name.removeprefix("net."): value for name, value in model.state_dict().items()}, file)
    return file


def test_an_untrained_network_keeps_the_usual_settings(tmp_path: Path) -> None:
    for kind in (MDSR(scale=2, scales=[2], num_features=8, num_blocks=1), RCAN(num_groups=1, num_blocks=1)):
        model, words = plausible_network(read_weights(saved(kind, tmp_path / "untrained.pth")))
        assert (type(model), model.value_range, model.res_scale) == (type(kind), 255.0, 1.0)  # type: ignore[attr-defined]
        assert "photograph" not in words


def test_a_value_range_is_found(tmp_path: Path) -> None:
    """Bilinear enlargement, with a ReLU that takes nothing where white is 1, and all dark pixels where it is 255."""
    model = MDSR(scale=4, scales=[4], num_features=3, num_blocks=1, value_range=1.0)
    identity = torch.zeros(3, 3, 3, 3)
    identity[range(3), range(3), 1, 1] = 1
    wide = torch.nn.functional.pad(identity, (1, 1, 1, 1))
    halves = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])  # of both pixels that a pixel becomes
    filters = torch.einsum("ay,bx->abyx", halves, halves).reshape(4, 1, 3, 3)
    bilinear = torch.cat([filters * identity[channel, :, 1:2, 1:2] for channel in range(3)])
    layers = {
        "head.weight": identity,
        "preparation.4.0.body.0.weight": wide,
        "preparation.4.0.body.0.bias": torch.ones(3),
        "preparation.4.0.body.2.weight": wide,
        "preparation.4.0.body.2.bias": -torch.ones(3),
        "upsamplers.4.0.weight": bilinear,
        "upsamplers.4.2.weight": bilinear,
        "tail.weight": identity / 2,
    }
    zeros = {name: torch.zeros_like(value) for name, value in model.net.state_dict().items()}
    model.net.load_state_dict({**zeros, **layers})
    chosen, words = plausible_network(read_weights(saved(model, tmp_path / "bilinear.pth")))
    assert (chosen.value_range, chosen.res_scale) == (1.0, 1.0)  # type: ignore[attr-defined]
    assert words.endswith("; value_range=1.0 by a look at a photograph")
