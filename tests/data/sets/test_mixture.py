"""Mixtures: sets are drawn by weight, from the seed alone, and patches are those of the sets themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.data import HDF5, Benchmarks, Folder, Mixture
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import undo_dihedral
from sr_lightning.types import Batch

MakeFolder = Callable[..., Path]
OPTIONS: dict[str, Any] = {"patch_size": 12, "batch_size": 6, "batches_per_epoch": 5, "num_workers": 0, "seed": 7}


@pytest.fixture
def sets(picture_folder: MakeFolder) -> dict[str, Folder]:
    a, b = picture_folder("a", count=4), picture_folder("b", count=9, size=(40, 30))
    for path in b.iterdir():
        path.rename(b / f"b{path.name}")
    return {"a": Folder(2, hr_dir=str(a), num_val=1), "b": Folder(2, hr_dir=str(b), num_val=2)}


def batches(data: Mixture, start: int = 0, epoch: int = 0) -> list[Batch]:
    data.setup("fit")
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "batch": start})
    return list(loader)


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        x["name"] == y["name"] and torch.equal(x["lr"], y["lr"]) and torch.equal(x["hr"], y["hr"])
        for x, y in zip(a, b, strict=True)
    )


def test_patches_are_those_of_the_sets(sets: dict[str, Folder]) -> None:
    """At every place of the batch stands what training on the drawn set alone has there."""
    mixed = Mixture(2, sets, [1, 1], **OPTIONS)
    alone = {}
    for name, folder in sets.items():
        one = Mixture(2, {name: folder}, **OPTIONS)
        alone[name == "b"] = batches(one)
    seen = set()
    for i, batch in enumerate(batches(mixed)):
        assert batch["hr"].shape == (6, 3, 12, 12) and batch["lr"].shape == (6, 3, 6, 6)
        for j, name in enumerate(batch["name"]):
            own = alone[name.startswith("b")][i]
            seen.add(name[0])
            assert own["name"][j] == name
            assert torch.equal(own["hr"][j], batch["hr"][j]) and torch.equal(own["lr"][j], batch["lr"][j])
    assert seen == {"0", "b"}


@pytest.mark.parametrize(
    ("weights", "share"),
    [([3, 1], 0.75), ({"b": 3, "a": 1}, 0.25), ([1, 0], 1.0), (None, 3 / 10)],
)
def test_weights(weights: Any, share: float, sets: dict[str, Folder]) -> None:
    data = Mixture(2, sets, weights, **{**OPTIONS, "batch_size": 100})
    data.setup("fit")
    assert data.patches and len(data.patches) == 10
    draws = np.concatenate(list(data.patches.sampler(100, 40, seed=1)))
    assert np.mean(draws[:, -1] == 0) == pytest.approx(share, abs=0.03)
    assert set(draws[draws[:, -1] == 0, 0]) == set(range(3))


def test_known_draws(sets: dict[str, Folder]) -> None:
    """A change of these numbers changes every published training run."""
    data = Mixture(2, sets, [3, 1], **OPTIONS)
    data.setup("fit")
    assert data.patches
    assert data.patches.sampler(9, 1, seed=1).draw(0, 0)[:, -1].tolist() == [0, 0, 0, 1, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int, sets: dict[str, Folder]) -> None:
    assert same(
        batches(Mixture(2, sets, **{**OPTIONS, "num_workers": num_workers})), batches(Mixture(2, sets, **OPTIONS))
    )


@pytest.mark.parametrize("start", [1, 4])
def test_goes_on_where_it_stopped(start: int, sets: dict[str, Folder]) -> None:
    assert same(batches(Mixture(2, sets, **OPTIONS), start, 2), batches(Mixture(2, sets, **OPTIONS), 0, 2)[start:])


@pytest.mark.parametrize("scales", [None, [2, 3]])
def test_ranks_share_one_batch(scales: list[int] | None, sets: dict[str, Folder]) -> None:
    data = Mixture(2, sets, scales=scales, **OPTIONS)
    data.setup("fit")
    assert data.patches
    for index in range(4):
        whole = data.patches.sampler(6, 9).draw(1, index)
        parts = [data.patches.sampler(3, 9, rank=rank, world_size=2).draw(1, index) for rank in (0, 1)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_several_scales(sets: dict[str, Folder]) -> None:
    data = Mixture(2, sets, scales=[2, 3], **{**OPTIONS, "batches_per_epoch": 12})
    found = batches(data)
    assert {batch["scale"] for batch in found} == {2, 3}
    for batch in found:
        assert batch["hr"].shape[-1] == batch["scale"] * batch["lr"].shape[-1] == 12
    assert {name[0] for batch in found for name in batch["name"]} == {"0", "b"}


def test_validation(sets: dict[str, Folder]) -> None:
    both = Mixture(2, sets, **OPTIONS)
    both.setup("fit")
    assert {name: len(pictures) for name, pictures in both.val_sets.items()} == {"a_held_out": 1, "b_held_out": 2}
    first = Mixture(2, sets, val_set="b", **OPTIONS)
    first.setup("fit")
    assert first.val_names == ["held_out"] and len(first.val_sets["held_out"]) == 2
    assert both.describe() == "10 pictures of a and b, at scale 2, patches of 12x12"


def test_with_patches_of_a_file(sets: dict[str, Folder], tmp_path: Path) -> None:
    hr = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["lr"], file["hr"] = hr[:, ::2, ::2], hr
    data = Mixture(2, {"a": sets["a"], "h5": HDF5(2, str(tmp_path / "train.h5"))}, [1, 1], **OPTIONS)
    found = [
        (lr, hr, op)
        for draws, batch in zip(data_draws(data), batches(data), strict=True)
        for lr, hr, op, name in zip(batch["lr"], batch["hr"], draws[:, 3].tolist(), batch["name"], strict=True)
        if name.startswith("train")
    ]
    assert len(found) > 5
    for lr, hr_patch, op in found:
        assert torch.equal(undo_dihedral(lr, op), undo_dihedral(hr_patch, op)[:, ::2, ::2])


def data_draws(data: Mixture) -> list[np.ndarray]:
    data.setup("fit")
    return list(data.train_dataloader().position)


def test_what_cannot_be_mixed(sets: dict[str, Folder], picture_folder: MakeFolder, tmp_path: Path) -> None:
    grey = Folder(2, hr_dir=str(picture_folder("grey", mode="L")))
    for given, options, message in (
        (None, {}, r"data\.sets with two data sets"),
        ({"a": sets["a"], "b": 3}, {}, r"data\.sets\.b: must be a data set, not int"),
        (sets, {"val_set": "bb"}, "did you mean 'b'"),
        (sets, {"weights": [1]}, r"data\.weights=\[1\]: must be one number for each of a, b"),
        (sets, {"weights": {"a": 1, "c": 1}}, "names a, c, and data.sets a, b"),
        (sets, {"weights": [0, 0]}, "not all 0"),
        (sets, {"weights": [1, -1]}, "numbers of 0 and above"),
        (sets, {"weights": ["x", 1]}, "numbers of 0 and above"),
        ({**sets, "grey": grey}, {}, "must be alike, but a has lr 3x6x6 .* and grey has lr 1x6x6"),
        ({**sets, "set5": Benchmarks(2, str(tmp_path))}, {}, "set5: Benchmarks has no training pictures"),
    ):
        with pytest.raises(ConfigError, match=message):
            Mixture(2, given, **{**OPTIONS, **options}).setup("fit")  # type: ignore[arg-type]


def test_all_sets_that_are_missing_are_named_before_pictures_are_decoded(
    sets: dict[str, Folder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_lightning.data.patches.datamodule.open_store", lambda *_, **__: pytest.fail("decoded"))
    there = {**sets, "c": Folder(2, hr_dir=str(tmp_path / "c")), "d": Folder(2, hr_dir=str(tmp_path / "d"))}
    with pytest.raises(
        DataError, match=r"\.c: .*c: no such folder; data\.sets\.d: .*d: no such folder; give data_dir="
    ):
        Mixture(2, there, val_set="a", **OPTIONS).setup("fit")


# --- configs ----------------------------------------------------------------------------------------------------------


def test_typed_by_a_user(picture_folder: MakeFolder) -> None:
    a, b = picture_folder("a"), picture_folder("b")
    overrides = [
        "data=mixture",
        "+data@data.sets.a=folder",
        "+data@data.sets.b=samples",
        "data.weights=[3,1]",
        f"data.sets.a.hr_dir={a}",
        "data.patch_size=16",
        "scale=4",
    ]
    del b
    data = build(compose("train", overrides).data)
    assert isinstance(data, Mixture) and data.weights == [3, 1]
    data.setup("fit")
    assert data.val_names == ["held_out", "samples"] and {d.scale for d in data.sets.values()} == {4}


def test_one_network_for_three_scales_of_the_291_pictures(real_data: Path) -> None:
    """VDSR's training: pictures of both sets, and one of the scales in each batch."""
    run = ["experiment=vdsr_mixed", f"data_dir={real_data}", "data.num_workers=0", "data.batch_size=8"]
    found = batches(build(compose("train", [*run, "data.batches_per_epoch=12"]).data))
    assert {batch["scale"] for batch in found} == {2, 3, 4}
    for batch in found:
        assert batch["hr"].shape[-1] == batch["scale"] * batch["lr"].shape[-1] == 48
    assert len({name.isdigit() for batch in found for name in batch["name"]}) == 2


def test_291_pictures(real_data: Path) -> None:
    data = build(compose("train", ["data=t291", f"data_dir={real_data}", "data.num_workers=0"]).data)
    data.prepare_data()
    data.setup("fit")
    assert {name: len(part) for name, part in data.patches.parts.items()} == {"t91": 91, "bsd200": 200}
    assert data.val_names == ["set5"] and data.describe().startswith("291 pictures of t91 and bsd200, at scale 2")
    batch = next(iter(data.train_dataloader()))
    assert batch["hr"].shape == (16, 3, 48, 48) and len({name.isdigit() for name in batch["name"]}) == 2
