"""Strips give what the whole picture gives, for every network that they accept, and compute nothing twice."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sr_lightning.functional import imresize, whole_steps
from sr_lightning.inference.engines.agreement import photographs
from sr_lightning.inference.engines.network import WithConstants
from sr_lightning.inference.strips import upscale_strips
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.resizing import resized_parts
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import EDSR, RRDB
from sr_lightning.strips.memory import strip_memory, strip_rows
from sr_lightning.strips.program import Program
from sr_lightning.strips.recording import recorded
from sr_lightning.strips.rules import NoStripsError
from sr_lightning.strips.stream import Stream
from sr_lightning.strips.whole import in_strips, tried_program
from tiny_networks import MODELS, make

#: They look at the whole picture, in each of its layers or by a grid that begins at its edge. Of LIIF, the features are
#: computed in strips, see tests/inference/test_any_scale.py.
IN_TILES = {
    "atd": "index_select",
    "atd_light": "index_select",
    "bsrn": "mean|no whole factor",
    "dat": "index_select",
    "dat_light": "index_select",
    "deepresnet": "mean",
    "glean": "",
    "guided_filter": "reflection_pad2d",
    "hat": "index_select",
    "hat_s": "index_select",
    "imdn": "mean",
    "liif": "new_empty",
    "liif_rdn": "new_empty",
    "omnisr": "mean",
    "packed_bicubic": "replication_pad2d",
    "packed_edsr": "replication_pad2d",
    "packed_naf": "permute",
    "packed_rcan": "mean",
    "packed_srresnet": "replication_pad2d",
    "pft": "index_select",
    "pft_light": "index_select",
    "rawsr": "mean",
    "rawsr_tiny": "mean",
    "rcan": "mean",
    "realplksr": "group_norm",
    "realplksr_dysample": "group_norm",
    "smfanet": "mean",
    "smfanet_plus": "mean",
    "srnet": "mean",
    "srresnet": "view",
    "srresnet_raw": "view",
    "swinir": "index_select",
    "swinir_light": "index_select",
}


def strips(program: Program, pictures: Sequence[Tensor], rows: int) -> Tensor:
    height = pictures[0].shape[2]
    stream = Stream(program, height, rows)
    fed = (stream.feed([x[:, :, top : top + rows] for x in pictures]) for top in range(0, height, rows))
    return torch.cat([part for parts in fed for part in parts], 2)


def as_it_enlarges(name: str, scale: int, height: int, width: int) -> tuple[nn.Module, list[Tensor]]:
    """A network of pictures alone, colours for luma ones, and a photograph for it."""
    model = make(name, scale).eval().merged()
    given = dict(zip(model.inputs, photographs(model, 1, height, width), strict=True))
    constants = {kind: given.pop(kind) for kind in ("white_balance",) if kind in given}
    if model.luma:
        given = {"lr": given["lr"] * torch.tensor([0.9, 0.5, 0.7]).view(1, 3, 1, 1)}
    return WithConstants(model, model.inputs, constants), list(given.values())


@pytest.mark.parametrize("name", [name for name in MODELS if name not in IN_TILES])
def test_strips_equal_the_whole_picture(name: str) -> None:
    """In double precision, where sums of another order differ less than any mistake."""
    net, pictures = as_it_enlarges(name, 2, 52, 28)
    net, pictures = net.double(), [picture.double() for picture in pictures]
    with torch.inference_mode():
        program, whole = recorded(net, [picture[..., :24, :20] for picture in pictures]), net(*pictures)
        for rows in (52, 16, 4):
            result = strips(program, pictures, rows)
            assert result.shape == whole.shape
            assert (result - whole).abs().max() <= 1e-13 * max(1, whole.abs().max())


@pytest.mark.parametrize(("name", "scale"), [(n, s) for n in ("edsr_baseline", "fsrcnn", "lapsrn", "vdsr", "pan")
                                             for s in (3, 4) if (n, s) != ("lapsrn", 3)])  # fmt: skip
def test_other_scales(name: str, scale: int) -> None:
    net, (picture,) = as_it_enlarges(name, scale, 37, 21)
    with torch.inference_mode():
        program, whole = recorded(net, [picture[..., :24, :20]]), net(picture)
        result = strips(program, [picture], 5)
    assert (result - whole).abs().max() <= 1e-6 * max(1, whole.abs().max())


@pytest.mark.parametrize("name", sorted(set(IN_TILES) - {"glean"}))
def test_what_looks_at_the_whole_picture_is_refused(name: str) -> None:
    net, pictures = as_it_enlarges(name, 2, 32, 32)
    with pytest.raises(NoStripsError, match=IN_TILES[name]):
        recorded(net, pictures)


@pytest.mark.parametrize(("height", "width"), [(301, 61), (61, 301), (53, 30)])
def test_a_network_that_fills_up_odd_sides(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real-ESRGAN's x2 puts 2x2 pixels into channels."""
    monkeypatch.setattr("sr_lightning.inference.exact.SMALL", 0)
    torch.manual_seed(0)
    model = RRDB(scale=2, num_features=8, growth_rate=4, num_blocks=1, unshuffle=2)
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width), np.uint8)
    whole = Upscaler(model, tile=100_000, precision="float32").array(pixels).astype(int)
    assert np.abs(Upscaler(model, precision="float32").array(pixels) - whole).max() <= 1


@pytest.mark.parametrize("height", [1, 7, 14, 31, 32])
@pytest.mark.parametrize("name", ["rfdn", "rlfn", "fsrcnn"])
def test_pictures_of_few_rows(name: str, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.inference.exact.SMALL", 0)
    model = make(name, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, 90), np.uint8)
    whole = Upscaler(model, tile=100_000, precision="float32").array(pixels).astype(int)
    for ensemble in (None, "mean"):
        result = Upscaler(model, precision="float32", ensemble=ensemble).array(pixels)  # type: ignore[arg-type]
        assert ensemble or np.abs(result - whole).max() <= 1


def test_a_stream_that_comes_to_a_stop_says_so() -> None:
    net = make("rfdn", 2).eval()
    program = tried_program(net, [3])
    with pytest.raises(NoStripsError, match="low a picture"), torch.no_grad():
        strips(program, [torch.rand(1, 3, 2, 40)], 2)


def test_recording_hears_its_own_thread_alone() -> None:
    net, picture = make("vdsr", 2).eval(), torch.rand(1, 3, 23, 19)
    expected = len(recorded(net, [picture]).steps)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            imresize(picture, 2)

    other = threading.Thread(target=disturb)
    other.start()
    try:
        assert {len(recorded(net, [picture]).steps) for _ in range(20)} == {expected}
    finally:
        stop.set()
        other.join()
    assert whole_steps._follower is None


def test_statistics_follow_the_network() -> None:
    net = Other(nn.BatchNorm2d(3)).eval()
    picture = torch.rand(1, 3, 40, 24)
    program = recorded(net, [picture])
    with torch.no_grad():
        net.other.weight.mul_(3)  # type: ignore[union-attr,operator]
        assert (strips(program, [picture], 8) - net(picture)).abs().max() < 1e-5


def test_nothing_is_computed_twice() -> None:
    net, (picture,) = as_it_enlarges("edsr_baseline", 2, 96, 32)
    program = recorded(net, [picture[..., :24, :20]])
    counts = []
    for compute in (lambda: net(picture), lambda: strips(program, [picture], 8)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            compute()
        counts.append(counter.get_total_flops())
    assert counts[1] == counts[0]


def test_memory_grows_with_the_strip_and_not_with_the_picture() -> None:
    """Two rows a layer and the features of one strip, by the closed form of a chain of convolutions."""
    net = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(5)))
    program = recorded(net, [torch.rand(1, 4, 8, 8)])
    row = 4 * 4 * 100
    assert strip_memory(program, rows=10, width=100) == 5 * 2 * row + 3 * 10 * row  # the third is copied below its two
    assert strip_rows(program, 100, 1, 1e9) == 655 and strip_rows(program, 100, 1, 3e4) == 0
    held = Stream(program, 10_000, rows=10)
    for _ in range(20):
        list(held.feed([torch.rand(1, 4, 10, 100)]))
    kept = sum(x.untyped_storage().nbytes() for x in held._held if x is not None)
    assert kept == 5 * 2 * row


class Other(nn.Module):
    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 3, 3, padding=1), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.conv(x))


def overwriting(x: Tensor) -> Tensor:
    half = x[:, :2]
    half.mul_(2)
    return x + 1


def filled_up(x: Tensor) -> Tensor:
    """What networks do that take sides divisible by four."""
    height, width = x.shape[2:]
    x = nn.functional.pad(x, (0, -width % 4, 0, -height % 4))
    return nn.functional.pixel_shuffle(nn.functional.pixel_unshuffle(x, 4), 4)[..., :height, :width]


@pytest.mark.parametrize(("layer", "reason"), [
    (lambda x: x * 2 if x.shape[2] < 30 else x * 3, "size of the picture"),
    (lambda x: x + torch.linspace(0, 1, x.shape[2]).view(1, 1, -1, 1), "always the same"),
    (lambda x: x + torch.linspace(0, 1, x.shape[3]), "always the same"),
    (lambda x: x - x.amax((2, 3), keepdim=True), "amax"),
    (lambda x: x.softmax(2), "softmax"),
    (lambda x: x.flip(2), "flip"),
    (lambda x: torch.cat([x, x], 2), "cat along axis 2"),
    (lambda x: x.transpose(2, 3).reshape(x.shape), "transpose"),
    (overwriting, "overwritten"),
    (lambda x: x - x.mean(), "mean"),
    (lambda x: x / x.sum(), "sum"),
    (lambda x: nn.functional.max_pool2d(x, 2, ceil_mode=True), "ceil_mode"),
    (lambda x: x * 2 if x.shape[2] % 2 else x, "size of the picture"),
    (filled_up, "constant_pad_nd of rows"),
    (lambda x: nn.functional.interpolate(x[..., ::2, ::2], x.shape[2:]), "slice"),
    (lambda x: x + nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), x.shape[2:]), "avg_pool2d"),
    (lambda x: x.clone().pow_(2), "overwrites"),
    (lambda x: x.view(2, 3), "fail on a small picture"),
    (lambda x: torch.ones(1, 3, 40, 24), "does not depend"),
])  # fmt: skip
def test_layers_that_are_no_rows_are_refused(layer: Callable[[Tensor], Tensor], reason: str) -> None:
    with pytest.raises(NoStripsError, match=reason):
        tried_program(Other(layer), [3])


@pytest.mark.parametrize("layer", [
    lambda x: torch.cat(x.chunk(3, 1)[::-1], 1).relu_(),
    lambda x: nn.functional.interpolate(x, scale_factor=3, mode="bicubic").clamp_(0, 1),
    lambda x: nn.functional.batch_norm(x, torch.ones(3), torch.full((3,), 2.0)),
    lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1) * x,
    lambda x: imresize(imresize(x, 2), 0.5) - x[..., :, :],
    lambda x: nn.functional.conv_transpose2d(x, torch.ones(3, 2, 5, 5), stride=3, padding=1)[..., 1:, :-1],
    lambda x: nn.functional.conv2d(x, torch.ones(2, 3, 5, 3), padding=(4, 2), dilation=(2, 2)),
    lambda x: nn.functional.gelu(x).pow(2) / 3 - x,
    lambda x: nn.functional.conv2d(x, torch.ones(2, 3, 3, 3), stride=2, padding=1),
    lambda x: nn.functional.interpolate(nn.functional.max_pool2d(x, 5, 3), x.shape[2:], mode="bilinear") + x,
])  # fmt: skip
def test_layers_of_other_networks(layer: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    net, picture = Other(layer), torch.rand(1, 3, 40, 24)
    with torch.inference_mode():
        assert torch.allclose(strips(tried_program(net, [3]), [picture], 3), net(picture), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [None, (150, 100), (99, 77), (41, 30)])
@pytest.mark.parametrize("budget", [1e9, 5e5])
def test_columns_are_parted_only_where_a_strip_does_not_fit(size: tuple[int, int] | None, budget: float) -> None:
    torch.manual_seed(0)
    net, picture = EDSR(scale=2, num_features=8, num_blocks=2).eval(), torch.rand(3, 60, 300)
    size = size and (size[0], size[1] * 5)
    with torch.inference_mode():
        exact = net(picture[None])[0]
    exact = exact if size is None else imresize(exact.clamp(0, 1), size=size)
    result, columns = torch.full_like(exact, torch.nan), set()
    parts = upscale_strips(tried_program(net, [3]), [picture], 2, halo=lambda: 8, budget=budget, size=size)
    for box, values in parts:
        result[:, *box.slices] = values
        columns.add(box.left)
    assert (result - exact).abs().max() < 1e-6
    assert size is not None or (len(columns) > 1) is (budget < 1e9)


def test_too_little_memory_for_any_strip() -> None:
    program = tried_program(EDSR(scale=2, num_features=8, num_blocks=2).eval(), [3])
    with pytest.raises(NoStripsError, match="do not fit into memory"):
        next(upscale_strips(program, [torch.rand(3, 60, 300)], 2, halo=lambda: 8, budget=1e4))


def test_half_precision_is_recorded_with_its_changes_of_type() -> None:
    torch.manual_seed(0)
    net = EDSR(scale=2, num_features=16, num_blocks=2).eval()
    program = tried_program(net, [3], autocast=torch.bfloat16)
    picture = photographs(net)[0]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        whole = net(picture).float()
    with torch.inference_mode():
        result = strips(program, [picture], 7).float()  # without autocast
    assert any(value.dtype == torch.bfloat16 for value in program.values)
    assert (result - whole).abs().max() < 0.02 and (result - whole).abs().mean() < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_other_types_are_scored(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.strips.whole.SMALL", 1000)
    model, picture = make("edsr_baseline", 2).eval().to(dtype), torch.rand(1, 3, 48, 40, dtype=dtype)
    with torch.no_grad():
        assert torch.allclose(in_strips(model, model, picture), model(picture), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", ["edsr_baseline", "srcnn", "rcan"])
def test_a_picture_that_is_scored_takes_the_weights_of_now(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is tried once and recorded for each picture: weights change between two validations."""
    monkeypatch.setattr("sr_lightning.strips.whole.SMALL", 1000)
    monkeypatch.setattr("sr_lightning.strips.memory.ENOUGH", 600)
    model, hr = make(name, 2).eval(), photographs(make("edsr_baseline", 2), 1, 120, 80)[0]
    sizes: list[int] = []
    handle = model.net.register_forward_hook(lambda net, inputs, out: sizes.append(inputs[0].shape[-1]))
    for _ in range(2):
        sizes.clear()
        lr, sr, _ = model.reconstruct({"hr": hr, "name": ["a"]}, luma=False)  # type: ignore[typeddict-item]
        with torch.no_grad():
            assert (40 in sizes) is (name == "rcan")
            expected = model(lr.float()).clamp(0, 1)
            assert (sr.clamp(0, 1) - expected).abs().max() < 1e-5
            for weight in model.parameters():
                weight.mul_(0.9)
    handle.remove()


def test_resized_as_soon_as_the_rows_are_there() -> None:
    picture = torch.rand(3, 64, 20)
    came: list[int] = []

    def parts():  # type: ignore[no-untyped-def]
        for top in range(0, 64, 16):
            came.append(top)
            yield Box(top, top + 16, 0, 20), picture[:, top : top + 16]

    result = torch.full((3, 96, 30), torch.nan)
    first = None
    for box, values in resized_parts(parts(), (64, 20), (96, 30)):
        first = first or list(came)
        result[:, *box.slices] = values
    assert first == [0] and (result - imresize(picture, size=(96, 30))).abs().max() < 1e-6
