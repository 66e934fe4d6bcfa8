"""Files that nobody here chose: each is named rightly, and run or refused rightly."""

from pathlib import Path

import pytest
import torch

from joined_weights import joined_liif
from sr_lightning.errors import CheckpointError
from sr_lightning.inference.finding import find_network
from sr_lightning.weights.describe import facts
from sr_lightning.weights.reading import read_weights

#: What ``evaluate FILE info=true`` says of the network.
NETWORKS = {
    "weights/CARN-M_x234.pth": "CARN, 64 features, x2 x3 x4, RGB",
    "weights/IMDN_x2.pth": "IMDN, 6 blocks, 64 features, x2, RGB",
    "weights/IMDN_x3.pth": "IMDN, 6 blocks, 64 features, x3, RGB",
    "weights/IMDN_x4.pth": "IMDN, 6 blocks, 64 features, x4, RGB",
    "weights/LapSRN_x4_plain.pth": "LapSRN, 10 layers, 64 features, x4, luma",
    "weights/PAN_x2.pth": "PAN, 16 blocks, 40 features, x2, RGB",
    "weights/PAN_x3.pth": "PAN, 16 blocks, 40 features, x3, RGB",
    "weights/PAN_x4.pth": "PAN, 16 blocks, 40 features, x4, RGB",
    "weights/RFDN_AIM_x4.pth": "RFDN, 4 blocks, 50 features, x4, RGB",
    "weights/SPAN_ntire24_ch28_x4.pth": "SPAN, 6 blocks, 28 features, x4, RGB",
    "weights/VDSR_x234_plain.pth": "VDSR, 20 layers, 64 features, x2, luma",
    "weights/official_LapSRN_x2.mat": "LapSRN, 10 layers, 64 features, x2, luma",
    "weights/official_LapSRN_x4.mat": "LapSRN, 10 layers, 64 features, x4, luma",
    "weights/official_LapSRN_x8.mat": "LapSRN, 5 layers, 64 features, x8, luma",
    "weights/official_MSLapSRN_D5R2.mat": "MSLapSRN, 5 layers, 2 recursions, 64 features, x2, luma",
    **{f"weights_2/BSRN_x{s}.pth": f"BSRN, 8 blocks, 64 features, x{s}, RGB" for s in (2, 3, 4)},
    **{f"weights_2/DAT_light_x{s}.safetensors": f"DAT, 1 group, 18 blocks, 60 features, x{s}, RGB" for s in (2, 3, 4)},
    "weights_2/NTIRE25_team24_spanf.pth": "SPANF, 4 blocks, 32 features, x4, RGB",
    "weights_2/NTIRE25_team46_span.pth": "SPAN, 6 blocks, 28 features, x4, RGB",
    "weights_2/NTIRE26_team22_spanv2_c2.pth": "SPANV2, 4 blocks, 32 features, x4, RGB",
    "weights_2/RLFN_NTIRE_x4.pth": "RLFN, 4 blocks, 46 features, x4, RGB",
    **{f"weights_2/RLFN_x{s}.pth": f"RLFN, 6 blocks, 52 features, x{s}, RGB" for s in (2, 4)},
    "weights_2/RealESRGAN_x4plus_anime_6B_fp16.safetensors": "RRDB, 6 blocks, 64 features, growth 32, x4, RGB",
    **{f"weights_2/SMFANet_DIV2K_x{s}.pth": f"SMFANet, 8 blocks, 36 features, x{s}, RGB" for s in (2, 3, 4)},
    "weights_2/SMFANet_plus_DF2K_x4.pth": "SMFANet, 12 blocks, 48 features, x4, RGB",
    "weights_2/realesr-animevideov3_x4_fp16.safetensors": "Compact, 16 convolutions, 64 features, x4, RGB",
    "weights_2/realesr-general-wdn-x4v3_fp16.safetensors": "Compact, 32 convolutions, 64 features, x4, RGB",
    "weights_2/realesr-general-x4v3_fp16.safetensors": "Compact, 32 convolutions, 64 features, x4, RGB",
}
ELSEWHERE = {
    "weights_2/edsr_baseline_liif_part1.safetensors": "this is one of two parts of LIIF to be joined",
    "weights_2/edsr_baseline_liif_part2.safetensors": "this is LIIF on an unknown trunk, or one of two parts",
}


def test_none_is_left_out(real_data: Path) -> None:
    there = {
        f"{path.parent.name}/{path.name}"
        for path in real_data.glob("weights*/*")
        if path.suffix in (".pth", ".safetensors", ".mat") and "_opts" not in path.name
    }
    assert there == NETWORKS.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("file", NETWORKS)
def test_it_is_named(file: str, real_data: Path) -> None:
    assert facts(read_weights(real_data / file))["network"] == NETWORKS[file]


def test_two_parts_joined_are_a_network(real_data: Path, tmp_path: Path) -> None:
    """Also as the authors save it: beside what makes it again, and the state of the optimizer."""
    file = read_weights(joined_liif(real_data, tmp_path))
    assert facts(file)["network"] == "LIIF, trunk edsr, any scale, RGB"
    assert facts(file)["parameters"] == "1,567,299"
    saved = {"model": {"name": "liif", "args": {"imnet_spec": {"name": "mlp"}}, "sd": file.state}, "epoch": 1000}
    torch.save(saved, tmp_path / "epoch-last.pth")
    network, line = find_network(tmp_path / "epoch-last.pth", 3)
    assert (type(network).__name__, network.scale) == ("LIIF", 3) and "any scale" in str(line)


def test_what_is_here_is_not_left_to_spandrel(real_data: Path, spandrel: object) -> None:
    """Its names are also those by which other forms of DAT are told."""
    network, _ = find_network(real_data / "weights_2/DAT_light_x2.safetensors")
    assert type(network).__name__ == "DAT"


@pytest.mark.parametrize("file", ELSEWHERE)
def test_it_is_refused_by_its_name(file: str, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.inference.finding.has_spandrel", lambda: False)
    with pytest.raises(CheckpointError, match=f"{ELSEWHERE[file]}.*: not in this library"):
        find_network(real_data / file)


@pytest.mark.parametrize(
    ("file", "scale", "named"),
    [("PAN_x3", None, 3), ("PAN_x2", None, 2), ("VDSR_x234_plain", 3, 3), ("CARN-M_x234", 2, 2), ("IMDN_x3", None, 3)],
)
def test_scales_that_no_shape_shows(file: str, scale: int | None, named: int, real_data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "net.pth"  # whose name says nothing
    copy.write_bytes((real_data / f"weights/{file}.pth").read_bytes())
    network, line = find_network(copy, scale)
    assert network.scale == named and f"x{named}" in str(line)
