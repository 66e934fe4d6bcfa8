"""HDF5: the patches of the file, whole and aligned, by any number of workers; damaged files are named."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from running import FRESH
from sr_lightning.config import build, compose
from sr_lightning.data import HDF5
from sr_lightning.data.files.io import find_pictures, read_picture
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.sets.hdf5 import HDF5Store, open_patches
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import imresize, undo_dihedral
from sr_lightning.training.building import build_model
from sr_lightning.types import Batch

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(name: str = "train.h5", attrs: dict[str, Any] | None = None, **datasets: Any) -> Path:
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in datasets.items():
                file.create_dataset(key, data=value, chunks=(2, *value.shape[1:]), compression="gzip")
            file.attrs.update(attrs or {})
        return tmp_path / name

    return writer


def numbered(count: int = 7, side: int = 16) -> np.ndarray:
    """Patches ``(N, H, W, 3)`` whose pixels say where they are: row, column and number of the patch."""
    return np.stack(
        [np.stack([*np.mgrid[:side, :side], np.full((side, side), i)], axis=-1) for i in range(count)]
    ).astype(np.uint8)


def pair(count: int = 7, scale: int = 2) -> dict[str, np.ndarray]:
    hr = numbered(count)
    return {"lr": hr[:, ::scale, ::scale], "hr": hr}


def module(file: Path, **options: Any) -> HDF5:
    defaults = {"batch_size": 5, "batches_per_epoch": 6, "num_workers": 0, "seed": 7}
    return HDF5(**{"scale": 2, "file": str(file), **defaults, **options})


def batches(data: HDF5, start: int = 0, epoch: int = 0) -> list[Batch]:
    data.setup("fit")
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "batch": start})
    return list(loader)


def same(a: Sequence[Batch], b: Sequence[Batch]) -> bool:
    return len(a) == len(b) and all(
        x["name"] == y["name"] and torch.equal(x["lr"], y["lr"]) and torch.equal(x["hr"], y["hr"])
        for x, y in zip(a, b, strict=True)
    )


def test_patches_are_those_of_the_file(write: Write) -> None:
    file = write(**pair())
    data = module(file, augment=False)
    (batch, *_) = batches(data)
    assert batch["hr"].shape == (5, 3, 16, 16) and batch["lr"].shape == (5, 3, 8, 8)
    for lr, hr, name in zip(batch["lr"], batch["hr"], batch["name"], strict=True):
        stored = torch.from_numpy(numbered()[int(name.removeprefix("train_"))]).permute(2, 0, 1)
        assert torch.equal(hr, stored) and torch.equal(lr, stored[:, ::2, ::2])
    assert data.describe() == "7 patches of train.h5 at scale 2, cut to lr 3x8x8 uint8, hr 3x16x16 uint8"


@pytest.mark.parametrize("patch_size", [None, 10])
def test_turned_and_cut_alike(patch_size: int | None, write: Write) -> None:
    data = module(write(**pair()), patch_size=patch_size)
    data.setup("fit")
    loader = data.train_dataloader()
    for draws, batch in zip(loader.position, loader, strict=True):
        assert batch["hr"].shape[-1] == (patch_size or 16)
        for lr, hr, op in zip(batch["lr"], batch["hr"], draws[:, 3].tolist(), strict=True):
            assert torch.equal(undo_dihedral(lr, op), undo_dihedral(hr, op)[:, ::2, ::2])


@pytest.mark.parametrize(
    "turn",
    [lambda x: x[..., 0], lambda x: x[..., :1], lambda x: x[..., :1].transpose(0, 3, 1, 2)],
    ids=["NHW", "NHW1", "N1HW"],
)
def test_luma(turn: Callable[[np.ndarray], np.ndarray], write: Write) -> None:
    data = module(write(**{key: turn(value) for key, value in pair().items()}), augment=False)
    (batch, *_) = batches(data)
    assert batch["hr"].shape == (5, 1, 16, 16)
    assert torch.equal(batch["lr"], batch["hr"][..., ::2, ::2]) and batch["hr"][0, 0, 3, 5] == 3


def test_channels_first(write: Write) -> None:
    last = batches(module(write(**pair())))
    first = {key: value.transpose(0, 3, 1, 2) for key, value in pair().items()}
    assert same(batches(module(write(**first))), last)


@pytest.mark.parametrize(("factor", "dtype"), [(1 / 255, np.float32), (1.0, np.float64), (1 / 255, np.float16)])
def test_floating_point(factor: float, dtype: Any, write: Write) -> None:
    hr = np.random.default_rng(1).integers(0, 256, (7, 16, 16))
    file = write(lr=(hr[:, ::2, ::2] * factor).astype(dtype), hr=(hr * factor).astype(dtype))
    (batch, *_) = batches(module(file, augment=False))
    assert batch["hr"].dtype == batch["lr"].dtype == torch.float32
    expected = np.stack([hr[int(name.removeprefix("train_"))] for name in batch["name"]])
    np.testing.assert_allclose(batch["hr"][:, 0].numpy() * 255, expected, atol=0.1 if dtype == np.float16 else 1e-4)


def test_range_that_could_be_either(write: Write) -> None:
    hr = np.random.default_rng(1).random((7, 16, 16)) * 5
    file = write(lr=hr[:, ::2, ::2], hr=hr)
    with pytest.raises(DataError, match=r"train\.h5: hr has values from 0\.\d+ to .*set data\.value_range=1"):
        batches(module(file))
    (batch, *_) = batches(module(file, value_range=255))
    assert float(batch["hr"].max()) < 5 / 255


@pytest.mark.parametrize("lr_factor", [1.0, 1 / 255])
@pytest.mark.parametrize("hr_factor", [1.0, 1 / 255])
@pytest.mark.parametrize("truth", ["hr", "hr_x2"])
def test_each_dataset_has_a_range(hr_factor: float, lr_factor: float, truth: str, write: Write) -> None:
    """LR of 0...255 beside HR of 0...1 is divided, and so is LR that overshoots."""
    hr = np.random.default_rng(1).integers(0, 256, (7, 16, 16))
    lr = hr[:, ::2, ::2].copy()
    lr[:, 0, 0], lr[:, -1, -1] = -40, 290
    file = write(lr=lr * lr_factor, **{truth: hr * hr_factor})
    for batch in batches(module(file, augment=False)):
        for key, numbers in (("lr", lr), ("hr", hr)):
            expected = np.stack([numbers[int(name.removeprefix("train_"))] for name in batch["name"]])
            np.testing.assert_allclose(batch[key][:, 0] * 255, expected, atol=1e-3)  # type: ignore[literal-required]


@pytest.mark.parametrize("key", ["lr", "hr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(key: str, value: float, write: Write) -> None:
    p = {k: v[..., 0] / 255 for k, v in pair(500).items()}
    p[key][318, 3, 4] = value
    data = module(write(**p))
    data.setup("fit")  # beyond the patches that the range is found by
    assert isinstance(data.patches, PatchDataset)
    assert data.patches[[317, 0, 0, 0]]["hr"].isfinite().all()
    with pytest.raises(DataError, match=rf"train\.h5: {key} 318 has values that are not finite"):
        data.patches[[318, 0, 0, 0]]


@pytest.mark.parametrize("command", ['{"padding": 6}', '{"padding": 0}', "{}", "[]", "[" * 100_000, "no JSON", 3])
def test_files_of_smaller_hr_are_refused(command: Any, write: Write) -> None:
    data = module(write(attrs={"command": command}, **pair()))
    if "6" in str(command):
        with pytest.raises(DataError, match=r"train\.h5: its hr lacks 6 pixels .*cut it with padding=0"):
            data.setup("fit")
    else:
        data.setup("fit")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int, write: Write) -> None:
    file = write(**pair())
    assert same(batches(module(file, num_workers=num_workers)), batches(module(file)))


@pytest.mark.parametrize("start", [0, 1, 4])
def test_goes_on_where_it_stopped(start: int, write: Write) -> None:
    file = write(**pair())
    assert same(batches(module(file, num_workers=1), start), batches(module(file))[start:])
    assert not same(batches(module(file), epoch=1), batches(module(file)))


def read(store: HDF5Store) -> int:
    return int(store[3].sum())


def test_a_process_of_its_own(write: Write) -> None:
    store = open_patches(write(**pair()), 2)["hr"]
    expected = read(store)  # opens the file: the handle does not travel
    copied = pickle.loads(pickle.dumps(store))
    assert copied._content is None and copied.names == store.names and read(copied) == expected
    with FRESH.Pool(1) as pool:
        assert pool.map(read, [store]) == [expected]


def test_chunk_cache_is_bounded(write: Write) -> None:
    store = open_patches(write(**pair()), 2)["hr"]
    read(store)
    assert store._content["hr"].id.get_access_plist().get_chunk_cache()[1] == 2**20


def test_ranks_share_one_batch(write: Write) -> None:
    data = module(write(**pair()))
    data.setup("fit")
    assert data.patches
    whole = data.patches.sampler(6, 3).draw(0, 1)
    parts = [data.patches.sampler(3, 3, rank=rank, world_size=2).draw(0, 1) for rank in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


# --- files that cannot work -------------------------------------------------------------------------------------------


def damaged(write: Write, kind: str) -> Path:
    p = pair()
    if kind == "text":
        file = write(**p).with_name("text.h5")
        file.write_text("lr, hr")
        return file
    if kind == "short":
        file = write(**p)
        file.write_bytes(file.read_bytes()[:-200])
        return file
    return {
        "keys": lambda: write(data=p["lr"], label=p["hr"]),
        "no truth": lambda: write(lr=p["lr"], hr_x4=p["hr"]),
        "lengths": lambda: write(lr=p["lr"][:-1], hr=p["hr"]),
        "type": lambda: write(lr=p["lr"].astype(np.int32), hr=p["hr"]),
        "types": lambda: write(lr=p["lr"].astype(np.float32), hr=p["hr"]),
        "axes": lambda: write(lr=p["lr"][..., :2], hr=p["hr"]),
        "sizes": lambda: write(lr=p["lr"], hr=p["hr"][:, :12, :12]),
        "target": lambda: write(lr=p["lr"], hr=p["hr"], hr_x4=p["hr"]),
        "channels": lambda: write(lr=p["lr"][..., 0], hr=p["hr"]),
        "same": lambda: write(lr=p["hr"], hr=p["hr"]),
        "empty": lambda: empty(write),
    }[kind]()


def empty(write: Write) -> Path:
    file = write(**pair()).with_name("empty.h5")
    with h5py.File(file, "w") as content:
        content.create_dataset("lr", (0, 8, 8), np.uint8)
        content.create_dataset("hr", (0, 16, 16), np.uint8)
    return file


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", r"text\.h5: no HDF5 file"),
        ("short", r"train\.h5: damaged \(truncated file"),
        ("keys", "no dataset lr; it has data, label"),
        ("no truth", "no dataset hr, nor hr_x2; it has hr_x4, lr"),
        ("lengths", "differ in length: lr 6, hr 7"),
        ("type", "lr is of type int32"),
        ("types", "lr is float32, hr is uint8; store all datasets in one type"),
        ("axes", "lr has the shape 7x8x8x2"),
        ("sizes", "lr of 8x8 pixels needs hr of 16x16, .* hr has 12x12"),
        ("target", "hr_x4 has 16x16 pixels instead of 32x32"),
        ("channels", "train_0: has 3 channels, its LR picture 1"),
        ("same", "LR and HR are the same picture"),
        ("empty", "lr is empty"),
    ],
)
def test_file_that_cannot_work(kind: str, message: str, write: Write) -> None:
    with pytest.raises(DataError, match=message):
        module(damaged(write, kind)).setup("fit")


@pytest.mark.parametrize("way", ["link", "soft link", "folder", "storage", "virtual"])
def test_samples_in_other_files_are_not_read(way: str, write: Write, tmp_path: Path) -> None:
    """A stranger's file could name any file of this machine."""
    arrays = pair()
    secret = write(**arrays).rename(tmp_path / "secret.h5")
    (tmp_path / "secret.bin").write_bytes(arrays["hr"].tobytes())
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["lr"] = arrays["lr"]
        if way == "link":
            file["hr"] = h5py.ExternalLink(str(secret), "/hr")
        elif way == "soft link":
            file["there"] = h5py.ExternalLink(str(secret), "/hr")
            file["hr"] = h5py.SoftLink("/there")
        elif way == "folder":
            file["there"] = h5py.ExternalLink(str(secret), "/")
            file["hr"] = h5py.SoftLink("/there/hr")
        elif way == "storage":
            external = [(str(tmp_path / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("hr", arrays["hr"].shape, arrays["hr"].dtype, external=external)
        else:
            layout = h5py.VirtualLayout(arrays["hr"].shape, arrays["hr"].dtype)
            layout[...] = h5py.VirtualSource(str(secret), "hr", arrays["hr"].shape)
            file.create_virtual_dataset("hr", layout)
    with pytest.raises(DataError, match=r"train\.h5: hr is (a link to|stored in) another file, .*secret\."):
        module(tmp_path / "train.h5").setup("fit")


def test_links_within_the_file_are_followed(write: Write, tmp_path: Path) -> None:
    plain = batches(module(write(**pair())))
    with h5py.File(tmp_path / "train.h5", "r+") as file:
        file.move("hr", "deep/there")
        file["hr"] = h5py.SoftLink("/deep/there")
    assert same(batches(module(tmp_path / "train.h5")), plain)


@pytest.mark.parametrize("chunks", [None, (1000, 16, 16)])
def test_patches_that_were_never_written(chunks: Any, tmp_path: Path) -> None:
    """A few bytes that declare 10⁹ patches would fill the memory with their names."""
    with h5py.File(tmp_path / "train.h5", "w") as file:
        for key, side in (("lr", 8), ("hr", 16)):
            file.create_dataset(key, (10**9, side, side), np.uint8, chunks=chunks and (1000, side, side))
    with pytest.raises(DataError, match=r"train\.h5: lr declares 1000000000 patches, but only 0 of \d+ (bytes|chunks)"):
        module(tmp_path / "train.h5").setup("fit")


def test_damage_within(write: Write) -> None:
    """What is found only when a patch is read still ends as one sentence."""
    file = write(**pair())
    with h5py.File(file) as content:
        chunk = content["hr"].id.get_chunk_info(3)
    with file.open("r+b") as content:
        content.seek(chunk.byte_offset)
        content.write(bytes(chunk.size))
    with pytest.raises(DataError, match=r"train\.h5: hr 6 cannot be read"):
        batches(module(file))


def test_options_that_cannot_work(write: Write, tmp_path: Path) -> None:
    file = write(**pair(), attrs={"upscale_factor": [2], "scale": 2, "version": "1"})
    module(file).setup("fit")
    with pytest.raises(ConfigError, match=r"has been cut for scale 2; say so with scale=2"):
        module(file, scale=4).setup("fit")
    with pytest.raises(DataError, match="nowhere: no such file"):
        module(tmp_path / "nowhere").setup("fit")
    for options, message in (
        ({"file": None}, r"data\.file=FILE"),
        ({"val_file": "a", "val_hr_dir": "b"}, "both given"),
        ({"val_lr_dir": "a"}, "needs its HR pictures"),
        ({"value_range": 2}, "must be 1, 255 or null"),
        ({"scales": [2, 4], "patch_size": 16}, "patches of one scale"),
    ):
        with pytest.raises(ConfigError, match=message):
            HDF5(**{"file": str(file), **options})


# --- networks ---------------------------------------------------------------------------------------------------------


def losses(name: str, data: HDF5, *overrides: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = build_model(compose("train", [f"model={name}", f"scale={data.scale}", *overrides]))
    (batch, *_) = batches(data)
    ready = {k: v.float() / 255 if getattr(v, "dtype", None) == torch.uint8 else v for k, v in batch.items()}
    return model.training_losses(ready)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["srcnn", "vdsr", "drcn", "drrn_b1u9"])
def test_enlarged_patches(name: str, write: Write) -> None:
    """Training on LR that has been enlarged is training on LR, but for the rounding of what was enlarged."""
    hr = np.random.default_rng(1).random((7, 4, 4))
    hr = np.clip(imresize(torch.from_numpy(hr)[:, None], 4)[:, 0].numpy(), 0, 1)
    lr = imresize(torch.from_numpy(hr)[:, None], 0.5)
    enlarged = imresize(lr, 2)[:, 0].numpy()
    options = {"augment": False, "value_range": 1, "batch_size": 2}
    plain = module(write("plain.h5", lr=lr[:, 0].numpy(), hr=hr), **options)
    bigger = module(write("bigger.h5", attrs={"scale": 1, "upscale_factor": [2]}, lr=enlarged, hr=hr), **options)
    assert "scale" not in batches(plain)[0] and batches(bigger)[0]["scale"] == 1
    small = ["model.num_features=8"] + (["model.num_recursions=2"] if name == "drcn" else [])
    a, b = losses(name, plain, *small), losses(name, bigger, *small)
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["espcn", "edsr_small", "carn", "lapsrn", "mslapsrn", "mdsr"])
def test_networks_that_enlarge_themselves_refuse_enlarged_patches(name: str, write: Write) -> None:
    p = pair()
    data = module(write(lr=p["lr"].repeat(2, 1).repeat(2, 2), hr=p["hr"]))
    small = {"mdsr": ["model.num_features=8", "model.num_blocks=1"]}.get(name, [])
    with pytest.raises(ConfigError, match="enlarges the picture itself, but LR already has the size of HR"):
        losses(name, data, *small)


def test_channels_that_a_network_cannot_take(write: Write) -> None:
    luma = module(write("y.h5", **{key: value[..., 0] for key, value in pair().items()}))
    with pytest.raises(ConfigError, match="the patches have one channel, and EDSR takes RGB"):
        losses("edsr_small", luma)
    for data in (luma, module(write("rgb.h5", **pair()))):
        assert torch.stack([*losses("espcn", data).values()]).isfinite().all()


def test_pyramid(write: Write) -> None:
    """Targets of the levels come from the file, turned and cut with their pictures."""
    hr = numbered(side=16)
    sets = {"lr": hr[:, ::4, ::4], "hr_x2": hr[:, ::2, ::2], "hr_x4": hr}
    data = module(write(**sets), scale=4, patch_size=12)
    data.setup("fit")
    loader = data.train_dataloader()
    for draws, batch in zip(loader.position, loader, strict=True):
        assert {key: value.shape[-1] for key, value in batch.items() if key != "name"} == {
            "lr": 3,
            "hr_x2": 6,
            "hr": 12,
        }
        for lr, middle, whole, op in zip(batch["lr"], batch["hr_x2"], batch["hr"], draws[:, 3].tolist(), strict=True):
            assert torch.equal(undo_dihedral(middle, op), undo_dihedral(whole, op)[:, ::2, ::2])
            assert torch.equal(undo_dihedral(lr, op), undo_dihedral(whole, op)[:, ::4, ::4])


@pytest.mark.parametrize("name", ["lapsrn", "mslapsrn"])
def test_pyramid_is_trained_on_its_targets(name: str, write: Write, tmp_path: Path) -> None:
    hr = np.random.default_rng(1).random((7, 1, 16, 16))
    lr, middle = (imresize(torch.from_numpy(hr), factor).numpy() for factor in (0.25, 0.5))
    small = ["model.num_features=8", "model.num_layers=2"]

    def loss(**targets: Any) -> dict[str, torch.Tensor]:
        datasets = {key: value[:, 0] for key, value in {"lr": lr, "hr": hr, **targets}.items()}
        file = write(f"{len(list(tmp_path.iterdir()))}.h5", **datasets)
        return losses(name, module(file, scale=4, value_range=1, augment=False), *small)

    without, bicubic, black = loss(), loss(hr_x2=middle), loss(hr_x2=0 * middle)
    key = "x2" if name == "lapsrn" else "x4_x2"
    for term, value in without.items():
        torch.testing.assert_close(bicubic[term], value, rtol=1e-4, atol=1e-6)
        assert (abs(black[term] - value) > 0.01) == (term == key)


# --- validation, and real pictures ------------------------------------------------------------------------------------


def test_validation_file(write: Write) -> None:
    data = module(write(**pair()), val_file=str(write("Val.h5", **pair(3))))
    data.setup("fit")
    assert data.val_names == ["val"] and len(data.val_sets["val"]) == 3
    sample = data.val_sets["val"][1]
    assert torch.equal(sample["lr"], sample["hr"][:, ::2, ::2]) and sample["name"] == "Val_1"
    assert pickle.loads(pickle.dumps(data.val_sets["val"]))[1]["hr"].equal(sample["hr"])
    p = pair(3)
    enlarged = write("enlarged.h5", lr=p["lr"].repeat(2, 1).repeat(2, 2), hr=p["hr"])
    data = module(write(**pair()), val_file=str(enlarged))
    data.setup("fit")
    assert "lr" not in data.val_sets["enlarged"][0]


def test_real_pictures(real_data: Path, write: Write) -> None:
    """Patches of the 91 pictures, by the config that a user types, with a step of training and a folder to validate."""
    crops = [read_picture(path)[20:68, 20:68] for path in find_pictures(real_data / "T91")[:12]]
    hr = np.stack([crop.repeat(3 // crop.shape[2], axis=2) for crop in crops])
    small = imresize(torch.from_numpy(hr).permute(0, 3, 1, 2).double() / 255, 0.5)
    lr = (small * 255).round().byte().permute(0, 2, 3, 1).numpy()
    attrs = {"scale": 2, "upscale_factor": [2], "color": "rgb", "command": json.dumps({"stride": 48}), "version": "0.1"}
    file = write(lr=lr, hr=hr, attrs=attrs)
    cfg = compose("train", ["data=hdf5", f"data.file={file}", f"data.val_hr_dir={real_data / 'Set5'}"])
    data = build(cfg.data)
    data.prepare_data()
    data.setup("fit")
    assert data.val_names == ["set5"] and len(data.val_sets["set5"]) == 5
    (batch, *_) = data.patches.sampler(1, 1, augment=False).draw(0, 0)[None]
    found = data.patches.__getitems__(batch)
    assert np.array_equal(found["hr"][0].permute(1, 2, 0), hr[batch[0, 0]])
