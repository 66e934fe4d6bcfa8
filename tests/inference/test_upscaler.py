"""Pictures of every kind keep what belongs to them; a bad one costs nothing but itself."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from sr_lightning.config import compose
from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.raw import camera_rendering, read_raw
from sr_lightning.data.files.raw.turning import turned_upright
from sr_lightning.errors import DataError, SRError
from sr_lightning.functional import imresize
from sr_lightning.functional.demosaic import demosaic_bilinear
from sr_lightning.functional.isp import develop
from sr_lightning.inference.loading import load
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.rawsr import RawSR
from sr_lightning.upscale import upscale

BICUBIC = ("model=bicubic", "device=cpu")


def gradient(height: int = 20, width: int = 31, channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    y, x, c = np.mgrid[:height, :width, :channels]
    top = np.iinfo(dtype).max
    return ((y / height + x / width + c / 7) / 2.5 * top).astype(dtype)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, **options)
    return path


def run(source: Path, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", [*BICUBIC, f"input={source}", *overrides]))


def matlab(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top = np.iinfo(pixels.dtype).max
    image = torch.from_numpy(pixels.astype(np.float64) / top).permute(2, 0, 1)
    return (imresize(image, size=size).clamp(0, 1) * top).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp", "jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_as_they_were(ending: str, channels: int, tmp_path: Path) -> None:
    pixels = gradient(channels=channels)
    options = {"lossless": True} if ending == "webp" else {}
    source = save(tmp_path / f"a.{ending}", pixels, **options)
    (written,) = run(source)
    assert written == tmp_path / f"a_x2.{ending}"
    result = read_photo(written).pixels
    expected = matlab(read_photo(source).pixels, (40, 62))
    assert result.shape == expected.shape
    assert np.abs(result - expected).mean() < (0.51 if ending in ("png", "bmp", "tif") else 3)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_stays_16_bit(ending: str, channels: int, tmp_path: Path) -> None:
    import tifffile

    pixels = gradient(channels=channels, dtype=np.uint16)
    source = tmp_path / f"a.{ending}"
    if ending == "tif":
        tifffile.imwrite(source, pixels.squeeze(), photometric="rgb" if channels == 3 else "minisblack")
    else:
        import cv2

        cv2.imwrite(str(source), pixels[..., ::-1])
    (written,) = run(source)
    result = read_photo(written).pixels
    assert result.dtype == np.uint16
    assert np.abs(result - matlab(pixels, (40, 62))).max() <= 1
    (eight,) = run(source, "bits=8", "pattern=eight")
    assert read_photo(eight).pixels.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_does_not_bleed(channels: int, tmp_path: Path) -> None:
    """Red on hidden green: no shade of green may appear at the edge."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :8] = (255, 0, 0, 255)
    pixels[:, 8:] = (0, 255, 0, 0)
    if channels == 1:
        pixels = np.ascontiguousarray(pixels[..., [0, 3]])
    source = tmp_path / "a.png"
    Image.fromarray(pixels, "LA" if channels == 1 else "RGBA").save(source)
    photo = read_photo(run(source)[0])
    assert photo.alpha is not None and photo.alpha.shape == (32, 32, 1)
    seen = photo.alpha[..., 0] > 20
    assert photo.pixels[..., 0][seen].min() >= 250
    if channels == 3:
        assert photo.pixels[..., 1][seen].max() <= 5
    assert (photo.alpha[:, :12] == 255).all() and (photo.alpha[:, 20:] == 0).all()


def test_palette_becomes_colour(tmp_path: Path) -> None:
    image = Image.fromarray(gradient()).quantize(16)
    image.save(tmp_path / "a.png")
    assert read_photo(run(tmp_path / "a.png")[0]).pixels.shape == (40, 62, 3)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
def test_profile_and_exif_are_kept(ending: str, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    details = exif.get_ifd(0x8769)
    details[0xA002], details[0xA003], details[0x829A] = 31, 20, 0.01
    options = {} if ending == "tif" else {"exif": exif.tobytes()}
    source = save(tmp_path / f"a.{ending}", gradient(), icc_profile=profile, **options)
    (written,) = run(source)
    with Image.open(written) as image:
        assert image.info["icc_profile"] == profile
        if ending == "tif":
            return
        assert image.size == (40, 62)  # turned once
        kept = image.getexif()
        assert kept[0x010F] == "a camera" and kept.get(0x0112, 1) == 1
        details = kept.get_ifd(0x8769)
        assert (details[0xA002], details[0xA003], float(details[0x829A])) == (40, 62, 0.01)


def test_profile_of_16_bit(tmp_path: Path) -> None:
    import tifffile

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, gradient(dtype=np.uint16), photometric="rgb", iccprofile=profile)
    for ending in ("png", "tif"):
        (written,) = run(source, f"format={ending}")
        assert read_photo(written).pixels.dtype == np.uint16
        with Image.open(io.BytesIO(written.read_bytes())) as image:
            assert image.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("overrides", "size"),
    [
        (("factor=2.5",), (50, 78)),
        (("factor=0.5",), (10, 16)),
        (("size=100x100",), (65, 100)),
        (("factor=3",), (60, 93)),
        (("factor=2.3",), (46, 72)),  # MATLAB rounds up, and knows that 20 * 2.3 are 46
        (("factor=1.1",), (22, 35)),
    ],
)
def test_any_size(overrides: tuple[str, ...], size: tuple[int, int], tmp_path: Path) -> None:
    pixels = gradient()
    (written,) = run(save(tmp_path / "a.png", pixels), *overrides, "pattern=b")
    assert read_photo(written).pixels.shape[:2] == size


def test_a_folder_keeps_its_tree_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    save(source / "a.png", gradient())
    save(source / "deep" / "b.jpg", gradient())
    (source / "deep" / "broken.png").write_bytes(b"no picture")
    (source / "loop").symlink_to(source)
    with pytest.raises(SRError, match=r"1 of 3 pictures could not be enlarged:\n  .*broken\.png: not a picture"):
        run(source, f"output={tmp_path / 'out'}")
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert names == ["a_x2.png", "deep/b_x2.jpg"]
    assert "a_x2.png" in capsys.readouterr().out


def test_patterns_of_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.jpg"):
        save(tmp_path / name, gradient())
    assert len(run(tmp_path / "*.png")) == 2


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", gradient())
    (written,) = run(source)
    before = written.read_bytes()
    written.write_bytes(b"precious")
    with pytest.raises(SRError, match=r"a_x2.png: is there already; overwrite=true replaces it"):
        run(source)
    assert written.read_bytes() == b"precious"
    run(source, "overwrite=true")
    assert written.read_bytes() == before
    with pytest.raises(SRError, match="would replace its own picture"):
        run(source, "pattern=%name", "overwrite=true")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("input=null",), "input is missing"),
        (("input=nowhere",), "nowhere: no such picture"),
        (("model=deepresnet",), "model=deepresnet: no weights are shipped for it"),
        (("factor=3", "size=10x10"), "factor and size are both given"),
        (("size=big",), "must be WIDTHxHEIGHT"),
        (("factor=0",), "factor=0"),
        (("format=jpg", "input=alpha.png"), "holds no transparency"),
        (("ensemble=max",), "ensemble=max: must be mean, median or null"),
        (("tile=0",), "tile=0: must be a whole number above 0"),
        (("tile=1.5",), "tile=1.5: must be a whole number"),
        (("back_projection=-1",), "back_projection=-1: must be a whole number"),
        (("bits=12",), "bits=12: must be 8 or 16"),
        (("device=foo",), "device=foo: there is no device of that name"),
        (("device=meta",), "device=meta: torch cannot compute there"),
        (("scale=2.5",), "scale=2.5: must be a whole number, such as 2; factor=2.5 is any other"),
        (("output=large.png",), "output=large.png: names a folder"),
        (("overwrite=maybe",), "overwrite=maybe: must be true, false, or skip"),
    ],
)
def test_mistakes_are_one_sentence(
    overrides: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", gradient())
    Image.fromarray(gradient(channels=4), "RGBA").save(tmp_path / "alpha.png")
    with pytest.raises((SRError, ValueError), match=message):
        upscale(compose("upscale", [*BICUBIC, "input=a.png", *overrides]))


@pytest.mark.parametrize(
    ("overrides", "scale", "size"),
    [
        ((), 2, (62, 40)),
        (("scale=4",), 4, (124, 80)),
        (("factor=2.5",), 3, (78, 50)),
        (("size=62x99",), 2, (62, 40)),
        (("size=93x99",), 3, (93, 60)),
        (("size=999x120",), 4, (186, 120)),
        (("size=93x99", "scale=4"), 4, (93, 60)),
        (("factor=3", "model=fsrcnn"), 3, (93, 60)),
        (("size=93x99", "model=espcn"), 3, (93, 60)),
    ],
)
def test_without_weights_it_takes_what_comes_with_the_package(
    overrides: tuple[str, ...], scale: int, size: tuple[int, int], tmp_path: Path
) -> None:
    source = save(tmp_path / "a.png", gradient())
    (written,) = upscale(compose("upscale", [f"input={source}", "device=cpu", "precision=float32", *overrides]))
    name = next((words.removeprefix("model=") for words in overrides if "model=" in words), "span")
    expected = load(name, scale=scale, device="cpu", precision="float32")
    assert Image.open(written).size == size
    truth = expected.photo(read_photo(source), size=size[::-1])
    assert np.array_equal(np.asarray(Image.open(written)), truth.pixels)


def test_tiles_do_not_show(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = EDSR(scale=2, num_features=8, num_blocks=2)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 70, 50), dtype=np.uint8)
    whole, tiled = (Upscaler(model, tile=tile).array(pixels) for tile in (256, 24))
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert (whole != tiled).mean() < 1e-3


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_a_checkpoint_knows_its_network(tmp_path: Path) -> None:
    from lightning.pytorch import Trainer

    model = EDSR(scale=3, num_features=8, num_blocks=1)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    source = save(tmp_path / "a.png", gradient())
    (written,) = upscale(compose("upscale", [f"input={source}", f"checkpoint={tmp_path / 'best.ckpt'}", "device=cpu"]))
    assert written.name == "a_x3.png"
    assert np.array_equal(read_photo(written).pixels, Upscaler(model).photo(read_photo(source)).pixels)


def test_camera_files_for_ordinary_networks(real_data: Path, tmp_path: Path) -> None:
    (written,) = run(real_data / "raw" / "kodak_dc50_buildings.kdc", f"output={tmp_path}")
    photo = read_photo(written)
    assert photo.pixels.shape == (1024, 1536, 3) and photo.pixels.dtype == np.uint16


@pytest.mark.parametrize("pattern", ["rggb", "grbg", "gbrg", "bggr"])
def test_mosaics_begin_with_red(real_data: Path, pattern: str) -> None:
    """Whatever the phase, the network sees RGGB and the reference beside it."""
    raw = read_raw(real_data / "raw" / "derived_dng" / f"nikon_dsc1339_{pattern}.dng")
    height, width = raw.mosaic.shape[-2:]
    reference = np.broadcast_to((raw.mosaic[0].numpy() * 0.9)[..., None], (height, width, 3)).astype(np.float32)
    seen: list[Any] = []
    model = RawSR(scale=2, num_features=8, growth_rate=2, num_layers=2)
    upscaler = Upscaler(model, tile=128)

    def forward(mosaic: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        seen.append((mosaic, lr))
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    upscaler._computed = forward, None  # type: ignore[assignment]
    upscaler._radius = 8
    result = upscaler.raw(raw, reference)
    assert result.shape == (2 * height, 2 * width, 3)
    assert np.abs(result[::2, ::2] / 65535 - reference.clip(0, 1)).max() < 1e-4
    red = raw.mosaic[0, raw.pattern.index("R") // 2 :: 2, raw.pattern.index("R") % 2 :: 2].clamp(0, 1)
    for mosaic, lr in seen:
        assert torch.allclose(mosaic * 0.9, lr[:, :1].clamp(0, 0.9), atol=1e-6)
        assert torch.isin(mosaic[0, 0, 0, 0], red)


def test_a_mosaic_network_writes_what_to_compare_with(real_data: Path, tmp_path: Path) -> None:
    from lightning.pytorch import Trainer

    model = RawSR(scale=2, num_features=8, growth_rate=2, num_layers=2)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    source = real_data / "raw" / "derived_dng" / "nikon_dsc1339_grbg.dng"
    arguments = [f"input={source}", f"checkpoint={tmp_path / 'best.ckpt'}", f"output={tmp_path / 'out'}", "device=cpu"]
    written = upscale(compose("upscale", arguments))
    assert [path.name for path in written] == [
        "nikon_dsc1339_grbg_x2.png",
        "nikon_dsc1339_grbg_camera.png",
        "nikon_dsc1339_grbg_x2_bicubic.png",
    ]
    sizes = [read_photo(path).pixels.shape for path in written]
    assert sizes == [(1020, 1532, 3), (510, 766, 3), (1020, 1532, 3)]
    assert all(read_photo(path).pixels.dtype == np.uint16 for path in written)
    with pytest.raises(DataError):
        upscale(compose("upscale", [*arguments[1:], f"input={tmp_path / 'none.nef'}"]))


def test_turned_cameras() -> None:
    """LibRaw's codes, by what dcraw does with them: out[r, c] is in[a, b]."""
    pixels = np.random.default_rng(0).random((5, 7, 3))
    for flip in range(8):
        height, width = (7, 5) if flip & 4 else (5, 7)
        expected = np.empty((height, width, 3))
        for r in range(height):
            for c in range(width):
                a, b = (c, r) if flip & 4 else (r, c)
                expected[r, c] = pixels[4 - a if flip & 2 else a, 6 - b if flip & 1 else b]
        assert np.array_equal(turned_upright(pixels, flip), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_libraw_turns(real_data: Path, orientation: int, tmp_path: Path) -> None:
    content = bytearray((real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng").read_bytes())
    tag = bytes.fromhex("1201030001000000")
    if tag not in content:
        pytest.skip("the file has no orientation tag to change")
    content[content.index(tag) + 8] = orientation
    (tmp_path / "a.dng").write_bytes(content)
    raw = read_raw(tmp_path / "a.dng")
    upright = camera_rendering(tmp_path / "a.dng", user_flip=0)
    assert np.array_equal(turned_upright(upright, raw.flip), camera_rendering(tmp_path / "a.dng"))


def test_networks_that_balance_white(real_data: Path) -> None:
    raw = read_raw(real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng")
    reference = np.zeros((*raw.mosaic.shape[-2:], 3), np.uint8)
    torch.manual_seed(0)
    model = EDSR(scale=2, num_features=8, num_blocks=1, input="raw").eval()
    with torch.inference_mode():
        expected = model(raw.mosaic[None].clamp(0, 1), torch.tensor([raw.gains]))[0].clamp(0, 1)
    for tile in (1024, 160):
        result = Upscaler(model, tile=tile, precision="float32").raw(raw, reference)
        assert np.abs(result / 65535 - expected.permute(1, 2, 0).numpy()).max() < 1e-4


def test_a_rendering_of_another_size_is_refused(real_data: Path) -> None:
    raw = read_raw(real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng")
    model = RawSR(scale=2, num_features=8, growth_rate=2, num_layers=2)
    with pytest.raises(DataError, match="the camera's picture has 510x765 pixels and the mosaic 510x766"):
        Upscaler(model).raw(raw, np.zeros((510, 765, 3), np.uint8))


def test_the_reference_is_rendered_as_in_training(real_data: Path) -> None:
    path = real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng"
    raw = read_raw(path)
    ours = develop(demosaic_bilinear(raw.mosaic[None]), raw.gains, raw.matrix)[0]
    theirs = camera_rendering(path, no_auto_bright=True).astype(np.float32).transpose(2, 0, 1) / 255
    assert abs(ours.mean().item() - theirs.mean()) < 0.01


def test_other_pictures_in_a_folder_of_mosaics(real_data: Path, tmp_path: Path) -> None:
    from lightning.pytorch import Trainer

    model = RawSR(scale=2, num_features=8, growth_rate=2, num_layers=2)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    save(tmp_path / "in" / "a.jpg", gradient())
    shutil.copy(real_data / "raw" / "derived_dng" / "nikon_dsc1339_grbg.dng", tmp_path / "in" / "b.dng")
    arguments = [f"input={tmp_path / 'in'}", f"checkpoint={tmp_path / 'best.ckpt'}", "device=cpu", "compare=false"]
    (written,) = upscale(compose("upscale", arguments))
    assert written == tmp_path / "in" / "b_x2.png"
    (tmp_path / "in" / "b.dng").unlink()
    with pytest.raises(DataError, match="RawSR can enlarge none of these files"):
        upscale(compose("upscale", arguments))
    with pytest.raises(SRError, match=r"a\.jpg: no camera's RAW file, which RawSR reads"):
        upscale(compose("upscale", [f"input={tmp_path / 'in/a.jpg'}", *arguments[1:]]))
