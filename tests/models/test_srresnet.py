"""SRResNet: the two variants."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.models import SRResNet


def kinds(model: nn.Module, *types: type[nn.Module]) -> int:
    return sum(isinstance(layer, types) for layer in model.modules())


def biases(model: SRResNet) -> list[str]:
    return [name for name, part in model.net.named_modules() if isinstance(part, nn.Conv2d) and part.bias is not None]


def test_the_baseline_of_srnet() -> None:
    model = SRResNet(scale=4)
    assert kinds(model, nn.InstanceNorm2d) == 2 * 16 + 1
    activations = [layer for layer in model.modules() if isinstance(layer, nn.LeakyReLU)]
    assert len(activations) == 1 + 16
    assert biases(model) == ["tail.0.0", "tail.0.2"]
    assert all(layer.negative_slope == 0.2 for layer in activations)
    assert model.net.head[0].kernel_size == model.net.tail[1].kernel_size == (9, 9)


def test_the_paper() -> None:
    model = SRResNet(scale=4, num_blocks=2, norm="batch", activation="prelu", bias="all", upsampler_activation=True)
    assert len(biases(model)) == 1 + 2 * 2 + 1 + 2 + 1
    assert kinds(model, nn.BatchNorm2d) == 2 * 2 + 1
    assert kinds(model, nn.PReLU) == 1 + 2 + 2
    assert model(torch.rand(2, 3, 6, 7)).shape == (2, 3, 24, 28)


@pytest.mark.parametrize("upsampler_activation", [False, True])
def test_both_forms_of_the_baseline_are_their_formula(upsampler_activation: bool) -> None:
    """selous123/SRNet-zoom-pytorch has no activation after the shuffles, twtygqyy/pytorch-SRResNet has."""
    bias = "none" if upsampler_activation else "upsampler"
    model = SRResNet(
        scale=4, num_features=8, num_blocks=2, bias=bias, upsampler_activation=upsampler_activation, value_range=255.0
    ).double()  # type: ignore[arg-type]
    weight = {name: torch.randn_like(value) / 4 for name, value in model.net.state_dict().items()}
    model.net.load_state_dict(weight)

    def conv(x: Tensor, name: str, padding: int = 1) -> Tensor:
        return F.conv2d(x, weight[f"{name}.weight"], weight.get(f"{name}.bias"), padding=padding)

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * weight[f"{name}.weight"].view(-1, 1, 1) + weight[f"{name}.bias"].view(-1, 1, 1)

    def act(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    lr = torch.rand(1, 3, 7, 6, dtype=torch.float64)
    shallow = x = act(conv(255 * lr, "head.0", 4))
    for i in range(2):
        y = act(norm(conv(x, f"body.{i}.body.0"), f"body.{i}.body.1"))
        x = x + norm(conv(y, f"body.{i}.body.3"), f"body.{i}.body.4")
    x = norm(conv(x, "body.2"), "body.3") + shallow
    for i in (0, 3) if upsampler_activation else (0, 2):
        x = F.pixel_shuffle(conv(x, f"tail.0.{i}"), 2)
        x = act(x) if upsampler_activation else x
    torch.testing.assert_close(model(lr), conv(x, "tail.1", 4) / 255)


def test_biases_before_normalisation() -> None:
    """Lornatang/SRGAN-PyTorch has none there, because normalisation takes every mean away."""
    model = SRResNet(num_features=4, num_blocks=1, norm="batch", bias="unnormalised")
    assert biases(model) == ["head.0", "tail.0.0", "tail.0.2", "tail.1"]
    assert len(biases(SRResNet(num_features=4, num_blocks=1, norm="none", bias="unnormalised"))) == 7
    with pytest.raises(ConfigError, match="bias=some: must be one of all, unnormalised, upsampler, none"):
        SRResNet(bias="some")  # type: ignore[arg-type]


def test_an_unknown_activation_is_explained() -> None:
    with pytest.raises(ConfigError, match="activation=relu: there are leaky_relu and prelu"):
        SRResNet(activation="relu")  # type: ignore[arg-type]


def test_standardised_colours_and_tanh() -> None:
    plain = SRResNet(scale=2, num_features=4, num_blocks=1)
    other = SRResNet(scale=2, num_features=4, num_blocks=1, standardized=True, output="tanh")
    other.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 3, 5, 6)
    mean, std = (torch.tensor(of).view(3, 1, 1) for of in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(other(lr), plain((lr - mean) / std).tanh() / 2 + 0.5)


def test_settings_of_both_ends_are_explained() -> None:
    with pytest.raises(ConfigError, match="output=sigmoid: there are linear and tanh"):
        SRResNet(output="sigmoid")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="standardized=true is for colours; set input=rgb"):
        SRResNet(standardized=True, input="raw")
