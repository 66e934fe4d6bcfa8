"""Batches of the built miniature, and training on them through the command's function."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data import SRRAW
from sr_lightning.data.srraw.statistics import main, proportions, residual_counts
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional.bayer import mosaic
from srraw_mini import Truth

SMALL: dict[str, Any] = {
    "margin": 4, "train_range": (1, 3), "val_range": (4, 4), "patch_size": 64, "batch_size": 64, "num_workers": 0,
    "batches_per_epoch": 3, "val_crop": 128,
}  # fmt: skip


@pytest.fixture(scope="module")
def built(mini: tuple[Path, dict[str, Truth]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folders = {"root": str(mini[0]), "dst": str(tmp_path_factory.mktemp("pairs"))}
    for label in ("diff", "edge"):
        SRRAW(4, label=label, **folders, **SMALL).prepare_data()
    return folders


def pixels(folders: dict[str, str], kind: str, name: str) -> torch.Tensor:
    path = Path(folders["dst"]) / "SRRAW" / "X4" / "train" / kind / f"{name}.png"
    return torch.from_numpy(np.array(Image.open(path))).movedim(-1, 0)


@pytest.mark.parametrize("label", ["diff", "edge"])
def test_all_entries_are_of_one_place(label: str, built: dict[str, str]) -> None:
    data = SRRAW(4, label=label, input="raw", augment=False, **built, **SMALL)  # type: ignore[arg-type]
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {key: tuple(batch[key].shape) for key in batch if key != "name"} == {
        "lr": (64, 3, 16, 16), "hr": (64, 3, 64, 64), "label": (64, 3, 64, 64), "raw": (64, 1, 16, 16),
        "white_balance": (64, 3),
    }  # fmt: skip
    for i in range(8):
        name = batch["name"][i]
        windows = pixels(built, "LR", name).unfold(1, 16, 1).unfold(2, 16, 1)
        ((y, x),) = (windows == batch["lr"][i][:, None, None]).all(-1).all(-1).all(0).nonzero().tolist()
        assert y % 2 == x % 2 == 0
        for key, kind in (("hr", "HR"), ("label", label.title())):
            whole = pixels(built, kind, name)
            assert torch.equal(batch[key][i], whole[:, 4 * y : 4 * y + 64, 4 * x : 4 * x + 64])
        packed = np.load(Path(built["dst"]) / "SRRAW" / "X4" / "train" / "ARW" / f"{name}.npy")
        block = packed[y // 2 : y // 2 + 8, x // 2 : x // 2 + 8]
        assert np.array_equal(batch["raw"][i, 0, ::2, ::2], block[..., 0])
        assert np.array_equal(batch["raw"][i, 0, 1::2, 1::2], block[..., 2])


@pytest.mark.parametrize("augment", [True, "hflip", "rotate_hflip", False])
def test_mosaics_stay_rggb_on_lr(augment: Any, built: dict[str, str]) -> None:
    data = SRRAW(4, input="raw", augment=augment, **built, **SMALL)
    data.setup("fit")
    for batch in data.train_dataloader():
        # The miniature's light is the square of its picture.
        seen, colours = batch["raw"].sqrt() * 255, mosaic(batch["lr"].float())
        assert (seen - colours).abs().mean((1, 2, 3)).max() < 2
        others = torch.stack([mosaic(batch["lr"].float(), p) for p in ("GRBG", "GBRG", "BGGR")])
        assert ((seen - others).abs().mean((2, 3, 4)) > (seen - colours).abs().mean((1, 2, 3))).all()


def test_batches_depend_on_seed_epoch_and_number_alone(built: dict[str, str]) -> None:
    def batches(start: int) -> list[Any]:
        data = SRRAW(4, input="raw", **built, **SMALL)
        data.setup("fit")
        loader = data.train_dataloader()
        loader.load_state_dict({"epoch": 2, "batch": start})
        return list(loader)

    everything, rest = batches(0), batches(1)
    assert len(rest) == 2
    for one, other in zip(everything[1:], rest, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("lr", "hr", "raw", "label", "white_balance"))


def test_validation_is_the_middle(built: dict[str, str]) -> None:
    data = SRRAW(4, input="raw", label="none", **built, **(SMALL | {"val_crop": 64}))
    data.setup("fit")
    sample = data.val_sets["srraw"][0]
    name = sample["name"]
    assert name == "00002_00006"
    whole_lr, whole_hr = pixels(built, "LR", name), pixels(built, "HR", name)
    height, width = whole_lr.shape[1:]
    y, x = (height - 16) // 4 * 2, (width - 16) // 4 * 2
    assert torch.equal(sample["lr"], whole_lr[:, y : y + 16, x : x + 16])
    assert torch.equal(sample["hr"], whole_hr[:, 4 * y : 4 * y + 64, 4 * x : 4 * x + 64])
    assert sample["raw"].shape == (1, 16, 16) and sample["white_balance"].shape == (3,)
    assert "label" not in sample and "label" not in next(iter(data.train_dataloader()))
    test = SRRAW(4, **built, **(SMALL | {"val_crop": None}))
    test.setup("test")
    assert list(test.val_sets) == ["srraw_test"] and len(test.val_sets["srraw_test"]) == 2
    few = SRRAW(4, **built, **(SMALL | {"val_range": (1, 4), "max_val_pictures": 2}))
    few.setup("validate")
    assert len(few.val_sets["srraw"]) == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"scale": 2}, "scale=2: must be 4 or 8"),
        ({"label": "corner"}, "data.label=corner: must be diff, edge or none"),
        ({"input": "bayer"}, "data.input=bayer: must be rgb or raw"),
        ({"motion": "free"}, "data.motion=free: must be affine or rigid"),
        ({"margin": -1}, "data.margin=-1: must be a whole number, 0 or more"),
        ({"levels": "nikon"}, "data.levels=nikon: must be sony, iphone, [BLACK,WHITE] or null"),
        ({"scales": [4, 8]}, "SR-RAW has pairs of one scale at a time"),
    ],
)
def test_options_are_checked_first(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint.replace("[", r"\[")):
        SRRAW(**({"scale": 4} | options))


def test_what_is_missing_is_explained(built: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train/HR: no such folder; data=srraw expects data\.root=FOLDER with"):
        SRRAW(4, None, str(tmp_path), **SMALL).prepare_data()
    with pytest.raises(ConfigError, match=r"data\.val_range=\[9, 12\]: .* has the pairs 1 to 4"):
        SRRAW(4, **built, **(SMALL | {"val_range": (9, 12)})).setup("fit")
    data = SRRAW(4, input="raw", **built, **(SMALL | {"patch_size": 60}))
    data.setup("fit")
    with pytest.raises(DataError, match=r"patch_size=60 makes LR patches of 15 pixels, .* use a multiple of 8"):
        data.train_dataloader()


OVERRIDES = [
     "data.train_range=[1,3]", "data.val_range=[4,4]", "data.patch_size=64", "data.batch_size=2",
    "data.num_workers=0", "data.val_crop=128", "data.batches_per_epoch=2", "trainer=cpu", "trainer.max_epochs=1",
    "model.num_features=16", "model.num_blocks=1", "logger=csv", "callbacks=none",
]  # fmt: skip


@pytest.mark.parametrize(
    "which", [["experiment=srnet_srraw_x4"], ["model=edsr_raw", "data=srraw", "scale=4", "data.input=raw"]]
)
def test_it_trains(which: list[str], built: dict[str, str], tmp_path: Path) -> None:
    from sr_lightning.train import train

    before = pixels(built, "HR", "00001_00005")
    folders = [f"data.{key}={value}" for key, value in built.items()]
    scores = train(compose("train", [*which, *folders, *OVERRIDES, f"run_dir={tmp_path}"]))
    assert scores and all(np.isfinite(value) for value in scores.values())
    assert torch.equal(pixels(built, "HR", "00001_00005"), before)  # data.margin is another, and nothing is built


def test_labels_that_were_not_made_are_explained(mini: tuple[Path, dict[str, Truth]], tmp_path: Path) -> None:
    folders = {"root": str(mini[0]), "dst": str(tmp_path)}
    SRRAW(4, label="none", **folders, **SMALL).prepare_data()
    assert not list(tmp_path.rglob("Diff")) and not list(tmp_path.rglob("Edge"))
    with pytest.raises(DataError, match=r"Edge/00001_00005.png: no such file; make the labels with .* data.label=edge"):
        SRRAW(4, label="edge", **folders, **SMALL).setup("fit")


def test_every_experiment_composes() -> None:
    for scale in (4, 8):
        cfg = compose("train", [f"experiment=srnet_srraw_x{scale}"])
        assert build(cfg.data).options.scale == scale


def test_statistics(built: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(built["dst"]) / "SRRAW" / "X4" / "train"
    counts = residual_counts(folder)
    assert counts.sum() == sum(pixels(built, "HR", path.stem).numel() for path in (folder / "HR").iterdir())
    rows = proportions(counts, upper=100)
    assert len(rows) == 10
    assert sum(row[2] for row in rows) == pytest.approx(1) and sum(row[3] for row in rows) == pytest.approx(1)
    main([str(folder), "--upper", "100", "--plot", str(tmp_path / "bins.png")])
    assert f"90 to below 100{rows[-1][2]:>15.2%}" in capsys.readouterr().out
    assert Image.open(tmp_path / "bins.png").size == (900, 600)
    with pytest.raises(SystemExit, match=r"error: .*no such folder"):
        main([str(tmp_path / "nowhere")])
