"""imresize against MATLAB: published files to the last bit, double precision to 1e-12, and its own two paths."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from reading import load
from sr_lightning.functional import imresize, modcrop, resize_matrix, rgb_to_ycbcr, round_8bit
from sr_lightning.functional import resize as resize_module

RAMP = torch.arange(64.0, dtype=torch.float64).reshape(1, 1, 8, 8)

# What MATLAB prints for the 8x8 ramp.
HALF_SYMMETRIC = [
    [4.042969, 6.082031, 8.105469, 10.144531],
    [20.355469, 22.394531, 24.417969, 26.457031],
    [36.542969, 38.582031, 40.605469, 42.644531],
    [52.855469, 54.894531, 56.917969, 58.957031],
]


def test_a_plane_alone() -> None:
    plane = torch.rand(7, 9)
    assert torch.equal(imresize(plane, 2), imresize(plane[None, None], 2)[0, 0])


def test_matlab_ramp() -> None:
    torch.testing.assert_close(imresize(RAMP, 0.5)[0, 0], torch.tensor(HALF_SYMMETRIC).double(), atol=1e-6, rtol=0)
    quarter = torch.tensor([[12.383789, 16.631836], [46.368164, 50.616211]]).double()
    torch.testing.assert_close(imresize(RAMP, 0.25)[0, 0], quarter, atol=1e-5, rtol=0)
    replicated = torch.tensor([4.570312, 6.550781, 8.574219, 10.554688]).double()
    torch.testing.assert_close(imresize(RAMP, 0.5, edge="replicate")[0, 0, 0], replicated, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("size", "first"), [((8, 12), 0), ((9, 6), 1), ((6, 16), 0), ((40, 30), 1), ((32, 50), 0)])
def test_axes_in_matlabs_order(size: tuple[int, int], first: int) -> None:
    """The axis with the smaller factor first, rows before columns if equal; after each, 8 bit."""
    picture = torch.randint(0, 256, (1, 1, 16, 24), generator=torch.Generator().manual_seed(0)).double() / 255
    rows, columns = (resize_matrix(*lengths, lengths[1] / lengths[0]) for lengths in zip((16, 24), size, strict=True))

    def both(order: int) -> torch.Tensor:
        x = picture
        for axis in (order, 1 - order):
            x = round_8bit(rows @ x if axis == 0 else x @ columns.T)
        return x

    assert torch.equal(imresize(picture, size=size, rounding="per_pass"), both(first))
    assert not torch.equal(both(first), both(1 - first))


def golden_files(data: Path) -> list[tuple[Path, Path, int, str, str]]:
    """HR file, published LR file, scale, edge, rounding."""
    golden, files = data / "golden_lr", []
    for s in (2, 3, 4, 8):
        rounding = "once" if s == 8 else "per_pass"
        for lr in sorted((golden / f"Set5_swinir/X{s}").iterdir()):
            files.append((data / "Set5" / lr.name.replace(f"x{s}", ""), lr, s, "symmetric", rounding))
        edge = "replicate" if s == 8 else "symmetric"
        for lr in sorted((golden / f"Set14_pan/X{s}").iterdir()):
            files.append((data / "Set14" / lr.name.replace(f"x{s}", ""), lr, s, edge, "per_pass"))
    for s in (2, 3, 4):
        for lr in sorted((golden / f"Set5_rcan_clampedge/x{s}").iterdir()):
            files.append((data / "Set5" / lr.name.replace(f"_LRBI_x{s}", ""), lr, s, "replicate", "per_pass"))
    names = json.loads((golden / "BSD100_selfexsr_clampedge/index_to_bsds_id.json").read_text())
    for index, bsds in names.items():
        lr = golden / f"BSD100_selfexsr_clampedge/X3/{index}_SRF_3_LR.png"
        files.append((data / "BSD100" / f"{bsds}.png", lr, 3, "replicate", "per_pass"))
    return files


def test_published_files_to_the_last_bit(real_data: Path) -> None:
    files = golden_files(real_data)
    assert len(files) == 191
    wrong = []
    for hr, lr, scale, edge, rounding in files:
        made = imresize(modcrop(load(hr), scale), 1 / scale, edge=edge, rounding=rounding)
        published = load(lr)
        # Set14's grey bridge was published at x8 as RGB of three equal channels.
        if ((made - published) * 255).round().any() or made.shape[-2:] != published.shape[-2:]:
            wrong.append(lr.name)
    assert not wrong


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlab_double_precision(real_data: Path, scale: int) -> None:
    from scipy.io import loadmat

    mat = loadmat(real_data / f"golden_lr/Set5_vdsr_float64_mat/butterfly_GT_x{scale}.mat")
    truth = torch.from_numpy(mat["im_gt"].copy()).permute(2, 0, 1)[None].double() / 255
    small = torch.from_numpy(mat["im_l_ycbcr"].copy()).permute(2, 0, 1)[None]
    big_y = torch.from_numpy(mat["im_b_y"].copy())[None, None]
    ycbcr = rgb_to_ycbcr(truth)
    assert (ycbcr[:, :1] * 255 - torch.from_numpy(mat["im_gt_y"])).abs().max() < 1e-12
    assert (imresize(ycbcr, 1 / scale) - small).abs().max() < 1e-14
    assert (imresize(small[:, :1], scale) * 255 - big_y).abs().max() < 1e-12


@pytest.mark.parametrize("edge", ["symmetric", "replicate"])
@pytest.mark.parametrize("factor", [2, 3, 4, 8, 1 / 2, 1 / 3, 1 / 4])
def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch, factor: float, edge: str) -> None:
    """torch's kernel between padded borders against the weight matrix, sizes that divide and that do not."""
    tiny = [(2, 1, height, width) for height in (1, 2, 5, 9) for width in (1, 2, 3, 8)]
    for shape in ((2, 3, 24, 36), (1, 1, 25, 37), *tiny):
        image = torch.rand(shape, dtype=torch.float64)
        fast = imresize(image, factor, edge=edge)
        with monkeypatch.context() as patch:
            patch.setattr(resize_module, "_interpolate_is_exact", lambda *_: False)
            slow = imresize(image, factor, edge=edge)
        assert fast.shape == slow.shape
        torch.testing.assert_close(fast, slow, atol=1e-12, rtol=0)


@pytest.mark.parametrize("factor", [0.37, 0.8, 1.0, 1.5, 2.7])
def test_any_factor(factor: float) -> None:
    image = torch.full((2, 5, 19, 23), 0.25, dtype=torch.float64)
    out = imresize(image, factor)
    assert out.shape[-2:] == tuple(-(-int(n * factor * 1e9) // 10**9) for n in (19, 23))
    torch.testing.assert_close(out, torch.full_like(out, 0.25))  # weights are normalised everywhere


def test_size_and_axes() -> None:
    image = torch.rand(1, 2, 20, 30, dtype=torch.float64)
    assert imresize(image, size=(13, 47)).shape == (1, 2, 13, 47)
    torch.testing.assert_close(imresize(image, size=(10, 15)), imresize(image, 0.5))
    torch.testing.assert_close(imresize(image.mT, 0.4).mT, imresize(image, 0.4))


@pytest.mark.parametrize("factor", [2, 3, 0.5, 1 / 3])
def test_float32_is_close_to_float64(factor: float) -> None:
    image = torch.rand(1, 3, 48, 60, dtype=torch.float64)
    assert (imresize(image.float(), factor).double() - imresize(image, factor)).abs().max() < 1e-6


@pytest.mark.parametrize("factor", [2, 1 / 2, 1.3])
def test_gradient(factor: float) -> None:
    image = torch.rand(1, 1, 8, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, factor), image)


def test_half_precision_keeps_its_type() -> None:
    image = torch.rand(1, 1, 8, 8)
    out = imresize(image.bfloat16(), 2)
    assert out.dtype == torch.bfloat16
    assert (out.float() - imresize(image, 2)).abs().max() < 0.02


@pytest.mark.parametrize("factor", [2, 3, 0.5, 0.4])
def test_autocast_changes_nothing(factor: float) -> None:
    image = torch.rand(1, 3, 20, 20)
    with torch.autocast("cpu", torch.bfloat16):
        under = imresize(image, factor), rgb_to_ycbcr(image)
    assert torch.equal(under[0], imresize(image, factor))
    assert torch.equal(under[1], rgb_to_ycbcr(image))


def test_mirrors_are_longer_than_tiny_pictures() -> None:
    assert imresize(torch.ones(1, 1, 1, 2), 8).shape == (1, 1, 8, 16)
    torch.testing.assert_close(imresize(torch.ones(1, 1, 2, 2), 0.5), torch.ones(1, 1, 1, 1))


def test_rounding_is_half_up() -> None:
    assert (round_8bit(torch.tensor([0.5, 1.5, 2.5]).double() / 255) * 255).tolist() == [1, 2, 3]


@pytest.mark.parametrize("call", [{}, {"scale": 2, "size": (4, 4)}, {"size": (0, 4)}, {"scale": 2, "edge": "wrap"}])
def test_bad_arguments(call: dict) -> None:
    with pytest.raises(ValueError, match=r"imresize|edge"):
        imresize(torch.ones(1, 1, 1, 1), **call)


def test_not_torch_interpolate(real_data: Path) -> None:
    """The border rule is what torch's own resize lacks."""
    hr = load(real_data / "Set5" / "bird.png")
    plain = F.interpolate(hr, scale_factor=0.5, mode="bicubic", antialias=True)
    difference = (imresize(hr, 0.5) - plain).abs() * 255
    assert difference[..., 4:-4, 4:-4].max() < 1e-9
    assert difference.max() > 1
