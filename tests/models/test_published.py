"""Published weights score what their authors say, and a file is never trusted."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from joined_weights import joined_liif
from running import run_here
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import read_picture
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.evaluate import evaluate
from sr_lightning.metrics import Protocol
from sr_lightning.models import EDSR, SRCNN, SuperResolutionModule
from sr_lightning.weights.load import load_weights

# Network, scale, file, Set5's PSNR and SSIM (where stated), protocol y_rgb8: the README files beside the weights. Where
# those have no number, it is that of the authors' code, whose output ours differs from by 1e-4 levels.
SET5 = [
    ("imdn", 2, "IMDN_x2", 37.996, 0.9605),
    ("imdn", 3, "IMDN_x3", 34.360, 0.9270),
    ("imdn", 4, "IMDN_x4", 32.210, 0.8948),
    ("carn_m", 2, "CARN-M_x234", 37.678, None),
    ("carn_m", 3, "CARN-M_x234", 34.058, None),
    ("carn_m", 4, "CARN-M_x234", 31.883, None),
    ("rfdn", 4, "RFDN_AIM_x4", 32.159, 0.8946),
    ("span", 4, "SPAN_ntire24_ch28_x4", 31.739, None),
    ("rlfn", 2, "RLFN_x2", 38.066, None),
    ("rlfn", 4, "RLFN_x4", 32.238, None),
    ("rlfn_ntire", 4, "RLFN_NTIRE_x4", 32.097, None),
    ("bsrn", 3, "BSRN_x3", 34.450, None),
    ("bsrn", 4, "BSRN_x4", 32.349, None),
    ("spanf", 4, "NTIRE25_team24_spanf", 31.775, None),
    ("spanv2", 4, "NTIRE26_team22_spanv2_c2", 31.768, None),
    ("smfanet", 3, "SMFANet_DIV2K_x3", 34.458, None),
    ("smfanet", 4, "SMFANet_DIV2K_x4", 32.253, None),
    ("smfanet_plus", 4, "SMFANet_plus_DF2K_x4", 32.511, None),
    ("dat_light", 3, "DAT_light_x3", 34.757, 0.9299),
    ("dat_light", 4, "DAT_light_x4", 32.571, 0.8991),
]


def published(name: str, scale: int, file: Path) -> SuperResolutionModule:
    model = build(compose("evaluate", [f"model={name}", f"scale={scale}"]).model, protocol=Protocol("y_rgb8"))
    load_weights(model, file)
    return model.eval()


@torch.inference_mode()
def scores(model: SuperResolutionModule, folder: Path) -> dict[str, tuple[float, ...]]:
    """PSNR and SSIM of Y, then of RGB, for every picture."""
    found = {}
    for path in sorted(folder.glob("*.png")):
        hr = torch.from_numpy(read_picture(path).copy()).permute(2, 0, 1)[None]
        _, sr, hr = model.reconstruct({"hr": hr}, luma=False)
        values = [Protocol("y", space=space).score(sr, hr, model.scale) for space in ("y", "rgb")]
        found[path.stem] = tuple(score[metric].item() for score in values for metric in ("psnr", "ssim"))
    return found


def mean(found: dict[str, tuple[float, ...]], column: int) -> float:
    return float(np.mean([values[column] for values in found.values()]))


@pytest.mark.parametrize(("name", "scale", "file", "psnr", "ssim"), SET5, ids=lambda value: str(value))
def test_set5(real_data: Path, name: str, scale: int, file: str, psnr: float, ssim: float | None) -> None:
    (path,) = real_data.glob(f"weights*/{file}.*")
    found = scores(published(name, scale, path), real_data / "Set5")
    assert mean(found, 0) == pytest.approx(psnr, abs=0.002)
    assert ssim is None or mean(found, 1) == pytest.approx(ssim, abs=0.0001)


def test_liif_scores_what_the_authors_code_does(real_data: Path, tmp_path: Path) -> None:
    """Measured with commit 4c833f8 of yinboc/liif, which gives 37.9742 and 32.2345 at x2 and x4."""
    model = published("liif", 3, joined_liif(real_data, tmp_path))
    assert mean(scores(model, real_data / "Set5"), 0) == pytest.approx(34.3939, abs=0.0005)


def test_set14_with_its_grey_picture(real_data: Path) -> None:
    model = published("span", 4, real_data / "weights" / "SPAN_ntire24_ch28_x4.pth")
    assert mean(scores(model, real_data / "Set14"), 0) == pytest.approx(28.401, abs=0.002)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pan_scores_what_its_log_says_of_every_picture(real_data: Path, scale: int) -> None:
    log = (real_data / "golden_sr" / "PAN_logs" / f"PANx{scale}.log").read_text()
    line = r"(\w+) +- PSNR: ([\d.]+) dB; SSIM: ([\d.]+); PSNR_Y: ([\d.]+) dB; SSIM_Y: ([\d.]+)\."
    set5 = log[log.index("Testing [Set5]") : log.index("Testing [Set14]")]
    stated = {name: tuple(map(float, (y, y_ssim, rgb, rgb_ssim)))
              for name, rgb, rgb_ssim, y, y_ssim in re.findall(line, set5)}  # fmt: skip
    assert len(stated) == 5
    found = scores(published("pan", scale, real_data / "weights" / f"PAN_x{scale}.pth"), real_data / "Set5")
    for name, values in stated.items():
        assert found[name][::2] == pytest.approx(values[::2], abs=1e-3), name  # dB
        assert found[name][1::2] == pytest.approx(values[1::2], abs=2e-5), name  # SSIM


class Harmful:
    """Unpickled, it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"state_dict": x}, lambda x: {"epoch": x, "net": {}}])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_by_name_and_not_run(tmp_path: Path, wrap: Callable[..., Any], zipped: bool) -> None:
    made, file = tmp_path / "made", tmp_path / "harmful.pth"
    torch.save(wrap(Harmful(made)), file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"harmful.pth: holds a pickled (posix|nt)\.system.* not loaded"):
        load_weights(small(), file)
    assert not made.exists()
    torch.load(file, weights_only=False)  # it would have done
    assert made.exists()


def test_a_pickled_module_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"model": nn.Conv2d(3, 3, 3)}, tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match=r"module.pt: holds a pickled torch.nn.modules.conv.Conv2d.*state_dict"):
        load_weights(small(), tmp_path / "module.pt")


def test_a_program_is_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.Conv2d(3, 3, 3)).save(str(tmp_path / "program.pt"))
    with pytest.raises(CheckpointError, match=r"program.pt: is a TorchScript program"):
        load_weights(small(), tmp_path / "program.pt")


def small(seed: int = 0) -> EDSR:
    torch.manual_seed(seed)
    return EDSR(scale=2, num_features=4, num_blocks=1)


def plain(model: SuperResolutionModule) -> dict[str, Tensor]:
    return {name.removeprefix("net."): value for name, value in model.state_dict().items()}


def same(a: SuperResolutionModule, b: SuperResolutionModule) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"net.{name}": value for name, value in state.items()},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"model.module.{name}": value for name, value in state.items()},
        lambda state: {"params": {name: value + 1 for name, value in state.items()}, "params_ema": state},
        lambda state: {"state_dict": {"net": {f"module.{name}": value for name, value in state.items()}}, "epoch": 3},
        lambda state: {"generator": {"params": state}},
    ],
)
def test_the_usual_wrappers(tmp_path: Path, wrap: Callable[..., Any]) -> None:
    source, target = small(1), small(2)
    torch.save(wrap(plain(source)), tmp_path / "weights.pth")
    load_weights(target, tmp_path / "weights.pth")
    assert same(source, target)


@pytest.mark.parametrize(
    "name",
    ["imdn", "carn", "carn_m", "pan", "rfdn", "span", "rlfn", "bsrn", "spanf", "spanv2", "dat_light"],
)
def test_our_own_names_are_not_translated(tmp_path: Path, name: str) -> None:
    source, target = (build(compose("evaluate", [f"model={name}", "scale=4"]).model) for _ in range(2))
    torch.save(plain(source), tmp_path / "weights.pth")
    load_weights(target, tmp_path / "weights.pth")
    assert same(source, target)


def test_a_network_of_luma(tmp_path: Path) -> None:
    source, target = SRCNN(scale=2), SRCNN(scale=2)
    torch.save({name.removeprefix("net.net."): v for name, v in source.state_dict().items()}, tmp_path / "weights.pth")
    load_weights(target, tmp_path / "weights.pth")
    assert same(source, target)


def test_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(plain(small(1)), tmp_path / "weights.safetensors")
    model = small(2)
    load_weights(model, tmp_path / "weights.safetensors")
    assert same(model, small(1))


def test_our_own_checkpoint(tmp_path: Path) -> None:
    checkpoint: dict[str, Any] = {"state_dict": small(1).state_dict(), "hyper_parameters": {"scale": 2}}
    small().on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "ours.ckpt")
    model = small(2)
    load_weights(model, tmp_path / "ours.ckpt")
    assert same(model, small(1))
    with pytest.raises(CheckpointError, match=r"ours.ckpt: trained for scale 2, but scale=4 is asked for"):
        load_weights(EDSR(scale=4, num_features=4, num_blocks=1), tmp_path / "ours.ckpt")


class Matlab(EDSR):
    """Keeps what the file gave."""

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        self.given = state
        return dict(self.state_dict())


def test_matconvnet(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    kind = [("name", object), ("value", object)]
    filters = np.arange(3 * 3 * 1 * 4, dtype=np.float32).reshape(3, 3, 1, 4)
    params = np.array([("conv_f", filters), ("conv_b", np.ones((1, 4), np.float32))], dtype=kind)
    io.savemat(tmp_path / "net.mat", {"net": {"params": params, "layers": 0}})
    model = Matlab(scale=2, num_features=4, num_blocks=1)
    load_weights(model, tmp_path / "net.mat")
    assert list(model.given) == ["conv_f", "conv_b"]
    np.testing.assert_array_equal(model.given["conv_f"], filters)
    assert model.given["conv_b"].shape == (1, 4)


def test_matconvnet_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.mat").write_bytes(b"MATLAB 5.0 MAT-file\0")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(CheckpointError, match=r"net.mat: reading it takes the package scipy"):
        load_weights(small(), tmp_path / "net.mat")


@pytest.mark.filterwarnings("ignore:4 features are few")
def test_other_names_are_told(tmp_path: Path) -> None:
    state = {name.replace("body.1", "trunk"): value for name, value in plain(small()).items()}
    torch.save(state, tmp_path / "weights.pth")
    message = (
        "weights.pth does not fit EDSR as configured: the file lacks net.body.1.weight, net.body.1.bias; "
        "the network has no net.trunk.weight, net.trunk.bias"
    )
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_weights(small(), tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore:4 features are few")
def test_other_shapes_are_told_and_nothing_is_loaded(tmp_path: Path) -> None:
    torch.save(plain(EDSR(scale=3, num_features=4, num_blocks=1)), tmp_path / "x3.pth")
    model = small()
    with pytest.raises(CheckpointError, match=r"x3.pth does.*: net.tail.0.0.weight is 36x4x3x3 in the file and 16x4x3"):
        load_weights(model, tmp_path / "x3.pth")
    assert same(model, small())


def test_weights_of_another_network_name_a_few(real_data: Path) -> None:
    with pytest.raises(CheckpointError, match=r"IMDN_x4.pth does not fit PAN .* the file lacks .* and \d+ more"):
        published("pan", 4, real_data / "weights" / "IMDN_x4.pth")


def test_another_mean_colour_is_refused(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "weights" / "CARN-M_x234.pth"
    state = torch.load(file, map_location="cpu", weights_only=True)
    state["sub_mean.shifter.bias"] += 0.01
    torch.save(state, tmp_path / "shifted.pth")
    with pytest.raises(CheckpointError, match=r"shifted.pth: its mean colour is .*, not that of DIV2K"):
        published("carn_m", 4, tmp_path / "shifted.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list"),
        ({"epoch": 3, "loss": 0.5}, "no dictionary of weights; its entries are epoch, loss"),
        ({}, "no dictionary of weights"),
        ({1: torch.zeros(1)}, "no dictionary of weights"),
    ],
)
def test_dictionaries_that_are_no_weights(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=f"weights.pth: .*{message}"):
        load_weights(small(), tmp_path / "weights.pth")


@pytest.mark.parametrize("ending", ["pth", "mat", "safetensors"])
@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"", "is empty"), (b"no weights at all", "is a text file")]
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes | None, message: str, ending: str) -> None:
    file = tmp_path / f"weights.{ending}"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"weights.{ending}: .*{message}"):
        load_weights(small(), file)


def test_a_file_cut_short(real_data: Path, tmp_path: Path) -> None:
    for name in ("PAN_x4.pth", "CARN-M_x234.pth", "official_LapSRN_x2.mat"):
        whole = (real_data / "weights" / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CheckpointError, match=f"{name}: damaged"):
            load_weights(small(), tmp_path / name)


def test_one_command(real_data: Path, tmp_path: Path) -> None:
    network = ["model=span", "scale=4", "device=cpu", "protocol=y_rgb8"]
    weights = f"weights={real_data / 'weights' / 'SPAN_ntire24_ch28_x4.pth'}"
    (tmp_path / "Set5").mkdir()
    (tmp_path / "Set5" / "bird.png").symlink_to(real_data / "Set5" / "bird.png")
    data = [f"data_dir={tmp_path}", "data.sets=[set5]"]
    ended = run_here("evaluate", *network, weights, *data, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"\| span +\| set5 \| 3\d\.\d+ \|", ended.stdout)


def test_checkpoint_and_weights_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="checkpoint and weights are both given"):
        evaluate(compose("evaluate", ["model=span", "weights=a.pth", "checkpoint=b.ckpt"]))
