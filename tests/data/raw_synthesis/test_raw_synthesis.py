"""Photographs obey the physics they claim, follow from the seed alone, and come back from their files."""

import json
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.patches.store import linear_store
from sr_lightning.data.raw_synthesis import Camera, RawSRFiles, RawSynthesis
from sr_lightning.data.raw_synthesis.files import write_settings_file
from sr_lightning.data.raw_synthesis.kernels import camera_kernel, random_walk_kernel
from sr_lightning.data.raw_synthesis.scenes import find_scenes, reference
from sr_lightning.degradations.kernels import disk_kernel
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.evaluate import evaluate
from sr_lightning.functional import dihedral
from sr_lightning.functional.bayer import crop_to_pattern, dihedral_mosaic, mosaic, virtual_sensels
from sr_lightning.functional.isp import develop
from sr_lightning.models import GuidedFilter, RawSR
from sr_lightning.prepare import prepare
from sr_lightning.reports.collect import collect
from sr_lightning.reports.sections import sections_of
from sr_lightning.types import Batch

SHARP = Camera(defocus=0, motion=1, sigma_shot=0, sigma_read=0)
IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def data(folder: Path, **options: Any) -> RawSynthesis:
    defaults = {"batch_size": 3, "batches_per_epoch": 4, "num_workers": 0, "patch_size": 48, "num_val": 1, "scale": 2}
    return RawSynthesis(hr_dir=str(folder), **{**defaults, **options})


def batches(module: Any, count: int = 4, epoch: int = 0) -> list[Batch]:
    module.setup("fit")
    loader = module.train_dataloader()
    loader.position.set_epoch(epoch)
    return list(islice(loader, count))


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(a[key], b[key]) for key in ("raw", "lr", "hr")) and a["name"] == b["name"]


@pytest.fixture
def folder(picture_folder: Any) -> Path:
    return picture_folder(count=4, size=(110, 132))


# --- physics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [1.0, 2.5, 5.0])
def test_a_disk_covers_its_area(radius: float) -> None:
    kernel = disk_kernel(radius)
    assert kernel.sum() == pytest.approx(1)
    # A pixel inside is covered wholly: its share is one over the area.
    assert kernel.max() == pytest.approx(1 / (math.pi * radius**2), rel=0.01)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 11])
def test_a_walk_is_centred_and_reaches_its_size(size: int) -> None:
    for seed in range(20):
        kernel = random_walk_kernel(size, np.random.default_rng(seed))
        reach = len(kernel) // 2
        place = np.arange(len(kernel)) - reach
        assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0
        assert kernel.sum(0) @ place == pytest.approx(0, abs=1e-9) == kernel.sum(1) @ place
        rows, columns = np.nonzero(kernel > 1e-12)
        assert max(abs(rows - reach).max(), abs(columns - reach).max()) == math.ceil((size - 1) / 2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_lies_where_a_bicubic_one_does(scale: int) -> None:
    kernel = camera_kernel(2.0, 7, 5, scale).double()
    place = torch.arange(len(kernel)) - len(kernel) // 2 + scale // 2
    assert kernel.sum() == pytest.approx(1)
    for axis in (0, 1):
        assert kernel.sum(axis) @ place.double() == pytest.approx((scale - 1) / 2, abs=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_ramp_is_sampled_in_the_middle_of_lr_pixels(scale: int) -> None:
    """Any blur leaves a straight ramp alone, but for the place of its centre of mass."""
    shot = replace(Camera(), sigma_shot=0, sigma_read=0).draw(np.random.default_rng(9))
    kernel = camera_kernel(shot.radius, shot.size, shot.walk_seed, scale)
    reach = len(kernel) // 2
    place = torch.arange(-reach, 8 * scale + reach)
    ramp = (0.5 + 0.002 * place[:, None] + 0.001 * place).expand(3, -1, -1)
    middle = scale * torch.arange(8) + (scale - 1) / 2
    expected = 0.5 + 0.002 * middle[:, None] + 0.001 * middle
    torch.testing.assert_close(SHARP.sensor(ramp, kernel, shot, scale, 0)[0], expected, atol=1e-5, rtol=0)


def test_noise_has_the_variance_of_its_signal() -> None:
    camera = Camera(defocus=0, motion=1, sigma_shot=1e-2, sigma_read=1e-3)
    shot = camera.draw(np.random.default_rng(0))
    kernel = torch.ones(1, 1)
    for signal in (0.05, 0.5):
        raw = camera.sensor(torch.full((3, 400, 400), signal), kernel, shot, 1, noise_seed=7)
        assert raw.mean() == pytest.approx(signal, abs=1e-4)
        assert raw.var() == pytest.approx(1e-4 * signal + 1e-6, rel=0.02)
    # Clipped after the noise: black is half a normal distribution.
    black = camera.sensor(torch.zeros(3, 400, 400), kernel, shot, 1, noise_seed=7)
    assert black.min() == 0 and black.mean() == pytest.approx(1e-3 / math.sqrt(2 * math.pi), rel=0.02)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_plain_scene_stays_plain(scale: int) -> None:
    camera = replace(Camera(), sigma_shot=0, sigma_read=0)
    shot = camera.draw(np.random.default_rng(3))
    kernel = camera_kernel(shot.radius, shot.size, shot.walk_seed, scale)
    colour = torch.tensor([0.2, 0.4, 0.1]).view(3, 1, 1)
    linear = colour.expand(3, 8 * scale + len(kernel) - 1, 12 * scale + len(kernel) - 1)
    raw = camera.sensor(linear, kernel, shot, scale, 0)
    torch.testing.assert_close(raw, mosaic(colour.expand(3, 8, 12)), atol=1e-6, rtol=0)


def test_ranges_are_filled() -> None:
    shots = [Camera().draw(np.random.default_rng(i)) for i in range(600)]
    assert {shot.size for shot in shots} == set(range(3, 12))
    assert {shot.quality for shot in shots} == set(range(90, 101))
    for values, low, high in (
        ([s.radius for s in shots], 1, 5),
        ([s.sigma_shot for s in shots], 0, 1e-2),
        ([s.sigma_read for s in shots], 0, 1e-3),
        ([s.isp.gains[0] for s in shots], 1.9, 2.4),
        ([s.isp.gains[2] for s in shots], 1.5, 1.9),
    ):
        assert low <= min(values) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, rel=0.06)
    assert all(np.sum(shot.isp.matrix, axis=1) == pytest.approx(1) for shot in shots)


def test_exposure_makes_scene_and_truth_brighter_until_they_are_white(folder: Path) -> None:
    scenes = {ev: data(folder, camera=replace(SHARP, exposure=ev)) for ev in (0, -1, 8)}
    made = {}
    for ev, module in scenes.items():
        module.setup("fit")
        patches: Any = module.patches
        made[ev], shot = patches.scenes.version(0, 0)
        assert shot.exposure == ev
    torch.testing.assert_close(made[-1].linear, made[0].linear / 2)
    torch.testing.assert_close(made[-1].raw, made[0].raw / 2)
    assert made[8].raw.amax() == 1 and made[8].truth().amax() == pytest.approx(1)


def test_files_from_before_a_setting_go_on(folder: Path, tmp_path: Path) -> None:
    write_settings_file(tmp_path, Camera(), 2)
    file = tmp_path / "synthesis.json"
    settings = json.loads(file.read_text())
    del settings["camera"]["exposure"]
    file.write_text(json.dumps(settings))
    write_settings_file(tmp_path, Camera(), 2)
    with pytest.raises(DataError, match="made with other settings"):
        write_settings_file(tmp_path, replace(Camera(), exposure=1.0), 2)


def test_one_setting_leaves_the_others_alone() -> None:
    usual, other = (c.draw(np.random.default_rng(5)) for c in (Camera(), Camera(defocus=2, quality=None)))
    assert other == usual._replace(radius=2.0, quality=None)
    brighter = replace(Camera(), exposure=(-1.0, 1.0)).draw(np.random.default_rng(5))
    assert brighter == usual._replace(exposure=brighter.exposure) and brighter.exposure != 0


def test_a_blur_that_is_not_blind_is_one_for_all() -> None:
    shots = [Camera(blind=False).draw(np.random.default_rng(i)) for i in range(5)]
    assert len({shot[:3] for shot in shots}) == 1 and len({shot.sigma_shot for shot in shots}) == 5
    assert Camera(blind=False, kernel_seed=1).draw(np.random.default_rng(0))[:3] != shots[0][:3]


# --- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("demosaic", ["bilinear", "malvar"])
def test_a_patch_is_its_part_of_the_whole_photograph(scale: int, demosaic: str, folder: Path) -> None:
    """Blur, demosaicing and the grid of JPEG blocks included; noise alone is drawn anew."""
    camera = Camera(sigma_shot=0, sigma_read=0, demosaic=demosaic)
    module = data(folder, scale=scale, patch_size=16 * scale, camera=camera)
    module.setup("fit")
    patches: Any = module.patches
    _, height, width = patches.lr.shapes[0]
    for y, x in ((0, 0), (height - 16, width - 16), (6, 10), (0, 4)):
        batch = patches.__getitems__(np.array([[1, y, x, 2 << 3]]))
        photograph, shot = patches.scenes.version(1, 2)
        assert torch.equal(batch["raw"][0], photograph.raw[:, y : y + 16, x : x + 16])
        assert torch.equal(batch["lr"][0], reference(photograph, shot)[:, y : y + 16, x : x + 16])
        large = slice(y * scale, (y + 16) * scale), slice(x * scale, (x + 16) * scale)
        assert torch.equal(batch["hr"][0], photograph.truth()[:, *large])


@pytest.mark.parametrize("op", range(8))
def test_scenes_are_turned_and_mosaics_stay_rggb(op: int, folder: Path) -> None:
    module = data(folder, scale=1, patch_size=16, camera=replace(SHARP, quality=None))
    module.setup("fit")
    patches: Any = module.patches
    batch = patches.__getitems__(np.array([[0, 20, 34, op]]))
    photograph, _ = patches.scenes.version(0, 0)
    there = photograph.linear[:, 20:36, 34:50]
    assert torch.equal(batch["hr"][0], dihedral(photograph.truth()[:, 20:36, 34:50], op))
    torch.testing.assert_close(batch["raw"][0], mosaic(dihedral(there, op)), atol=1e-6, rtol=0)


def test_places_are_even_and_reach_the_border(folder: Path) -> None:
    module = data(folder, patch_size=96)
    module.setup("fit")
    patches: Any = module.patches
    sampler = patches.sampler(64, 8)
    draws = np.concatenate([sampler.draw(0, i) for i in range(8)])
    _, height, width = patches.lr.shapes[0]
    assert {*draws[:, 1].tolist()} == {*range(0, height - 48 + 1, 2)}
    assert {*draws[:, 2].tolist()} == {*range(0, width - 48 + 1, 2)}


def test_truth_is_the_developed_scene(folder: Path) -> None:
    module = data(folder)
    module.setup("fit")
    photograph, shot = module.patches.scenes.version(0, 4)  # type: ignore[union-attr]
    assert torch.equal(photograph.truth(), develop(photograph.linear, shot.isp.gains, torch.tensor(shot.isp.matrix)))
    pixels = np.array(Image.open(find_scenes(folder)[0]))[: photograph.linear.shape[1], : photograph.linear.shape[2]]
    difference = photograph.truth().permute(1, 2, 0).numpy() * 255 - pixels
    assert np.median(np.abs(difference)) < 0.01  # but for colours that the camera cannot see
    assert photograph.isp == module.patches.scenes.version(0, 7)[1].isp  # type: ignore[union-attr]


def test_every_patch_is_new_and_follows_from_the_seed(folder: Path) -> None:
    first, again, later = (batches(data(folder)) for _ in range(3))
    assert all(map(same, first, again)) and all(map(same, first, later))
    assert not any(map(same, first, batches(data(folder), epoch=1)))
    assert not any(map(same, first, batches(data(folder, seed=2))))
    assert first[0]["raw"].shape == (3, 1, 24, 24) and first[0]["hr"].shape == (3, 3, 48, 48)
    assert first[0]["lr"].dtype == torch.uint8 and first[0]["hr"].dtype == torch.float32


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int, folder: Path) -> None:
    assert all(map(same, batches(data(folder)), batches(data(folder, num_workers=num_workers))))


def test_versions(folder: Path) -> None:
    few, many = data(folder, versions=2), data(folder, versions=None)
    for module in (few, many):
        module.setup("fit")
    scenes: Any = few.patches.scenes  # type: ignore[union-attr]
    assert scenes.shot(0, 0)[:3] != scenes.shot(0, 1)[:3] != scenes.shot(1, 1)[:3]
    assert not same(batches(few)[0], batches(many)[0])


class Stop(Callback):
    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_run_resumed_in_mid_epoch_has_the_same_bits(num_workers: int, folder: Path, tmp_path: Path) -> None:
    def fit(*callbacks: Any, ckpt_path: Path | None = None) -> RawSR:
        seed_everything(1, verbose=False)
        model = RawSR(scale=2, num_features=8, growth_rate=2, num_layers=4)
        trainer = Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=list(callbacks), enable_checkpointing=bool(callbacks), default_root_dir=tmp_path,
            limit_val_batches=0, use_distributed_sampler=False, min_epochs=0,
        )  # fmt: skip
        module = data(folder, num_workers=num_workers)
        trainer.fit(model, datamodule=module, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
        return model

    straight = fit()
    fit(ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1), Stop())
    resumed = fit(ckpt_path=tmp_path / "step=2.ckpt")
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_networks_validate_on_it(folder: Path) -> None:
    module = data(folder)
    module.setup("test")
    (name,) = module.val_names
    batch: Any = next(iter(module.val_dataloader()[0]))
    sr, scores = GuidedFilter(scale=2).score(batch)
    assert name == "pictures" and sr.shape == batch["hr"].shape and scores["psnr"].isfinite()
    again: Any = next(iter(module.val_dataloader()[0]))
    assert same(batch, again)


def test_results_name_the_camera(folder: Path, tmp_path: Path) -> None:
    """Scores on photographs of other cameras share no table."""
    keys = ["model=guided_filter", "data=raw_synthesis", f"data.hr_dir={folder}", "data.num_val=1", "device=cpu"]
    runs = {"first": "malvar", "again": "malvar", "other": "bilinear"}
    for name, demosaic in runs.items():
        choice = [f"data.camera.demosaic={demosaic}", f"run_dir={tmp_path / name}"]
        evaluate(compose("evaluate", [*keys, *choice]))
    for name, demosaic in runs.items():
        recorded = json.loads((tmp_path / name / "results.json").read_text())["sets"]["pictures"]
        assert recorded["lr"] == "photographed" and "lr_digest" not in recorded
        assert recorded["camera"]["demosaic"] == demosaic and recorded["camera"]["quality"] == [90, 100]
    found = {section.title: section for section in sections_of(collect(tmp_path)[0])}
    assert len(found) == 2
    assert all(f"LR photographed with {d} demosaicing" in " ".join(found) for d in ("malvar", "bilinear"))
    assert all("camera.quality=[90, 100]" in section.fields for section in found.values())


# --- RAW files --------------------------------------------------------------------------------------------------------


def test_all_four_phases_give_one_scene(real_data: Path, tmp_path: Path) -> None:
    files = find_scenes(real_data / "raw" / "derived_dng")
    store = linear_store(files, tmp_path)
    assert store.dtype == np.uint16 and len(store.metadata) == 4
    scenes = dict(zip(store.names, store.pictures, strict=True))
    whole = scenes["nikon_dsc1339_rggb"].astype(int)
    for phase, (y, x) in {"grbg": (0, 1), "gbrg": (1, 0), "bggr": (1, 1)}.items():
        part = scenes[f"nikon_dsc1339_{phase}"].astype(int)
        _, height, width = part.shape
        there = whole[:, y : y + height, x : x + width]
        # The crop's first row and column had nothing before them to be interpolated with.
        assert np.abs(part[:, 1:-1, 1:-1] - there[:, 1 : height - 1, 1 : width - 1]).max() <= 1
    again = linear_store(files, tmp_path)
    assert again.folder == store.folder and again.metadata == store.metadata


def test_of_two_raw_files_of_one_name_the_first_is_a_scene(real_data: Path, tmp_path: Path) -> None:
    for name in ("a.kdc", "a.raw", "b.kdc"):
        (tmp_path / name).symlink_to(real_data / "raw" / "kodak_dc50_buildings.kdc")
    with pytest.warns(UserWarning, match=r"a\.raw: is left out, because a\.kdc has the same name"):
        assert find_scenes(tmp_path) == [tmp_path / "a.kdc", tmp_path / "b.kdc"]


def test_scenes_of_raw_files_have_the_files_colours(real_data: Path) -> None:
    module = data(real_data / "raw" / "derived_dng", camera=replace(SHARP, quality=None))
    module.setup("fit")
    scenes: Any = module.patches.scenes  # type: ignore[union-attr]
    photograph, _ = scenes.version(0, 0)
    picture = read_raw(find_scenes(real_data / "raw" / "derived_dng")[0])
    linear = virtual_sensels(crop_to_pattern(picture.mosaic, picture.pattern, "RGGB")).clamp(0, 1)
    height, width = photograph.linear.shape[1:]
    torch.testing.assert_close(photograph.linear, linear[:, :height, :width], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        photograph.truth(), develop(photograph.linear, picture.gains, torch.tensor(picture.matrix))
    )


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(folder: Path, tmp_path: Path) -> Path:
    prepare(
        compose(
            "prepare",
            ["data=raw_synthesis", f"data.hr_dir={folder}", "data.num_val=1", "data.versions=2", "data.patch_size=32",
             f"write={tmp_path / 'Dataset'}"],
        )
    )  # fmt: skip
    return tmp_path / "Dataset"


def files(root: Path, **options: Any) -> RawSRFiles:
    defaults = {"batch_size": 8, "batches_per_epoch": 3, "num_workers": 0, "patch_size": 32, "scale": 2}
    return RawSRFiles(root=str(root), **{**defaults, **options})


def test_files_hold_what_was_made(written: Path, folder: Path) -> None:
    names = sorted(path.name for path in (written / "Training" / "TrainingSet").iterdir())
    assert names == [f"0{i}000{v}.npy" for i in range(3) for v in range(2)]
    scenes: Any = data(folder, versions=2)
    scenes.setup("fit")
    module = files(written, augment=False)
    module.setup("fit")
    patches: Any = module.patches
    for k, stem in enumerate(patches.raw.names):
        photograph, shot = scenes.patches.scenes.version(int(stem[:2]), int(stem[2:]))
        assert np.array_equal(patches.raw[k], photograph.raw)
        assert np.array_equal(patches.lr.pictures[k], reference(photograph, shot))
        assert np.array_equal(patches.hr[k], photograph.truth())
    (val,) = module.val_sets.values()
    (expected,) = scenes.val_sets.values()
    for key in ("raw", "lr", "hr"):
        assert torch.equal(val[0][key], expected[0][key])  # type: ignore[literal-required]
    assert val[0]["name"] == "030000"


def test_writing_goes_on_where_it_stopped(written: Path, folder: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in written.rglob("*.*")}
    lost = written / "Training" / "ISP" / "010001.jpeg"
    content = lost.read_bytes()
    lost.unlink()
    options = {"versions": 2, "patch_size": 32}
    data(folder, **options).write(written)
    assert lost.read_bytes() == content
    assert (written / "Training" / "ISP" / "000000.jpeg").stat().st_mtime_ns == kept[
        written / "Training" / "ISP" / "000000.jpeg"
    ]
    with pytest.raises(DataError, match=r"made with other settings, see synthesis\.json"):
        data(folder, camera=Camera(demosaic="bilinear"), **options).write(written)
    (written / "synthesis.json").unlink()
    with pytest.raises(DataError, match="nothing says how its files were made"):
        data(folder, **options).write(written)


@pytest.mark.parametrize("op", range(8))
def test_mirrored_files_keep_their_phase(op: int, written: Path) -> None:
    """Places are moved so that the turned patch is the turned mosaic, cropped to RGGB."""
    module = files(written)
    module.setup("fit")
    patches: Any = module.patches
    sampler = patches.sampler(64, 3)
    draws = np.concatenate([sampler.draw(0, i) for i in range(3)])
    draws = draws[draws[:, 3] == op][:4]
    assert len(draws)
    batch = patches.__getitems__(draws)
    for row, (k, y, x, _) in enumerate(draws.tolist()):
        whole = torch.from_numpy(patches.raw[k].copy())
        around = whole[:, y // 2 * 2 : y // 2 * 2 + 18, x // 2 * 2 : x // 2 * 2 + 18]
        turned = crop_to_pattern(*dihedral_mosaic(around, "RGGB", op), "RGGB")
        candidates = turned.unfold(1, 16, 2).unfold(2, 16, 2)[0].flatten(0, 1)
        assert any(torch.equal(batch["raw"][row, 0], candidate) for candidate in candidates)
        assert torch.equal(batch["raw"][row], dihedral(whole[:, y : y + 16, x : x + 16], op))
        truth = torch.from_numpy(patches.hr[k].copy())[:, 2 * y : 2 * y + 32, 2 * x : 2 * x + 32]
        assert torch.equal(batch["hr"][row], dihedral(truth, op))


def test_files_that_do_not_fit(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at scale 4 a GT of 216x264 in colour, but they have .* 108x132x3"):
        files(written, scale=4).setup("fit")
    with pytest.raises(ConfigError, match=r"data\.patch_size=30 .* multiple of 4"):
        files(written, patch_size=30).setup("fit")
    (written / "Training" / "GT" / "01.npy").unlink()
    with pytest.raises(DataError, match=r"010000\.npy: its file GT/01\.npy"):
        files(written).setup("fit")
    (written / "Training" / "GT" / "01.npy").write_bytes(b"no array")
    with pytest.raises(PictureError, match=r"01\.npy: cannot be read as a \.npy file"):
        files(written).setup("fit")
    with pytest.raises(DataError, match=r"no mosaics \(\.npy\); data=rawsr_files expects"):
        files(tmp_path / "nowhere").setup("fit")
    with pytest.raises(ConfigError, match=r"data=rawsr_files needs data\.root=FOLDER"):
        RawSRFiles()


# --- what cannot work -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"defocus": [5, 1]}, r"data\.camera\.defocus=\[5, 1\]: must be a number or \[lowest, highest\]"),
        ({"motion": 2.5}, r"data\.camera\.motion=2\.5: must be a whole number"),
        ({"motion": [0, 3]}, r"from 1 to 63"),
        ({"sigma_shot": -1}, r"data\.camera\.sigma_shot=-1"),
        ({"quality": "best"}, r"data\.camera\.quality=best"),
        ({"demosaic": "ahd"}, r"data\.camera\.demosaic=ahd: must be bilinear, malvar or menon"),
        ({"matrix": [[1, 1, 1]] * 3}, r"data\.camera\.matrix=.*: must be three rows"),
        ({"kernel_seed": -1}, r"data\.camera\.kernel_seed=-1"),
    ],
)
def test_cameras_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Camera(**settings)


def test_settings_that_cannot_work(folder: Path, real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data=raw_synthesis needs a folder"):
        RawSynthesis()
    with pytest.raises(ConfigError, match=r"data\.versions=0"):
        data(folder, versions=0)
    with pytest.raises(ConfigError, match=r"takes no degradation"):
        data(folder, augment="lapsrn")
    with pytest.raises(ConfigError, match=r"data\.patch_size=50 .* multiple of 4 at scale=2; use 48 or 52"):
        data(folder, patch_size=50).setup("fit")
    with pytest.raises(DataError, match=r"108x132 pixels are fewer than data\.patch_size=120"):
        data(folder, patch_size=120).setup("fit")
    with pytest.raises(ConfigError, match=r"data\.versions=null has no end"):
        data(folder, versions=None).write(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.camera\.quality=null"):
        data(folder, camera=Camera(quality=None)).write(tmp_path)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in (next((real_data / "raw" / "derived_dng").iterdir()), next(folder.iterdir())):
        (mixed / file.name).symlink_to(file)
    with pytest.raises(DataError, match="has RAW files and pictures such as"):
        data(mixed).setup("fit")


def test_the_config_is_the_class_default(folder: Path) -> None:
    module = build(compose("train", ["data=raw_synthesis", f"data.hr_dir={folder}"]).data)
    assert module.camera == replace(Camera(), defocus=[1.0, 5.0], motion=[3, 11], quality=[90, 100],
        sigma_shot=[0.0, 0.01], sigma_read=[0.0, 0.001], red_gain=[1.9, 2.4], blue_gain=[1.5, 1.9])  # fmt: skip
