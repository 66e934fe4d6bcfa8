"""Training and validation with degradations: from the seed alone, resumable, never beside LR pictures of the set."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data import Folder
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.degraded import RESCALED, RandomPatchDataset, SeededSampler
from sr_lightning.data.patches.sampling import TRANSFORMS, PatchSampler
from sr_lightning.data.patches.store import bicubic_store, degraded_store, open_store
from sr_lightning.data.patches.transform import JointTransform
from sr_lightning.degradations import (
    JPEG,
    Bicubic,
    Choice,
    Compose,
    DefocusBlur,
    GaussianBlur,
    MotionBlur,
    Noise,
    Resize,
    Subsample,
)
from sr_lightning.errors import ConfigError
from sr_lightning.evaluate import evaluate
from sr_lightning.functional import dihedral, imresize, undo_dihedral
from sr_lightning.models import ESPCN
from sr_lightning.prepare import prepare
from sr_lightning.types import Batch

BD = Compose({"blur": GaussianBlur(1.6, 7), "down": Subsample()}, name="bd")
DN = Compose([Bicubic(), Noise(30.0)], name="dn")


def realesrgan() -> Any:
    return build(compose("train", ["degradation=realesrgan"]).degradation)


def data(folder: Path, **options: Any) -> Folder:
    defaults = {"batch_size": 4, "batches_per_epoch": 6, "num_workers": 0, "patch_size": 24, "num_val": 2, "scale": 2}
    return Folder(hr_dir=str(folder), **{**defaults, **options})


def batches(module: Folder, count: int = 6, epoch: int = 0) -> list[Batch]:
    module.setup("fit")
    loader = module.train_dataloader()
    loader.position.set_epoch(epoch)
    return list(islice(loader, count))


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a["lr"], b["lr"]) and torch.equal(a["hr"], b["hr"]) and a["name"] == b["name"]


# --- deterministic degradations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3])
def test_lr_pictures_are_degraded_once_as_a_whole(scale: int, picture_folder: Any) -> None:
    module = data(picture_folder(), scale=scale, degradation=BD)
    module.setup("fit")
    assert type(module.patches) is PatchDataset
    hr, lr = module.patches.hr, module.patches.lr
    for whole, small in zip(hr.pictures, lr.pictures, strict=True):
        expected = BD(torch.from_numpy(whole.copy())[None].double() / 255, scale)[0] * 255
        np.testing.assert_array_equal(small, expected.round().byte())
    plain = data(picture_folder("same"), scale=scale)
    plain.setup("fit")
    assert [b["name"] for b in batches(module)] == [b["name"] for b in batches(plain)]
    assert all(torch.equal(a["hr"], b["hr"]) for a, b in zip(batches(module), batches(plain), strict=True))


def test_bicubic_is_what_there_is_without(picture_folder: Any) -> None:
    folder = picture_folder()
    with_name, without = data(folder, degradation=Bicubic()), data(folder)
    assert all(map(same, batches(with_name), batches(without)))


def test_stores_belong_to_their_settings(picture_folder: Any, tmp_path: Path) -> None:
    hr = open_store(find_pictures(picture_folder()), tmp_path / "cache")
    stores = {
        degraded_store(hr, degradation, scale, tmp_path / "cache").folder
        for degradation in (BD, Compose([GaussianBlur(1.7, 7), Subsample()]), DN)
        for scale in (2, 3)
    }
    assert len(stores | {bicubic_store(hr, 2, tmp_path / "cache").folder}) == 7


def test_sets_resized_alike_have_lr_pictures_of_their_own(picture_folder: Any, tmp_path: Path) -> None:
    """A step's settings (Resize has one named ``of``) never stand for the set's."""
    step = Resize(of="lr", methods=["area"])
    for name, count in (("one", 3), ("other", 2)):
        hr = open_store(find_pictures(picture_folder(name, count=count)), tmp_path / "cache")
        lr = degraded_store(hr, step, 2, tmp_path / "cache")
        assert lr.names == hr.names
        for whole, small in zip(hr.pictures, lr.pictures, strict=True):
            expected = step(torch.from_numpy(whole.copy())[None].double() / 255, 2)[0] * 255
            np.testing.assert_array_equal(small, expected.round().byte())


def test_the_order_of_named_steps_counts(picture_folder: Any, tmp_path: Path) -> None:
    hr = open_store(find_pictures(picture_folder()), tmp_path / "cache")
    noise, jpeg, down = Noise(30.0), JPEG(20), Bicubic()

    def made(**steps: Any) -> Any:
        return degraded_store(hr, Compose(steps), 2, tmp_path / "cache")

    first, second = made(down=down, noise=noise, jpeg=jpeg), made(down=down, jpeg=jpeg, noise=noise)
    assert first.folder != second.folder
    assert not np.array_equal(first.pictures[0], second.pictures[0])
    choices = {"noise": noise, "jpeg": jpeg}
    described = [Choice(dict(pairs)).describe() for pairs in (choices.items(), reversed(choices.items()))]
    assert json.dumps(described[0], sort_keys=True) != json.dumps(described[1], sort_keys=True)


# --- random degradations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3])
def test_random_lr_is_the_degradation_of_its_place(scale: int, picture_folder: Any) -> None:
    """Away from the margin, bicubic of a patch in its surroundings is bicubic of the whole picture."""
    folder = picture_folder(size=(90, 96))
    noiseless = Compose([Bicubic(), Noise(0.0)])
    random, whole = data(folder, scale=scale, degradation=noiseless), data(folder, scale=scale)
    for a, b in zip(batches(random), batches(whole), strict=True):
        assert torch.equal(a["hr"], b["hr"])
        assert int((a["lr"].int() - b["lr"].int()).abs().max()) <= 1  # float32 instead of float64


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "blur", [GaussianBlur(4.0, 21), DefocusBlur(5.0), MotionBlur(15.0, 45.0)], ids=lambda blur: type(blur).__name__
)
def test_single_blurs_reach_no_farther_than_the_margin(blur: Any, scale: int, picture_folder: Any) -> None:
    """LR of a patch in its surroundings is that of the whole picture."""
    folder = picture_folder(size=(150, 160))
    random = data(folder, scale=scale, degradation=Compose([blur, Bicubic(), Noise(0.0)]))
    whole = data(folder, scale=scale, degradation=Compose([blur, Bicubic()]))
    for a, b in zip(batches(random, count=2), batches(whole, count=2), strict=True):
        assert torch.equal(a["hr"], b["hr"])
        assert int((a["lr"].int() - b["lr"].int()).abs().max()) <= 1  # float32 instead of float64


def test_noise_is_new_each_time(picture_folder: Any) -> None:
    module = data(picture_folder(), degradation=DN)
    first = batches(module)
    assert all(map(same, first, batches(module)))
    assert not any(map(same, first, batches(module, epoch=1)))
    (noisy, clean) = ([float(b["lr"].float().std()) for b in first], [float(b["hr"].float().std()) for b in first])
    assert np.mean(noisy) > np.mean(clean) + 1
    lr = torch.cat([b["lr"] for b in first]).float()
    module.degradation = None
    module.patches = None
    noise = lr - torch.cat([b["lr"] for b in batches(module)]).float()
    assert float(noise.std()) == pytest.approx(30, rel=0.15)
    flat = noise.flatten(1).numpy()
    correlation = np.corrcoef(flat)
    assert np.abs(correlation[~np.eye(len(flat), dtype=bool)]).max() < 0.25  # no two patches have the same noise


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int, picture_folder: Any) -> None:
    folder, chain = picture_folder(), realesrgan()
    options = {"degradation": chain, "transform": [albumentations.ColorJitter(p=1.0)]}
    assert all(map(same, batches(data(folder, **options, num_workers=num_workers)), batches(data(folder, **options))))


def test_neighbours_in_the_batch_change_nothing(picture_folder: Any) -> None:
    module = data(picture_folder(), degradation=realesrgan())
    module.setup("fit")
    assert isinstance(module.patches, RandomPatchDataset)
    draws = SeededSampler(module.patches, 6, 1, seed=3).draw(0, 0)
    whole = module.patches.__getitems__(draws)
    for i, draw in enumerate(draws):
        alone = module.patches[draw]
        assert torch.equal(alone["lr"][0], whole["lr"][i]) and torch.equal(alone["hr"][0], whole["hr"][i])


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_one_global_batch(world_size: int, picture_folder: Any) -> None:
    module = data(picture_folder(), degradation=DN)
    module.setup("fit")
    assert isinstance(module.patches, RandomPatchDataset)
    alone = SeededSampler(module.patches, 4 * world_size, 3)
    ranks = [SeededSampler(module.patches, 4, 3, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        plain = PatchSampler(module.patches, 4 * world_size, 3).draw(0, 0)
        if whole is next(iter(alone)):
            np.testing.assert_array_equal(whole[:, :3], plain[:, :3])
    seeds = np.concatenate([draws[:, 3] >> 3 for draws in alone])
    assert len(set(seeds.tolist())) == len(seeds)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_loader_goes_on_where_it_stopped(stop: int, num_workers: int, picture_folder: Any) -> None:
    folder, chain = picture_folder(), realesrgan()
    straight = batches(data(folder, degradation=chain))
    first = data(folder, degradation=chain, num_workers=num_workers)
    first.setup("fit")
    loader = first.train_dataloader()
    done = list(islice(loader, stop))
    second = data(folder, degradation=chain, num_workers=num_workers)
    second.setup("fit")
    rest = second.train_dataloader()
    rest.load_state_dict(loader.state_dict())
    done += list(rest)
    assert len(done) == 6 and all(map(same, done, straight))


class KilledError(Exception):
    """Stands for SIGKILL."""


class Kill(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise KilledError


def test_a_resumed_run_ends_with_the_same_bits(picture_folder: Any, tmp_path: Path) -> None:
    folder, chain = picture_folder(), realesrgan()

    def run(model: ESPCN, *callbacks: Any, ckpt: Path | None = None) -> ESPCN:
        trainer = Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            default_root_dir=tmp_path, num_sanity_val_steps=0, use_distributed_sampler=False, callbacks=[*callbacks],
            enable_checkpointing=bool(callbacks),
        )  # fmt: skip
        options = {"degradation": chain, "transform": [albumentations.ColorJitter()]}
        trainer.fit(model, data(folder, **options), ckpt_path=ckpt, weights_only=True if ckpt else None)
        return model

    def new() -> ESPCN:
        seed_everything(7, verbose=False)
        return ESPCN(scale=2)

    straight = run(new())
    keep = ModelCheckpoint(tmp_path, filename="stop", every_n_train_steps=4, save_top_k=-1)
    with pytest.raises(KilledError):
        run(new(), keep, Kill(4))
    resumed = run(new(), ckpt=tmp_path / "stop.ckpt")
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_several_scales(picture_folder: Any) -> None:
    module = data(picture_folder(), degradation=DN, scales=[2, 3])
    for batch in batches(module):
        assert batch["lr"].shape == (4, 3, 24 // batch["scale"], 24 // batch["scale"])


# --- validation -------------------------------------------------------------------------------------------------------


def test_validation_pictures_never_change(picture_folder: Any, tmp_path: Path) -> None:
    folder = picture_folder(size=(61, 73))
    first = data(folder, degradation=realesrgan(), cache_dir=str(tmp_path / "a"))
    other = data(folder, degradation=realesrgan(), cache_dir=str(tmp_path / "b"), seed=9, num_val=3)
    first.setup("fit")
    other.setup("fit")
    ours = {s["name"]: s["lr"] for s in first.val_sets["held_out"]}  # type: ignore[attr-defined]
    theirs = {s["name"]: s["lr"] for s in other.val_sets["held_out"]}  # type: ignore[attr-defined]
    assert len(ours) == 2 and all(torch.equal(lr, theirs[name]) for name, lr in ours.items())
    assert all(lr.shape == (3, 30, 36) for lr in ours.values())


def test_results_name_their_degradation(picture_folder: Any, tmp_path: Path, capsys: Any) -> None:
    folder = picture_folder()
    keys = ["model=bicubic", "data=folder", f"data.hr_dir={folder}", "scale=3", f"run_dir={tmp_path}", "device=cpu"]
    plain = evaluate(compose("evaluate", keys))
    blurred = evaluate(compose("evaluate", [*keys, "degradation=bd"]))
    assert plain["degradation"] is None and blurred["degradation"]["name"] == "bd"
    assert dict(blurred["degradation"]["steps"])["blur"]["sigma"] == 1.6
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["degradation"] == blurred["degradation"]
    assert "protocol y_matlab, degradation bd, scale 3" in capsys.readouterr().out
    assert plain["sets"]["pictures"]["psnr"] != blurred["sets"]["pictures"]["psnr"]


def test_prepare_makes_what_training_needs(picture_folder: Any, tmp_path: Path) -> None:
    folder = picture_folder(size=(110, 120))
    keys = [
        "data=folder",
        f"data.hr_dir={folder}",
        "data.num_val=1",
        f"data.cache_dir={tmp_path}/cache",
        "degradation=bd",
    ]
    module = prepare(compose("prepare", keys))
    stores = {path.name for path in (tmp_path / "cache").iterdir()}
    module.setup("fit")
    assert len(stores) == 5 and {path.name for path in (tmp_path / "cache").iterdir()} == stores  # two pairs, and known


# --- augmentation and transforms --------------------------------------------------------------------------------------


def test_deepresnets_turns() -> None:
    """Rotations by -90, 0, 90 degrees as numpy has them, and hflip."""
    picture = np.arange(12).reshape(3, 4)
    expected = {np.rot90(p, k).tobytes() for p in (picture, picture[:, ::-1]) for k in (-1, 0, 1)}
    ours = {dihedral(torch.from_numpy(picture), op).contiguous().numpy().tobytes() for op in TRANSFORMS["rotate_hflip"]}
    assert ours == expected


@pytest.mark.parametrize(
    ("augment", "transforms"),
    [("none", {0}), ("hflip", {0, 1}), ("rotate_hflip", {0, 1, 4, 5, 6, 7}), (True, {*range(8)})],
)
def test_transforms_that_are_drawn(augment: Any, transforms: set[int], picture_folder: Any) -> None:
    module = data(picture_folder(), augment=augment)
    module.setup("fit")
    assert module.patches
    drawn = module.patches.sampler(500, 1, augment=augment).draw(0, 0)
    assert set(drawn[:, 3].tolist()) == transforms


def test_lapsrns_sizes(picture_folder: Any, tmp_path: Path) -> None:
    module = data(picture_folder(size=(40, 64)), augment="lapsrn", patch_size=30, scale=3)
    module.setup("fit")
    assert isinstance(module.patches, PatchDataset)
    sizes = {shape[1:] for shape in module.patches.hr.shapes}
    assert sizes == {(40, 64), (36, 58), (32, 52)}  # of the smaller ones, patches do not fit
    for hr, lr in zip(module.patches.hr.pictures, module.patches.lr.pictures, strict=True):
        image = torch.from_numpy(hr[:, : len(hr[0]) // 3 * 3, : hr.shape[2] // 3 * 3].copy()).double() / 255
        np.testing.assert_array_equal(lr, (imresize(image, 1 / 3, rounding="per_pass") * 255).round().byte())
    assert len(RESCALED) == 5
    assert batches(module)[0]["lr"].shape == (4, 3, 10, 10)


@pytest.mark.parametrize(
    "transform", [albumentations.ColorJitter(p=1.0), albumentations.HorizontalFlip(), albumentations.D4(p=1.0)]
)
def test_a_transform_does_the_same_to_lr_and_hr(transform: Any) -> None:
    joint = JointTransform([transform, albumentations.RandomGamma()])
    lr = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    seen = set()
    for seed in range(20):
        small, large = lr.copy(), lr.repeat(3, 1).repeat(3, 2)
        joint([large, small], seed)
        assert np.abs(large.astype(int) - small.repeat(3, 1).repeat(3, 2)).mean() < 1
        seen.add(small.tobytes())
    assert len(seen) > 1


def test_transforms_come_from_the_config(picture_folder: Any) -> None:
    keys = [f"data.hr_dir={picture_folder()}", "data.num_val=1", "data.patch_size=24", "data.num_workers=0"]
    red = "{_target_: albumentations.RGBShift, r_shift_limit: [90, 90], g_shift_limit: 0, b_shift_limit: 0, p: 1}"
    plain, shifted = (
        batches(build(compose("train", ["data=folder", *keys, f"data.transform={value}"]).data), 2)
        for value in ("null", f"[{red}]")
    )
    for a, b in zip(plain, shifted, strict=True):
        for key in ("lr", "hr"):
            picture, changed = a[key].int(), b[key].int()  # type: ignore[literal-required]
            assert torch.equal((picture[:, 0] + 90).clamp(max=255), changed[:, 0])
            assert torch.equal(picture[:, 1:], changed[:, 1:])


@pytest.mark.parametrize(
    "transform",
    [
        albumentations.RandomCrop(8, 8), albumentations.GaussianBlur(), albumentations.GaussNoise(),
        albumentations.Rotate(), albumentations.ImageCompression(), albumentations.RandomResizedCrop((16, 16)),
        albumentations.CoarseDropout(),
    ],
)  # fmt: skip
def test_transforms_that_differ_are_refused(transform: Any) -> None:
    with pytest.raises(ConfigError, match=f"{type(transform).__name__} does not do the same .*data.patch_size"):
        JointTransform([transform])


REFUSED = {
    "makes float32 of uint8": [albumentations.Normalize(), albumentations.ToFloat()],
    "LR is no longer the smaller HR": [
        albumentations.Equalize(), albumentations.AutoContrast(), albumentations.Solarize(p=0.01),
        albumentations.Posterize(),
    ],
    "GaussianBlur, within Sequential, .*more than one pixel": [
        albumentations.Sequential([albumentations.GaussianBlur(p=0.001)], p=0.001),
        albumentations.OneOf(
            [albumentations.HorizontalFlip(), albumentations.Sequential([albumentations.GaussianBlur(p=0.01)])]
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_breaks_the_pair_or_leaves_8_bit_is_refused(reason: str) -> None:
    """However deep and improbable: one patch in a thousand would be wrong without a word."""
    for transform in REFUSED[reason]:
        with pytest.raises(ConfigError, match=reason):
            JointTransform([albumentations.HorizontalFlip(), transform])


def test_changes_of_colour_are_taken_however_strong() -> None:
    chosen = albumentations.OneOf([albumentations.ToSepia(), albumentations.HueSaturationValue()])
    jitter, gamma = albumentations.ColorJitter(0.5, 0.5, 0.5, 0.5), albumentations.RandomGamma((50, 150))
    joint = JointTransform([jitter, chosen, gamma])
    given = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    changed = 0
    for seed in range(10):
        small, large = given.copy(), given.repeat(2, 1).repeat(2, 2)
        joint([large, small], seed)
        np.testing.assert_array_equal(large, small.repeat(2, 1).repeat(2, 2))  # both of a pair in the same way
        changed += not np.array_equal(small, given)
    assert changed > 5


def test_a_transform_of_16_bit_keeps_them() -> None:
    lr = np.random.default_rng(0).integers(0, 65536, (3, 8, 8), dtype=np.uint16)
    joint = JointTransform([albumentations.HorizontalFlip(p=1.0)])
    joint.check_16_bit()
    small, large = lr.copy(), lr.repeat(2, 1).repeat(2, 2)
    joint([large, small], 1)
    np.testing.assert_array_equal(small, lr[..., ::-1])
    np.testing.assert_array_equal(large, small.repeat(2, 1).repeat(2, 2))


def test_a_transform_that_knows_8_bit_alone_is_refused_for_16_bit() -> None:
    def lighter(image: np.ndarray, **_: Any) -> np.ndarray:
        return np.minimum(image, 255 - 32) + np.asarray(32, image.dtype)

    joint = JointTransform([albumentations.Lambda(image=lighter, p=1.0)])
    with pytest.raises(ConfigError, match=r"of 16 bit .*changes 8-bit pictures in another way"):
        joint.check_16_bit()


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(picture_folder: Any, tmp_path: Path) -> tuple[Path, Path]:
    hr, lr = picture_folder(), tmp_path / "lr"
    lr.mkdir()
    for path in hr.iterdir():
        picture = Image.open(path)
        picture.resize((picture.width // 2, picture.height // 2)).save(lr / path.name)
    return hr, lr


@pytest.mark.parametrize(
    ("options", "words"), [({"degradation": BD}, "degradation"), ({"augment": "lapsrn"}, "lapsrn")]
)
def test_lr_pictures_of_the_set(options: Any, words: str, pairs: tuple[Path, Path]) -> None:
    hr, lr = pairs
    with pytest.raises(ConfigError, match=rf"{lr} has LR pictures, and .*{words} makes others"):
        data(hr, lr_dir=str(lr), **options).setup("fit")
    with pytest.raises(ConfigError, match="makes others"):
        data(hr, val_hr_dir=str(hr), val_lr_dir=str(lr), **options).prepare_data()
    data(hr, lr_dir=str(lr)).setup("fit")


def test_pairs_are_transformed_together(pairs: tuple[Path, Path]) -> None:
    hr, lr = pairs
    plain = batches(data(hr, lr_dir=str(lr)))
    changed = batches(data(hr, lr_dir=str(lr), transform=[albumentations.HorizontalFlip(p=1.0)]))
    for a, b in zip(plain, changed, strict=True):
        assert torch.equal(undo_dihedral(b["hr"], 1), a["hr"]) and torch.equal(undo_dihedral(b["lr"], 1), a["lr"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"degradation": "bd"}, "degradation=bd"),
        ({"degradation": GaussianBlur()}, "makes 32x32 pixels"),
        ({"augment": "x9"}, "data.augment=x9: there are"),
        ({"transform": ["flip"]}, "is not of albumentations"),
    ],
)
def test_mistakes_are_found_before_work(options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        data(tmp_path / "nowhere", **options)


def test_official_bicubic_pictures_give_way(picture_folder: Any, tmp_path: Path) -> None:
    root = tmp_path / "DIV2K"
    for part, first in (("train", 1), ("valid", 801)):
        folder = picture_folder(f"DIV2K/DIV2K_{part}_HR", count=2)
        lr = root / f"DIV2K_{part}_LR_bicubic" / "X2"
        lr.mkdir(parents=True)
        for i, path in enumerate(sorted(folder.iterdir())):
            Image.new("RGB", (36, 30)).save(lr / f"{first + i:04d}x2.png")
            path.rename(folder / f"{first + i:04d}.png")
    keys = ["data=div2k", f"data.root={root}", "data.patch_size=24", "data.num_workers=0"]
    keys += ["data.train_range=[1,2]", "data.val_range=[801,802]"]
    (black, degraded) = (build(compose("train", [*keys, *more]).data) for more in ([], ["degradation=bd"]))
    assert not any(batch["lr"].any() for batch in batches(black, 2)) and not black.val_sets["div2k"][0]["lr"].any()
    assert all(batch["lr"].any() for batch in batches(degraded, 2)) and degraded.val_sets["div2k"][0]["lr"].any()


def test_data_that_would_not_hear_of_it(picture_folder: Any, tmp_path: Path) -> None:
    keys = ["data=folder", f"data.hr_dir={picture_folder()}", f"run_dir={tmp_path}", "degradation=bd"]
    keys += ["~data.degradation"]
    with pytest.raises(ConfigError, match="not passed on to the data"):
        evaluate(compose("evaluate", keys))
