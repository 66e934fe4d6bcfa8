"""rawSR beside the authors' TensorFlow code (xuxy09/RawSR, model.py), which is here followed in NumPy.

TensorFlow's ``SAME`` puts the larger half of the padding behind the picture; its pictures are ``(H, W, C)``.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sr_lightning.models.rawsr import SCOPES, RawSR, _dense_layer, from_tensorflow

Array = np.ndarray
SIZES = {"num_features": 12, "growth_rate": 3, "num_layers": 4}


def padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def conv2d(x: Array, weight: Array, bias: Array, stride: int = 1) -> Array:
    kernel = weight.shape[0]
    padded = np.pad(x, [padding(n, kernel, stride) for n in x.shape[:2]] + [(0, 0)])
    rows, columns = (math.ceil(n / stride) for n in x.shape[:2])
    out = np.zeros((rows, columns, weight.shape[3])) + bias
    for i in range(kernel):
        for j in range(kernel):
            part = padded[i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
            out += part @ weight[i, j]
    return out


def conv2d_transpose(x: Array, weight: Array, bias: Array, stride: int) -> Array:
    """The gradient of a convolution with this stride; weights are ``(height, width, out, in)``."""
    kernel, size = weight.shape[0], [n * stride for n in x.shape[:2]]
    out = np.zeros([(n - 1) * stride + kernel for n in x.shape[:2]] + [weight.shape[2]])
    for i in range(kernel):
        for j in range(kernel):
            rows, columns = (
                slice(a, a + (n - 1) * stride + 1, stride) for a, n in zip((i, j), x.shape[:2], strict=True)
            )
            out[rows, columns] += x @ weight[i, j].T
    top, left = (padding(n, kernel, stride)[0] for n in size)
    return out[top : top + size[0], left : left + size[1]] + bias


def depth_to_space(x: Array, block: int) -> Array:
    height, width, channels = x.shape
    x = x.reshape(height, width, block, block, channels // block**2).transpose(0, 2, 1, 3, 4)
    return x.reshape(height * block, width * block, -1)


def lrelu(x: Array) -> Array:
    return np.maximum(x, 0.2 * x)


def pool(x: Array) -> Array:
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).mean((1, 3))


class Reference:
    """The forward pass by the authors' names; ``layer`` makes a layer's result, and its variables where asked for."""

    def __init__(self, scale: int, tpami: bool, values: Callable[[str, tuple[int, ...]], Array]) -> None:
        self.scale, self.tpami, self.values = scale, tpami, values
        self.n, self.growth, self.layers = SIZES.values()

    def conv(
        self, scope: str, x: Array, channels: int, kernel: int = 3, stride: int = 1, linear: bool = False
    ) -> Array:
        weight = self.values(f"{scope}/weights", (kernel, kernel, x.shape[2], channels))
        x = conv2d(x, weight, self.values(f"{scope}/biases", (channels,)), stride)
        return x if linear else lrelu(x)

    def deconv(self, scope: str, x: Array, channels: int, stride: int = 2) -> Array:
        weight = self.values(f"{scope}/weights", (4, 4, channels, x.shape[2]))
        return lrelu(conv2d_transpose(x, weight, self.values(f"{scope}/biases", (channels,)), stride))

    def dense(self, number: int, x: Array) -> Array:
        scope, features = f"branch_1_0/dense_1_{number}", [x]
        for i in range(1, self.layers + 1):
            features.append(self.conv(f"{scope}/conv_{i}", np.concatenate(features, 2), self.growth))
        if not self.tpami:
            return np.concatenate(features[1:], 2)
        y = self.conv(f"{scope}/conv_bottle", np.concatenate(features, 2), self.n, 1, linear=True)
        gate = y.mean((0, 1))
        for name, act in (("next_fc0", lambda v: np.maximum(v, 0)), ("next_fc1", lambda v: 1 / (1 + np.exp(-v)))):
            weight = self.values(f"{scope}/{name}/weights", (self.n, self.n))
            gate = act(gate @ weight + self.values(f"{scope}/{name}/biases", (self.n,)))
        return gate * y + x

    def shuffle(self, x: Array) -> Array:
        per_colour = np.split(x, 3, axis=2)
        if self.scale == 4:
            return np.concatenate([depth_to_space(part, 8) for part in per_colour], 2)
        return np.concatenate([depth_to_space(depth_to_space(part, 2), 2) for part in per_colour], 2)

    def __call__(self, raw: Array, picture: Array) -> Array:
        n, cat = self.n, lambda *parts: np.concatenate(parts, 2)
        one, two, three = "branch_1_0/", "branch_2_1/", "branch_2_2/"
        low = self.conv(one + "conv_1_0_low", cat(raw[::2, ::2], raw[::2, 1::2], raw[1::2, ::2], raw[1::2, 1::2]), n)
        dense_0 = self.dense(0, low)
        down = self.conv(one + "pool_in_0", dense_0, n, stride=2)
        dense_1 = self.dense(1, down)
        dense_2 = self.dense(2, dense_1)
        quarter = self.conv(one + "bottle_1_0", cat(dense_2, dense_1, down), n, 1)
        up = self.deconv(one + "deconv_1_1_0", quarter, n)
        up = self.conv(one + "conv_1_1_0", up, n) if self.tpami else up
        half = self.conv(one + "bottle_1_1", cat(low, dense_0, up, self.dense(3, up)), 2 * n, 1)
        linear = self.shuffle(self.conv(one + "conv_1_1_1", half, 12 * self.scale**2))

        half_skip = pool(self.conv("branch_2_0/conv_2_0_0", picture, n))
        quarter_skip = pool(self.conv("branch_2_0/conv_2_0_1", half_skip, n))
        x = self.conv("branch_2_0/conv_2_0_2", quarter_skip, n)
        if self.tpami:
            x = cat(x, quarter_skip) + self.conv("w_fin21", quarter, 2 * n, 1)
            x = self.conv(two + "conv_2_1_2_nFF", x, 2 * n)
        else:
            x = cat(x + self.conv("w_fin21", quarter, n, 1), quarter_skip)
        x = self.deconv(two + "deconv_2_0_0", x, n)
        x = cat(self.conv(two + "conv_2_0_3", x, n) if self.tpami else x, half_skip)
        if self.tpami:
            x = self.conv(three + "conv_2_1_3_nFF", x + self.conv("w_fin22", half, 2 * n, 1), 2 * n)
        x = self.deconv(three + "deconv_2_0_1", x, n)
        x = self.conv(three + "deconv_2_0_4", x, n) if self.tpami else x
        x = self.deconv(three + "deconv_2_0_2", x, n, self.scale)
        matrix = self.conv(three + "conv_2_0_5", x, 12, linear=True)
        rgb = [(matrix[..., 3 * i : 3 * i + 3] * linear).sum(2) + matrix[..., 9 + i] for i in range(3)]
        return np.stack(rgb, 2)


@pytest.mark.parametrize(("scale", "variant"), [(2, "tpami"), (4, "tpami"), (2, "cvpr19")])
def test_it_computes_as_the_authors_code(scale: int, variant: str) -> None:
    """The conference version has the same layers but those that ``RawSR`` says it lacks; its code is not public."""
    draw, variables = np.random.default_rng(0), {}

    def value(name: str, shape: tuple[int, ...]) -> Array:
        spread = 0.5 / math.sqrt(math.prod(shape[:-1])) if len(shape) > 1 else 0.2
        made = draw.normal(0, spread, shape)
        variables[f"main_model/{name}"] = torch.from_numpy(made)
        return made

    raw, picture = draw.random((8, 12, 1)), draw.random((8, 12, 3))
    expected = Reference(scale, variant == "tpami", value)(raw, picture)
    net = RawSR(scale=scale, variant=variant, **SIZES).double().net  # type: ignore[arg-type]
    net.load_state_dict(from_tensorflow(variables | {"main_model/w_fin21/weights/Adam": torch.zeros(1)}))
    sr = net(*(torch.from_numpy(x).permute(2, 0, 1)[None] for x in (raw, picture)))[0].permute(1, 2, 0)
    torch.testing.assert_close(sr, torch.from_numpy(expected))


def test_every_layer_has_a_scope() -> None:
    net = RawSR(**SIZES).net
    layers = {name.rpartition(".")[0] for name in net.state_dict()}
    dense = {_dense_layer(f"branch_1_0/dense_1_{i}/{part}") for i in range(4) for part in dense_parts()}
    assert layers == {*SCOPES.values()} | dense
    assert _dense_layer("branch_1_0/dense_1_0") is None


def dense_parts() -> list[str]:
    return [*(f"conv_{i}" for i in range(1, 5)), "conv_bottle", "next_fc0", "next_fc1"]
