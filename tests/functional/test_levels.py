"""One rule of rounding: what is saved is what is scored, bit for bit."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import sr_lightning
from sr_lightning.data.files.writing import quantize
from sr_lightning.evaluation.crops import to_pixels
from sr_lightning.functional import as_unit, psnr, round_8bit, to_levels
from sr_lightning.inference.upscaler import Upscaler, _put_levels
from sr_lightning.metrics import Protocol
from sr_lightning.models import Bicubic


def near_halves(kind: torch.dtype) -> Tensor:
    """``(1, 3, 85, 9)``: halves between levels, exactly and by a few of the smallest steps off; and outliers."""
    halves = ((torch.arange(255, dtype=torch.float64) + 0.5) / 255).to(kind)
    steps = [halves]
    for direction in (-1.0, 2.0):
        value = halves
        for _ in range(4):
            value = torch.nextafter(value.float(), torch.tensor(direction)).to(kind)
            steps.append(value)
    values = torch.stack(steps).reshape(1, 3, 85, 9)
    values[0, 0, 0, :2] = torch.tensor([-3.0, 7.0])
    return values


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_saved_is_scored(kind: torch.dtype) -> None:
    sr = near_halves(kind)
    expected = np.floor(sr[0].double().clamp(0, 1).numpy() * 255 + 0.5 + 1e-9).astype(np.uint8).transpose(1, 2, 0)
    placed = np.empty_like(expected)
    _put_levels(sr[0].clone(), placed)
    saved = [to_pixels(sr), placed, to_levels(sr)[0].permute(1, 2, 0).numpy()]
    if kind != torch.bfloat16:
        saved.append(quantize(sr[0].permute(1, 2, 0).numpy(), 8))
    for pixels in saved:
        np.testing.assert_array_equal(pixels, expected)
        again = torch.tensor(pixels).permute(2, 0, 1)[None].contiguous()  # sums, too, go in one order
        assert torch.equal(as_unit(again), round_8bit(sr.double()))
        protocol, hr = Protocol("rgb", metrics=("psnr",), space="rgb"), torch.rand(1, 3, 85, 9).double()
        assert torch.equal(protocol.score(sr, hr, 2)["psnr"], protocol.score(again, hr, 2)["psnr"])


def test_halves_go_up_in_both_depths() -> None:
    assert to_levels(torch.tensor([0.5, 1.5, 2.5]).double() / 255).tolist() == [1, 2, 3]
    assert to_levels(torch.tensor([0.5, 1.5, 65534.5]).double() / 65535, 16).tolist() == [1, 2, 65535]
    assert to_levels(torch.tensor([float("nan")])).tolist() == [0] and round_8bit(torch.tensor([torch.nan])).isnan()


def test_every_level_stays_itself() -> None:
    for kind, bits in ((torch.uint8, 8), (torch.uint16, 16)):
        levels = torch.arange(2**bits, dtype=torch.int32).to(kind)
        again = to_levels(as_unit(levels).float(), bits)
        assert again.dtype == kind and torch.equal(again.int(), levels.int())
    eight = torch.arange(256) / 255
    assert torch.equal(round_8bit(eight), eight)


def test_pictures_and_tensors_are_enlarged_to_the_same_levels() -> None:
    picture = torch.randint(0, 256, (3, 24, 20), dtype=torch.uint8)
    upscaler = Upscaler(Bicubic(scale=3))
    array = upscaler.upscale(picture.permute(1, 2, 0).numpy())
    assert np.array_equal(upscaler.upscale(picture).permute(1, 2, 0).numpy(), array)
    exact = Bicubic(scale=3)(picture[None] / 255)
    assert np.array_equal(to_pixels(exact), array)


def test_no_other_rule_in_the_source() -> None:
    """Whatever turns values in [0, 1] into levels does it by ``to_levels`` or ``round_8bit``."""
    other = re.compile(r"\* *(255|65535)\b.*(round|floor|rint|byte|astype|uint)|\.byte\(\)")
    allowed = {
        "functional/levels.py",
        "data/files/io.py",
        "data/srraw/align.py",
    }  # whole numbers; a picture for aligning
    root = Path(sr_lightning.__file__).parent
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        if path.relative_to(root).as_posix() not in allowed
        for line in path.read_text().splitlines()
        if other.search(line) and ">>>" not in line
    ]
    assert not found, "\n".join(found)


def test_whole_numbers_are_divided_and_other_ranges_refused() -> None:
    a, b = (torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8) for _ in range(2))
    assert torch.equal(psnr(a, b), psnr(a.double() / 255, b.double() / 255))
    assert torch.equal(psnr(a, b.double() / 255), psnr(a, b))
    for sr, hr in ((a.float(), b / 255), (a / 255, b.float()), (a.float(), b.float())):
        with pytest.raises(ValueError, match=r"values in \[0, 1\] are compared; divide those in 0\.\.\.255"):
            psnr(sr, hr)
    with pytest.raises(ValueError, match="a picture of int64: must be uint8, uint16, or floating point"):
        psnr(a.long(), b.long())
    assert psnr(a / 255 * torch.nan, b / 255).isnan().all()  # a diverged network's, which its mean has to show
