"""Patches are aligned, drawn from the seed alone, and a run goes on exactly where it stopped."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.data import Folder
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.patches.dataset import MixedPatchDataset, PatchDataset
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.patches.sampling import MixedPatchSampler, PatchLoader, PatchSampler, without_worker_traceback
from sr_lightning.data.patches.store import Store, bicubic_store, open_store
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import dihedral, undo_dihedral
from sr_lightning.types import Batch

SIZES = [(26, 33), (31, 24), (24, 24)]


def save(folder: Path, pictures: Sequence[np.ndarray], suffix: str = "") -> Path:
    folder.mkdir(parents=True)
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"picture{i}{suffix}.png")
    return folder


def numbered(sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Pictures whose pixels say where they are: (row, column, number of the picture)."""
    return [
        np.stack([*np.mgrid[:h, :w], np.full((h, w), i)], axis=-1).astype(np.uint8) for i, (h, w) in enumerate(sizes)
    ]


def pair(root: Path, scale: int, sizes: Sequence[tuple[int, int]] = SIZES) -> tuple[Store, Store]:
    """HR pictures and every ``scale``-th of their pixels."""
    hr = numbered(sizes)
    lr = [p[: len(p) // scale * scale : scale, : p.shape[1] // scale * scale : scale] for p in hr]
    folders = save(root / "hr", hr), save(root / "lr", lr)
    stores = [open_store(find_pictures(folder), root / "cache") for folder in folders]
    return stores[0], stores[1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PatchDataset:
    return PatchDataset(*pair(tmp_path_factory.mktemp("pair"), scale=2), scale=2, patch_size=16)


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a["lr"], b["lr"]) and torch.equal(a["hr"], b["hr"]) and a["name"] == b["name"]


def all_same(a: Sequence[Batch], b: Sequence[Batch]) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


# --- cutting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_batch(scale: int, tmp_path: Path) -> None:
    dataset = PatchDataset(*pair(tmp_path, scale), scale, patch_size=12)
    assert len(dataset) == 3
    batch = dataset.__getitems__(np.array([[0, 1, 2, 0], [2, 0, 0, 5], [1, 0, 1, 7], [0, 0, 0, 0]]))
    assert batch["hr"].shape == (4, 3, 12, 12) and batch["lr"].shape == (4, 3, 12 // scale, 12 // scale)
    assert batch["hr"].dtype == batch["lr"].dtype == torch.uint8
    assert batch["name"] == ["picture0", "picture2", "picture1", "picture0"]
    assert same(dataset[(2, 0, 0, 5)], dataset.__getitems__(np.array([[2, 0, 0, 5]])))


@pytest.mark.parametrize("op", range(8))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_patch_is_the_place_of_the_hr_patch(scale: int, op: int, tmp_path: Path) -> None:
    hr, lr = pair(tmp_path, scale)
    dataset = PatchDataset(hr, lr, scale, patch_size=12)
    last = [(h - 12 // scale, w - 12 // scale) for _, h, w in lr.shapes]
    for k, (bottom, right) in enumerate(last):
        for y, x in [(0, 0), (bottom, 0), (0, right), (bottom, right), (1, 2)]:
            batch = dataset[(k, y, x, op)]
            whole = torch.from_numpy(hr[k].copy())
            there = whole[:, y * scale : y * scale + 12, x * scale : x * scale + 12]
            assert torch.equal(batch["hr"][0], dihedral(there, op))
            assert torch.equal(batch["lr"][0], dihedral(there[:, ::scale, ::scale], op))


def test_grey_pictures(tmp_path: Path) -> None:
    grey = [p[..., 0] for p in numbered(SIZES)]
    store = open_store(find_pictures(save(tmp_path / "grey", grey)), tmp_path / "cache")
    assert PatchDataset(store, store, 1, 8)[(0, 3, 2, 0)]["hr"][0, 0, 0, 0] == 3


@pytest.mark.parametrize(("patch_size", "cure"), [(13, "use 12 or 14"), (15, "use 14 or 16")])
def test_patch_that_is_no_multiple_of_the_scale(patch_size: int, cure: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"data\.patch_size={patch_size} .*scale=2; {cure}"):
        PatchDataset(*pair(tmp_path, 2), 2, patch_size)


def test_picture_smaller_than_the_patch(tmp_path: Path) -> None:
    stores = pair(tmp_path, 2, [(40, 40), (27, 40)])
    PatchDataset(*stores, 2, 26)
    with pytest.raises(DataError, match=r"picture1: 27x40 pixels .*data\.patch_size=28; use at most 26"):
        PatchDataset(*stores, 2, 28)


@pytest.mark.parametrize(
    ("lr_sizes", "message"),
    [
        ([(10, 10), (10, 11)], "HR picture1 has 20x20 pixels and LR picture1 10x11: at scale 2 .* must have 10x10"),
        ([(20, 20), (20, 20)], "HR picture0 has 20x20 pixels and LR picture0 20x20: at scale 2 .* must have 10x10"),
        ([(10, 10)], "there are 2 HR pictures but 1 LR pictures"),
    ],
)
def test_pair_that_does_not_fit(lr_sizes: list[tuple[int, int]], message: str, tmp_path: Path) -> None:
    hr, lr = (
        open_store(find_pictures(save(tmp_path / name, numbered(sizes))), tmp_path / "cache")
        for name, sizes in (("hr", [(20, 20)] * 2), ("lr", lr_sizes))
    )
    with pytest.raises(DataError, match=message):
        PatchDataset(hr, lr, 2, 8)


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_draws_depend_on_seed_epoch_and_index_alone(dataset: PatchDataset) -> None:
    drawn = {
        (seed, epoch, index): PatchSampler(dataset, 16, 5, seed=seed).draw(epoch, index)
        for seed in (1, 2)
        for epoch in (0, 1)
        for index in (0, 1, 2)
    }
    assert len({draws.tobytes() for draws in drawn.values()}) == len(drawn)
    sampler = PatchSampler(dataset, 16, 5, seed=2)
    list(sampler)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    sampler.set_epoch(1)
    for index, draws in zip(range(3), sampler, strict=False):
        np.testing.assert_array_equal(draws, drawn[2, 1, index])


def test_known_draws(dataset: PatchDataset) -> None:
    """A change of these numbers changes every published training run."""
    assert PatchSampler(dataset, 3, 1, seed=1).draw(0, 0).tolist() == [[1, 7, 0, 2], [1, 1, 4, 6], [2, 4, 1, 3]]


def test_every_place_and_transform_is_drawn(dataset: PatchDataset) -> None:
    sampler = PatchSampler(dataset, 2000, 4)
    draws = np.concatenate(list(sampler))
    small = dataset.patch_size // dataset.scale
    possible = {
        (k, y, x)
        for k, (_, h, w) in enumerate(dataset.lr.shapes)
        for y in range(h - small + 1)
        for x in range(w - small + 1)
    }
    assert set(map(tuple, draws[:, :3].tolist())) == possible
    assert np.bincount(draws[:, 0]).min() > len(draws) / 3 * 0.9  # pictures are equally likely, whatever their size
    assert np.bincount(draws[:, 3]).min() > len(draws) / 8 * 0.8


def test_without_augmentation_the_places_are_the_same(dataset: PatchDataset) -> None:
    augmented, plain = (PatchSampler(dataset, 64, 1, augment=augment).draw(0, 0) for augment in (True, False))
    np.testing.assert_array_equal(augmented[:, :3], plain[:, :3])
    assert set(augmented[:, 3]) == set(range(8)) and not plain[:, 3].any()


def test_hflip_alone(dataset: PatchDataset) -> None:
    draws = PatchSampler(dataset, 64, 1, augment="hflip").draw(0, 0)
    np.testing.assert_array_equal(draws[:, :3], PatchSampler(dataset, 64, 1).draw(0, 0)[:, :3])
    assert 20 < draws[:, 3].sum() < 44
    for draw in draws[:8]:
        plain = dataset[(*draw[:3], 0)]["hr"]
        assert torch.equal(dataset[draw]["hr"], plain.flip(-1) if draw[3] else plain)


def test_another_augmentation_is_refused(dataset: PatchDataset) -> None:
    with pytest.raises(ConfigError, match=r"data\.augment=vflip: there are true, false and hflip"):
        PatchSampler(dataset, 4, 1, augment="vflip")  # type: ignore[arg-type]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_one_global_batch(world_size: int, dataset: PatchDataset) -> None:
    alone = PatchSampler(dataset, 4 * world_size, 3)
    ranks = [PatchSampler(dataset, 4, 3, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_every_patch_of_a_long_run_is_aligned(dataset: PatchDataset) -> None:
    sampler = PatchSampler(dataset, 64, 10)
    for draws in sampler:
        batch = dataset.__getitems__(draws)
        for lr, hr, op in zip(batch["lr"], batch["hr"], draws[:, 3].tolist(), strict=True):
            assert torch.equal(undo_dihedral(lr, op), undo_dihedral(hr, op)[:, ::2, ::2])


# --- loading, stopping and going on -----------------------------------------------------------------------------------


def loader(dataset: PatchDataset, num_workers: int = 0, batches: int = 6) -> PatchLoader:
    return PatchLoader(dataset, PatchSampler(dataset, 5, batches, seed=7), num_workers)


def epochs(loader: PatchLoader, *numbers: int) -> list[Batch]:
    """The batches of some epochs, as Lightning asks for them."""
    batches = []
    for number in numbers:
        loader.position.set_epoch(number)
        batches += list(loader)
    return batches


def test_loader_gives_what_the_sampler_drew(dataset: PatchDataset) -> None:
    sampler = PatchSampler(dataset, 5, 6, seed=7)
    expected = [dataset.__getitems__(sampler.draw(epoch, i)) for epoch in (0, 1) for i in range(6)]
    batches = epochs(loader(dataset), 0, 1)
    assert len(loader(dataset)) == 6 and batches[0]["hr"].shape == (5, 3, 16, 16)
    assert all_same(batches, expected)
    assert not same(batches[0], batches[6])


def test_errors_of_workers_are_one_sentence() -> None:
    def failing(error: Exception) -> Any:
        yield 1
        raise error

    of_worker = DataError(
        "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File …\n"
        "sr_lightning.errors.DataError: a.png: is damaged: get another"
    )
    for error, words in ((of_worker, "a.png: is damaged: get another"), (DataError("a.png: b: c"), "a.png: b: c")):
        with pytest.raises(DataError) as told:
            list(without_worker_traceback(failing(error)))
        assert str(told.value) == words


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int, dataset: PatchDataset) -> None:
    before = torch.get_rng_state()
    assert all_same(epochs(loader(dataset, num_workers), 0, 1, 2), epochs(loader(dataset), 0, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 4, 6])
def test_goes_on_where_it_stopped(stop: int, num_workers: int, dataset: PatchDataset) -> None:
    whole = epochs(loader(dataset), 0, 1, 2)
    first = loader(dataset, num_workers)
    done = epochs(first, 0)
    first.position.set_epoch(1)
    iterator = iter(first)
    done += list(islice(iterator, stop))
    state = first.state_dict()
    assert state == {"epoch": 1, "batch": stop}

    second = loader(dataset, num_workers)
    second.load_state_dict(state)
    done += epochs(second, 1, 2)
    assert all_same(done, whole)
    assert second.state_dict() == {"epoch": 2, "batch": 6}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_stopped_twice_in_one_epoch(num_workers: int, dataset: PatchDataset) -> None:
    state, done = {"epoch": 0, "batch": 0}, []
    for count in (2, 3, 1):
        part = loader(dataset, num_workers)
        part.load_state_dict(state)
        iterator = iter(part)
        done += list(islice(iterator, count))
        state = part.state_dict()
    assert state == {"epoch": 0, "batch": 6}
    assert all_same(done, epochs(loader(dataset), 0))


def test_goes_on_in_the_same_process_after_an_interruption(dataset: PatchDataset) -> None:
    """Workers that were ahead when the loop was left give nothing away."""
    interrupted = loader(dataset, num_workers=1)
    list(islice(interrupted, 2))
    assert all_same(epochs(interrupted, 1), epochs(loader(dataset), 1))


# --- lists of pictures, and folders -----------------------------------------------------------------------------------


def folder(root: Path, **options: Any) -> Folder:
    return Folder(**{"scale": 2, "patch_size": 8, "cache_dir": str(root / "cache"), "num_workers": 0} | options)


@pytest.fixture
def hr_dir(tmp_path: Path) -> Path:
    return save(tmp_path / "hr", numbered([(20, 24)] * 6))


@pytest.mark.parametrize("suffix", ["", "x2"])
def test_lr_pictures_by_name(suffix: str, hr_dir: Path, tmp_path: Path) -> None:
    lr_dir = save(tmp_path / "lr", numbered([(10, 12)] * 6), suffix)
    pictures = Pictures.in_folders(hr_dir, lr_dir, lr_suffix="x2")
    assert pictures.lr and [path.stem for path in pictures.lr] == [path.stem + suffix for path in pictures.hr]
    assert len(pictures) == 6
    part = pictures[2:4]
    assert part.lr and [path.name for path in part.hr] == ["picture2.png", "picture3.png"] and len(part.lr) == 2


def test_missing_lr_picture_is_named(hr_dir: Path, tmp_path: Path) -> None:
    lr_dir = save(tmp_path / "lr", numbered([(10, 12)] * 6), "x2")
    (lr_dir / "picture3x2.png").unlink()
    with pytest.raises(
        DataError, match=re.escape(f"{hr_dir}/picture3.png: no LR picture picture3 or picture3x2 in {lr_dir}")
    ):
        Pictures.in_folders(hr_dir, lr_dir, lr_suffix="x2")
    with pytest.raises(DataError, match=re.escape(f"{hr_dir}/picture0.png: no LR picture picture0 in {lr_dir}")):
        Pictures.in_folders(hr_dir, lr_dir)


def test_pictures_for_validation(tmp_path: Path) -> None:
    hr, lr = pair(tmp_path, 2)
    sample = PictureDataset(hr, lr)[1]
    np.testing.assert_array_equal(sample["hr"], hr[1])
    np.testing.assert_array_equal(sample["lr"], lr[1])
    assert sample["name"] == "picture1"
    sample["hr"][:] = 0  # a copy: the store is read-only
    assert "lr" not in PictureDataset(hr)[0] and len(PictureDataset(hr)) == 3


@pytest.mark.parametrize("num_val", [1, 2, 5])
def test_folder_holds_pictures_out(num_val: int, hr_dir: Path, tmp_path: Path) -> None:
    data = folder(tmp_path, hr_dir=str(hr_dir), num_val=num_val)
    data.prepare_data()
    data.setup("fit")
    assert data.patches
    trained, held_out = data.patches.hr.names, data.val_sets["held_out"].hr.names
    assert trained + held_out == [f"picture{i}" for i in range(6)] and len(held_out) == num_val
    assert data.val_names == ["held_out"]
    assert data.val_sets["held_out"].lr is None  # the protocol makes them
    assert next(iter(data.train_dataloader()))["hr"].shape == (16, 3, 8, 8)


@pytest.mark.parametrize("num_val", [0, 6, 7, -1])
def test_folder_with_nothing_left(num_val: int, hr_dir: Path, tmp_path: Path) -> None:
    data = folder(tmp_path, hr_dir=str(hr_dir), num_val=num_val)
    for pictures in (data.train_pictures, data.val_pictures):
        with pytest.raises(ConfigError, match=rf"{hr_dir} has 6 pictures: data\.num_val={num_val} must leave"):
            pictures()


@pytest.mark.parametrize("suffix", ["", "x2"])
def test_folder_with_lr_pictures(suffix: str, hr_dir: Path, tmp_path: Path) -> None:
    small = [p[::2, ::2] for p in numbered([(20, 24)] * 6)]
    lr_dir = save(tmp_path / "lr", small, suffix)
    data = folder(tmp_path, hr_dir=str(hr_dir), lr_dir=str(lr_dir), num_val=2)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    draws = PatchSampler(data.patches, 16, 1).draw(0, 0)  # type: ignore[arg-type]
    for lr, hr, op in zip(batch["lr"], batch["hr"], draws[:, 3].tolist(), strict=True):
        assert torch.equal(undo_dihedral(lr, op), undo_dihedral(hr, op)[:, ::2, ::2])
    (sample, *others) = data.val_sets["held_out"]
    assert torch.equal(sample["lr"], sample["hr"][:, ::2, ::2]) and len(others) == 1


def test_folder_that_flips_alone(hr_dir: Path, tmp_path: Path) -> None:
    data = folder(tmp_path, hr_dir=str(hr_dir), augment="hflip", batch_size=64)
    data.setup()
    assert set(data.train_dataloader().position.draw(0, 0)[:, 3]) == {0, 1}


def test_folder_with_validation_pictures(hr_dir: Path, tmp_path: Path) -> None:
    val_hr, val_lr = save(tmp_path / "Val", numbered([(30, 31)])), save(tmp_path / "val_lr", numbered([(15, 15)]))
    data = folder(tmp_path, hr_dir=str(hr_dir), val_hr_dir=str(val_hr), val_lr_dir=str(val_lr))
    data.setup()
    assert data.patches and len(data.patches) == 6
    assert data.val_names == ["val"] and data.val_sets["val"][0]["lr"].shape == (3, 15, 15)


def test_folder_says_what_does_not_fit(hr_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.hr_dir=FOLDER"):
        folder(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.val_lr_dir=x .*data\.val_hr_dir"):
        folder(tmp_path, hr_dir=str(hr_dir), val_lr_dir="x")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        folder(tmp_path, hr_dir=str(tmp_path / "nowhere")).setup()
    wrong = save(tmp_path / "wrong", numbered([(10, 12)] * 5 + [(10, 11)]))
    with pytest.raises(DataError, match="HR picture5 has 20x24 pixels and LR picture5 10x11"):
        folder(tmp_path, hr_dir=str(hr_dir), lr_dir=str(wrong), num_val=1).setup()


def test_one_number_of_channels(picture_folder: Any, tmp_path: Path) -> None:
    grey, colour = picture_folder("grey", mode="L"), picture_folder("colour")
    mixed = open_store([*sorted(grey.iterdir()), *sorted(colour.iterdir())], tmp_path)
    with pytest.raises(DataError, match="channels"):
        PatchDataset(mixed, bicubic_store(mixed, 2, tmp_path), 2, 24)
    rgb = open_store(sorted(colour.iterdir()), tmp_path)
    with pytest.raises(DataError, match="00: has 3 channels, its LR picture 1"):
        PatchDataset(rgb, bicubic_store(open_store(sorted(grey.iterdir()), tmp_path), 2, tmp_path), 2, 24)


# --- several scales ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> MixedPatchDataset:
    root = tmp_path_factory.mktemp("mixed")
    return MixedPatchDataset({s: PatchDataset(*pair(root / str(s), s), s, 12) for s in (2, 3, 4)})


def mixed_loader(mixed: MixedPatchDataset, num_workers: int = 0, **options: Any) -> PatchLoader:
    return PatchLoader(mixed, MixedPatchSampler(mixed.parts, 5, 6, **{"seed": 7} | options), num_workers)


def test_mixed_batches_have_one_scale_each(mixed: MixedPatchDataset) -> None:
    sampler = MixedPatchSampler(mixed.parts, 5, 300, seed=7)
    scales = []
    for draws in sampler:
        batch = mixed.__getitems__(draws)
        scale = batch["scale"]
        scales.append(scale)
        assert isinstance(scale, int) and set(draws[:, 4].tolist()) == {scale}
        assert batch["hr"].shape == (5, 3, 12, 12) and batch["lr"].shape == (5, 3, 12 // scale, 12 // scale)
        for lr, hr, op in zip(batch["lr"], batch["hr"], draws[:, 3].tolist(), strict=True):
            assert torch.equal(undo_dihedral(lr, op), undo_dihedral(hr, op)[:, ::scale, ::scale])
    assert min(scales.count(s) for s in (2, 3, 4)) > 70
    assert "scale" not in mixed.parts[2][(0, 0, 0, 0)]
    assert mixed[(0, 0, 0, 0, 4)]["scale"] == 4 and len(mixed) == 3


def test_known_mixed_draws(mixed: MixedPatchDataset) -> None:
    """A change of these numbers changes every published training run."""
    sampler = MixedPatchSampler(mixed.parts, 2, 1, seed=1)
    assert [int(sampler.draw(0, i)[0, 4]) for i in range(8)] == [2, 2, 2, 3, 3, 2, 3, 2]
    alone = PatchSampler(mixed.parts[2], 2, 1, seed=1)
    np.testing.assert_array_equal(sampler.draw(0, 0)[:, :4], alone.draw(0, 0))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_one_mixed_batch(world_size: int, mixed: MixedPatchDataset) -> None:
    whole = MixedPatchSampler(mixed.parts, 4 * world_size, 9)
    ranks = [MixedPatchSampler(mixed.parts, 4, 9, rank=rank, world_size=world_size) for rank in range(world_size)]
    for expected, *parts in zip(whole, *ranks, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 6])
def test_mixed_goes_on_where_it_stopped(stop: int, num_workers: int, mixed: MixedPatchDataset) -> None:
    whole = epochs(mixed_loader(mixed), 0, 1)
    first = mixed_loader(mixed, num_workers)
    first.position.set_epoch(0)
    done = list(islice(iter(first), stop))
    second = mixed_loader(mixed, num_workers)
    second.load_state_dict(first.state_dict())
    done += [*epochs(second, 0), *epochs(second, 1)]
    assert all_same(done, whole) and [b["scale"] for b in done] == [b["scale"] for b in whole]
    assert not all_same(whole, epochs(mixed_loader(mixed, seed=8), 0, 1))


def test_folder_of_several_scales(tmp_path: Path) -> None:
    """LR pictures of all scales in one folder, as name and scale; validation stays at one."""
    hr = numbered([(24, 36)] * 4)
    hr_dir, lr_dir = save(tmp_path / "hr", hr), tmp_path / "lr"
    for scale in (2, 3, 4):
        save(tmp_path / f"x{scale}", [p[::scale, ::scale] for p in hr], f"x{scale}")
        lr_dir.mkdir(exist_ok=True)
        for path in (tmp_path / f"x{scale}").iterdir():
            path.rename(lr_dir / path.name)
    data = folder(tmp_path, hr_dir=str(hr_dir), lr_dir=str(lr_dir), num_val=1, patch_size=12, scales=[2, 3, 4])
    data.setup()
    assert isinstance(data.patches, MixedPatchDataset) and list(data.patches.parts) == [2, 3, 4]
    for scale, part in data.patches.parts.items():
        np.testing.assert_array_equal(part.lr[1], part.hr[1][:, ::scale, ::scale])
    batches = list(islice(data.train_dataloader(), 20))
    assert {batch["scale"] for batch in batches} == {2, 3, 4}
    assert data.scale == 2 and data.val_sets["held_out"][0]["lr"].shape == (3, 12, 18)


def test_bicubic_pictures_of_several_scales(hr_dir: Path, tmp_path: Path) -> None:
    data = folder(tmp_path, hr_dir=str(hr_dir), num_val=1, patch_size=12, scales=[3, 4])
    data.setup()
    assert isinstance(data.patches, MixedPatchDataset)
    assert [part.lr.shapes[0] for part in data.patches.parts.values()] == [(3, 6, 8), (3, 5, 6)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 64, "scales": [2, 3, 4]}, r"data\.patch_size=64 .* all data\.scales=\[2, 3, 4\]; use 60 or 72"),
        ({"patch_size": 8, "scales": [3, 4]}, "use 12 or 24"),
        ({"scales": []}, r"data\.scales=\[\]: must be"),
        ({"scales": [2, 2]}, "different whole numbers"),
        ({"scales": [2, 0]}, "above 0"),
        ({"scales": 2}, r"such as \[2,3,4\]"),
    ],
)
def test_scales_that_cannot_work(options: dict[str, Any], message: str, hr_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        folder(tmp_path, hr_dir=str(hr_dir), **options)
