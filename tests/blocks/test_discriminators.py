"""Discriminators beside their authors' code, whose outputs for the same seeded weights are noted here.

XPixelGroup/BasicSR at 8d56e3a, Apache-2.0: ``UNetDiscriminatorSN`` and ``VGGStyleDiscriminator``;
junyanz/pytorch-CycleGAN-and-pix2pix at 000f298, BSD: ``NLayerDiscriminator``. Widths are 8, 4 and 8; pictures are those
of one generator, in this order. Of each output: the first values, the mean and the deviation of all.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seeded_weights import seeded_state
from sr_lightning.blocks.discriminators import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator
from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.errors import ConfigError

CONFIGS = sorted({path.stem for path in (CONF_DIR / "discriminator").glob("*.yaml")} - {"none"})


def pictures() -> list[Tensor]:
    draw = np.random.default_rng(0)
    return [torch.from_numpy(draw.random((2, 3, side, side), np.float32)) for side in (40, 128, 70)]


def load(net: nn.Module, theirs: dict[str, str]) -> None:
    """Weights that are drawn under the authors' names, and then take ours."""
    shapes = {theirs[name]: value.shape for name, value in net.state_dict().items()}
    state = seeded_state({name: shape for name, shape in shapes.items() if not name.endswith(("_u", "_v"))})
    for name in shapes.keys() - state.keys():
        draw = np.random.default_rng(len(name) + shapes[name].numel()).standard_normal(shapes[name])
        state[name] = torch.from_numpy(draw.astype(np.float32)) / np.linalg.norm(draw.astype(np.float32))
    net.load_state_dict({ours: state[name] for ours, name in theirs.items()})


def check(output: Tensor, first: list[float], mean: float, deviation: float) -> None:
    assert output.flatten()[: len(first)].tolist() == pytest.approx(first, rel=1e-3, abs=2e-5)
    assert output.double().mean().item() == pytest.approx(mean, rel=1e-4, abs=1e-6)
    assert output.double().std().item() == pytest.approx(deviation, rel=1e-4)


def test_unet_is_basicsrs() -> None:
    """After 300 passes: theirs refine the estimate of the norm in another order, and both end at the norm itself."""
    net = UNetDiscriminator(8)
    layers = ["first", "down.0", "down.1", "down.2", "up.0", "up.1", "up.2", "last.0", "last.2", "last.4"]
    kinds = {"original": "weight_orig", "_u": "weight_u", "_v": "weight_v", "weight": "weight", "bias": "bias"}
    theirs = {}
    for name in net.state_dict():
        number = next(i for i, layer in enumerate(layers) if name.startswith(layer + "."))
        theirs[name] = f"conv{number}.{kinds[name.rpartition('.')[2]]}"
    load(net, theirs)
    with torch.no_grad():
        for _ in range(300):
            net.train()(torch.zeros(1, 3, 8, 8))
        output = net.eval()(pictures()[0])
    check(output, [0.03022061, 0.03999154, -0.00969067], 0.03960960, 0.04216148)
    for layer in (net.down[0], net.up[2]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=1e-3)


def test_vgg_is_basicsrs() -> None:
    net = VGGDiscriminator(4)
    names = ["conv0_0", "conv0_1", "bn0_1"]
    names += [f"{kind}{level}_{part}" for level in range(1, 5) for part in (0, 1) for kind in ("conv", "bn")]
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    modules = [name for name, module in net.named_modules() if isinstance(module, kinds)]
    theirs = dict(zip(modules, [*names, "linear1", "linear2"], strict=True))
    load(net, {name: f"{theirs[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}" for name in net.state_dict()})
    x = pictures()[1]
    with torch.no_grad():
        check(net.train()(x), [-0.20635377, 0.36949736], 0.0815718, 0.40718824)
        check(net.eval()(x), [0.04404406, 0.04390073], 0.0439724, 1.0135263e-04)


def test_patch_is_pix2pixs_and_sees_seventy_pixels() -> None:
    net = PatchDiscriminator(8)
    load(net, {name: f"model.{name}" for name in net.state_dict()})
    x = pictures()[2]
    with torch.no_grad():
        check(net.train()(x), [0.32146654, 0.95590264, -0.42025700], -5.281930e-04, 0.43320260)
        check(net.eval()(x), [-0.02534513, 0.00544456, -0.00838920], -0.07498824, 0.03798622)
    wide = torch.rand(1, 3, 160, 160, requires_grad=True)
    net(wide)[0, 0, 9, 9].backward()
    seen = wide.grad.abs().sum((0, 1)) > 0  # type: ignore[union-attr]
    assert seen.any(0).sum() == seen.any(1).sum() == 70


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_judges_pictures_of_any_size(name: str) -> None:
    torch.manual_seed(0)
    net = build(compose("train", [f"discriminator={name}", "discriminator.num_features=4"]).discriminator)
    for height, width in ((48, 48), (50, 37)):
        x = torch.rand(2, 3, height, width, requires_grad=True)
        output = net(x)
        assert output.shape[:2] == (2, 1) and output.isfinite().all()
        output.sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match=r"discriminator\.num_features=0: must be a whole number above 0"):
        build(compose("train", [f"discriminator={name}", "discriminator.num_features=0"]).discriminator)
