"""LR mosaics obey the physics they claim, stay RGGB, follow from the seed alone, and files come back."""

import json
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_lightning.config import compose
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.raw_sr import CoarseCamera, RawToRaw, read_npz, write_npz
from sr_lightning.data.raw_sr.camera import Shot
from sr_lightning.data.raw_sr.mosaics import open_mosaics
from sr_lightning.data.raw_sr.noise import LINES, draw_noise
from sr_lightning.data.raw_sr.patches import packed_part
from sr_lightning.data.raw_synthesis.camera import noisy
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.evaluate import evaluate
from sr_lightning.functional.bayer import crop_to_pattern, mosaic, pack, unpack
from sr_lightning.train import train
from sr_lightning.types import Batch

CLEAN = CoarseCamera(blur=0, noise=("none",))
SHARP = Shot(np.ones((1, 1)), 0.0, 0.0, 0.0)


def data(folder: Path, **options: Any) -> RawToRaw:
    defaults = {"batch_size": 3, "batches_per_epoch": 4, "num_workers": 0, "patch_size": 16, "num_val": 1, "scale": 2}
    return RawToRaw(hr_dir=str(folder), **{**defaults, **options})


def batches(module: RawToRaw, count: int = 4, start: int = 0) -> list[Batch]:
    module.setup("fit")
    loader = module.train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": start})
    return list(islice(loader, count))


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a["lr"], b["lr"]) and torch.equal(a["hr"], b["hr"]) and a["name"] == b["name"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Challenge files, whose four planes have levels of their own: a plane among others would show."""
    place = tmp_path / "npz"
    place.mkdir()
    for i in range(3):
        detail = np.random.default_rng(i).random((4, 40, 36)) * 0.1
        planes = torch.from_numpy(detail + np.array([0.8, 0.5, 0.3, 0.1])[:, None, None])
        write_npz(place / f"{i}.npz", planes, white=4095)
    return place


# --- physics ----------------------------------------------------------------------------------------------------------


def test_noise_has_the_variance_of_its_signal() -> None:
    for signal in (0.05, 0.5):
        seen = noisy(torch.full((4, 200, 200), signal), 2e-4, 1e-5, seed=3)
        assert seen.mean() == pytest.approx(signal, abs=1e-4)
        assert seen.var() == pytest.approx(2e-4 * signal + 1e-5, rel=0.02)


@pytest.mark.parametrize("profile", LINES)
def test_profiles_fill_their_lines(profile: Any) -> None:
    line = LINES[profile]
    drawn = np.array([draw_noise(profile, np.random.default_rng(i)) for i in range(4000)])
    shot, read = np.log(drawn.T) / math.log(line.base)
    low, high = np.log(line.shot) / math.log(line.base)
    assert low <= shot.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < shot.max() <= high
    assert shot.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
    slope, offset = np.polyfit(shot, read, 1)
    assert (slope, offset) == pytest.approx((line.slope, line.offset), abs=0.06)
    assert (read - line.slope * shot - line.offset).std() == pytest.approx(line.spread, rel=0.05)


def test_published_noise_is_what_its_papers_say() -> None:
    """Brooks et al.: exp(2.18 ln 0.01 + 1.20) = 1.45e-4; AISP: 10 ** (1.34 * -3 + 0.22) = 1.58e-4."""
    for profile, shot, read in (("dnd", 1e-2, 1.4507e-4), ("sidd", 1e-3, 5.6234e-6), ("ntire", 1e-3, 1.5849e-4)):
        line = LINES[profile]
        assert line.base ** (line.slope * math.log(shot, line.base) + line.offset) == pytest.approx(read, rel=1e-3)


def test_exposure_is_light_before_the_noise() -> None:
    around = torch.rand(4, 12, 12)
    dark, hr = CLEAN.photograph(around, SHARP._replace(exposure=-1.0), 2, 0)
    lr, truth = CLEAN.photograph(around, SHARP, 2, 0)
    torch.testing.assert_close(dark, lr / 2)
    torch.testing.assert_close(hr, truth / 2)
    bright, hr = CLEAN.photograph(around, SHARP._replace(exposure=8.0), 2, 0)
    assert bright.max() == hr.max() == 1
    # The sensor's noise does not get darker.
    still = SHARP._replace(exposure=-3.0, read=1e-4)
    lr, hr = CLEAN.photograph(torch.full((4, 404, 404), 0.8), still, 2, 0)
    assert hr.unique().item() == pytest.approx(0.1) and lr.std() == pytest.approx(1e-2, rel=0.02)


@pytest.mark.parametrize("blurs", ["gaussian", "anisotropic", "defocus", "motion"])
@pytest.mark.parametrize("scale", [2, 4])
def test_blur_leaves_a_ramp_where_it_is(blurs: Any, scale: int) -> None:
    camera = CoarseCamera(blur=1, blurs=(blurs,), noise=("none",))
    shot = camera.draw(np.random.default_rng(5))
    assert len(shot.kernel) > 1 and shot.kernel.sum() == pytest.approx(1)
    margin = camera.margin(shot, scale)
    place = (torch.arange(2 * (6 * scale + 2 * margin)) + 0.5) / 2000
    around = pack((place[:, None] + 0.5 * place)[None])
    lr, hr = camera.photograph(around, shot, scale, 0)
    plain, truth = CLEAN.photograph(
        around[:, margin - scale :, margin - scale :][:, : 8 * scale, : 8 * scale], SHARP, scale, 0
    )
    torch.testing.assert_close(lr, plain, atol=1e-5, rtol=0)
    assert torch.equal(hr, truth) and lr.shape == (4, 6, 6)


def test_noise_follows_from_its_seed_alone() -> None:
    around, shot = torch.full((4, 12, 12), 0.5), SHARP._replace(read=1e-4)
    first, again, other = (CLEAN.photograph(around, shot, 2, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_parameters_do_not_depend_on_other_ranges() -> None:
    one, other = (
        camera.draw(np.random.default_rng(2)) for camera in (CoarseCamera(blur=1), CoarseCamera(blur=1, exposure=-1.0))
    )
    assert np.array_equal(one.kernel, other.kernel) and one[2:] == other[2:]


# --- patches ----------------------------------------------------------------------------------------------------------


def test_patches_are_rggb_after_every_flip(folder: Path) -> None:
    module = data(folder, batch_size=32, camera=CLEAN)
    for batch in batches(module, 2):
        assert not batch["lr"].is_inference()
        assert batch["lr"].shape == (32, 4, 8, 8) and batch["hr"].shape == (32, 4, 16, 16)
        for planes in (batch["lr"], batch["hr"]):
            means = planes.mean((2, 3))
            assert planes.dtype == torch.float32
            red, greens, blue = means[:, 0], means[:, 1:3], means[:, 3]
            assert (red > 0.8).all() and (blue < 0.2).all()
            # Transposed, the green beside red is the green beside blue.
            assert (greens.sort(1).values - torch.tensor([0.35, 0.55])).abs().max() < 0.03


@pytest.mark.parametrize("op", range(8))
def test_a_turned_part_is_a_part_of_the_turned_view(op: int) -> None:
    """The view is a picture in colour, turned before a mosaic is made of it: another way to the same samples."""
    from types import SimpleNamespace

    from sr_lightning.functional import dihedral

    colours = torch.randint(0, 65536, (3, 24, 28)).double()
    store: Any = SimpleNamespace(pictures=[mosaic(colours).numpy().astype(np.uint16)])
    part = packed_part(store, 0, (4, 8), (5, 9), margin=1, op=op)
    # Cells 3 to 9 and 4 to 10 begin at pixels 6 and 8, one later where they are mirrored.
    top, left = 6 + (op >> 1 & 1), 8 + (op & 1)
    turned = dihedral(colours[:, top : top + 12, left : left + 12], op)
    torch.testing.assert_close(part.double(), pack(mosaic(turned)) / 65535, atol=1e-7, rtol=0)


def test_a_patch_is_a_part_of_the_whole_photograph(folder: Path) -> None:
    camera = replace(CLEAN, blur=1.0, sigma=1.0, blurs=("gaussian",))
    module = data(folder, augment=False, camera=camera, num_val=1, val_hr_dir=str(folder))
    (batch,) = batches(module, 1)
    whole = {sample["name"]: sample for sample in (module.val_sets["npz"][i] for i in range(3))}
    for lr, hr, name in zip(batch["lr"], batch["hr"], batch["name"], strict=True):
        assert _found(lr, whole[name]["lr"]) and _found(hr, whole[name]["hr"])  # type: ignore[index]


def _found(part: Tensor, whole: Tensor) -> bool:
    size = part.shape[-1]
    places = whole.unfold(1, size, 1).unfold(2, size, 1)
    return bool(((places - part[:, None, None]).abs().amax((0, 3, 4)) < 1e-6).any())


def test_the_same_bits_after_resuming_and_with_workers(folder: Path) -> None:
    whole = batches(data(folder))
    assert all(map(same, whole[2:], batches(data(folder), 2, start=2)))
    assert all(map(same, whole, batches(data(folder, num_workers=2))))
    assert not same(whole[0], batches(data(folder, seed=2))[0])


def test_validation_is_the_same_in_every_run(folder: Path) -> None:
    first, second = (data(folder, seed=seed, batch_size=seed) for seed in (1, 2))
    for module in (first, second):
        module.setup("fit")
    (sample,), (again,) = (list(module.val_sets["held_out"]) for module in (first, second))  # type: ignore[arg-type]
    assert torch.equal(sample["lr"], again["lr"]) and torch.equal(sample["hr"], again["hr"])
    assert sample["hr"].shape == (4, 40, 36) and sample["lr"].shape == (4, 20, 18)
    torch.testing.assert_close(sample["hr"], read_npz(folder / "2.npz"), atol=1e-5, rtol=0)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
def test_challenge_files_come_back(tmp_path: Path, white: int) -> None:
    levels = torch.randint(0, white + 1, (4, 5, 7)).double()
    write_npz(tmp_path / "a.npz", levels / white, white=white)
    assert torch.equal((read_npz(tmp_path / "a.npz").double() * white).round(), levels)
    with np.load(tmp_path / "a.npz") as entries:  # as the challenges' entrants read it
        assert entries["raw"].dtype == np.uint16 and entries["raw"].shape == (5, 7, 4)
        assert entries["max_val"] == white
        assert np.array_equal(entries["raw"].transpose(2, 0, 1), levels.numpy())


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"raw": np.zeros((4, 4, 4), np.uint16)}, "has no entry max_val"),
        ({"other": np.zeros(1)}, "has no entry raw and max_val, but other"),
        ({"raw": np.zeros((4, 4), np.uint16), "max_val": 4095}, "must be H x W x 4 numbers, not 4x4 uint16"),
        ({"raw": np.zeros((4, 4, 4), np.uint16), "max_val": 0}, "must be one number above 0, not 0"),
        ({"raw": np.full((1, 1, 4), np.nan), "max_val": 1}, "values that are no numbers"),
        ({"raw": np.array([{}]), "max_val": 1}, "cannot be read as a .npz file"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, entries: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "a.npz", **entries)
    with pytest.raises(PictureError, match=f"a.npz: .*{said}"):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"PK no archive")
    with pytest.raises(PictureError, match=r"b.npz: cannot be read as a .npz file"):
        read_npz(tmp_path / "b.npz")


@pytest.mark.parametrize("phase", ["rggb", "grbg", "gbrg", "bggr"])
def test_raw_files_of_any_phase_are_rggb(real_data: Path, tmp_path: Path, phase: str) -> None:
    file = real_data / "raw" / "derived_dng" / f"nikon_dsc1339_{phase}.dng"
    store = open_mosaics([file], tmp_path)
    raw = read_raw(file)
    expected = pack(crop_to_pattern(raw.mosaic, raw.pattern, "RGGB").clamp(0, 1))
    part = packed_part(store, 0, (0, expected.shape[1]), (0, expected.shape[2]))
    torch.testing.assert_close(part, expected, atol=1e-5, rtol=0)


def test_pictures_are_taken_back_to_a_sensor(tmp_path: Path) -> None:
    white = np.full((9, 11, 3), 255, np.uint8)
    Image.fromarray(white).save(tmp_path / "white.png")
    Image.fromarray(white[..., 0]).save(tmp_path / "grey.png")
    store = open_mosaics([tmp_path / "white.png", tmp_path / "grey.png"], tmp_path / "cache")
    for index in (0, 1):
        red, green, green_2, blue = packed_part(store, index, (0, 4), (0, 5)).mean((1, 2))
        assert green == green_2 == pytest.approx(1, abs=1e-4)
        assert 1.9 <= 1 / red <= 2.4 and 1.5 <= 1 / blue <= 1.9  # the ranges of the gains


def test_lr_files_of_the_set_are_used(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for i in range(3):
        write_npz(small / f"{i}x2.npz", torch.full((4, 20, 18), 0.25), white=4)
    module = data(folder, val_hr_dir=str(folder), val_lr_dir=str(small))
    module.setup("fit")
    assert module.val_sets["npz"][1]["lr"].unique().item() == pytest.approx(0.25, abs=1e-5)
    write_npz(small / "1x2.npz", torch.full((4, 19, 18), 0.25), white=4)
    with pytest.raises(DataError, match=r"HR 1 has 40x36 pixels and LR 1x2 19x18"):
        data(folder, val_hr_dir=str(folder), val_lr_dir=str(small)).setup("fit")
    (small / "2x2.npz").unlink()
    with pytest.raises(DataError, match=r"2.npz: no LR mosaic 2 or 2x2 in"):
        data(folder, val_hr_dir=str(folder), val_lr_dir=str(small)).setup("fit")


def test_mistakes_are_one_sentence(folder: Path) -> None:
    with pytest.raises(ConfigError, match="data=raw_sr needs a folder"):
        RawToRaw()
    with pytest.raises(ConfigError, match=r"patch_size=15.*is not a multiple of scale=2"):
        data(folder, patch_size=15).setup("fit")
    with pytest.raises(ConfigError, match=r"data\.scales"):
        data(folder, scales=[2, 4])
    with pytest.raises(ConfigError, match=r"data.camera.grid=pixels: must be sensor, cells or first"):
        CoarseCamera(grid="pixels")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data.camera.noise"):
        CoarseCamera(noise=())
    with pytest.raises(ConfigError, match="takes no degradation"):
        data(folder, augment="lapsrn")
    (folder / "a.png").touch()
    with pytest.raises(DataError, match=r"has .npz files and others such as a.png"):
        data(folder).setup("fit")


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_evaluation_prints_the_psnr_of_a_known_error(folder: Path, tmp_path: Path) -> None:
    """LR files that are 0.2 too dark, of plain mosaics: 20 log10(1 / 0.2) = 13.9794 dB."""
    flat, small = tmp_path / "flat", tmp_path / "small"
    for place, size, level in ((flat, 24, 0.6), (small, 12, 0.4)):
        place.mkdir()
        write_npz(place / "0.npz", torch.full((4, size, size), level), white=5)
    cfg = [f"data.val_hr_dir={flat}", f"data.val_lr_dir={small}", f"data.hr_dir={flat}", "protocol=raw"]
    for model in ("bicubic", "packed_bicubic"):
        evaluate(compose("evaluate", ["data=raw_sr", f"model={model}", *cfg, f"run_dir={tmp_path / model}"]))
        result = json.loads((tmp_path / model / "results.json").read_text())
        assert result["protocol"] == "raw" and result["sets"]["flat"]["psnr"] == pytest.approx(13.9794, abs=1e-4)


def test_a_training_ends_with_scores_and_pictures(folder: Path, tmp_path: Path) -> None:
    tiny = ["model=packed_naf", "model.num_features=8", "model.num_blocks=1", "trainer=debug", "epochs=1"]
    mine = ["data=raw_sr", f"data.hr_dir={folder}", "data.num_val=1", "data.num_workers=0", "data.patch_size=16"]
    small = ["data.batch_size=2", "data.batches_per_epoch=2", "logger=none", "protocol=raw"]
    train(compose("train", [*tiny, *mine, *small, f"run_dir={tmp_path / 'run'}"]))
    result = json.loads((tmp_path / "run" / "results.json").read_text())
    assert result["protocol"] == "raw" and result["sets"]["held_out"]["camera"]["grid"] == "sensor"
    # The baseline is bicubic on the grid of the data.
    keys = [*mine, f"data.val_hr_dir={folder}", "protocol=raw", f"run_dir={tmp_path / 'again'}"]
    evaluate(compose("evaluate", [*keys, "model=packed_bicubic"]))
    again = json.loads((tmp_path / "again" / "results.json").read_text())["sets"]["npz"]["images"]["2"]
    assert result["bicubic"]["held_out"]["images"]["2"]["psnr"] == pytest.approx(again["psnr"], abs=1e-9)
    assert Image.open(tmp_path / "run" / "pictures" / "held_out_2.png").mode == "RGB"


def test_unpacked_rggb_is_what_was_packed(folder: Path, tmp_path: Path) -> None:
    packed = read_npz(folder / "0.npz")
    store = open_mosaics([folder / "0.npz"], tmp_path)
    assert np.abs(store.pictures[0] / 65535 - unpack(packed).numpy()).max() < 1e-5
