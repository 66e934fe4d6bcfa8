"""What a worker answers: the files of ``upscale`` to the last byte, or a code and a sentence."""

import shutil
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.inference.settings import upscale_config
from sr_lightning.serving.batching import Batcher
from sr_lightning.serving.options import asked_options
from sr_lightning.serving.upload import Upload, harmless_name
from sr_lightning.serving.work import Enlarged, Enlarger
from sr_lightning.upscale import upscale

SETTINGS = ["device=cpu", "tile=48", "precision=float32"]


def enlarger(*settings: str) -> Enlarger:
    cfg = compose("serve", [*SETTINGS, "max_upload_megapixels=1", "max_megapixels=1", *settings])
    plain = upscale_config(cfg, without=("workers",))
    plain.overwrite = True
    return Enlarger(cfg, plain, Batcher(most=4, patience=0.01))


@pytest.fixture(scope="module")
def auto() -> Enlarger:
    return enlarger()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of several kinds, with what belongs to them."""
    folder = tmp_path_factory.mktemp("pictures")
    photo = data.astronaut()[60:100, 160:224]
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo).save(folder / "photo.jpg", quality=95, exif=exif, icc_profile=profile)
    Image.fromarray(photo).save(folder / "strong.jpg", quality=10)
    Image.fromarray(photo).save(folder / "photo.png", icc_profile=profile)
    Image.fromarray(photo[..., 0]).save(folder / "grey.png")
    alpha = np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(40, 0)[..., None]
    Image.fromarray(np.concatenate([photo, alpha], 2)).save(folder / "clear.webp", lossless=True)
    Image.fromarray(photo[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(photo).save(folder / "moving.gif", save_all=True, append_images=[Image.fromarray(photo[::-1])])
    return {path.name: path for path in folder.iterdir()}


def answer(worker: Enlarger, path: Path, folder: Path, **options: object) -> Enlarged:
    folder.mkdir(parents=True)
    upload = Path(shutil.copy(path, folder / path.name))
    asked = asked_options([(key, str(value)) for key, value in options.items()], "", worker.plain)
    return worker.enlarge(Upload(upload, asked, time.time() + 600))


def of_upscale(path: Path, folder: Path, *settings: str, **options: object) -> bytes:
    given = [f"{key}={value}" for key, value in options.items()]
    (written,) = upscale(compose("upscale", [f"input={path}", f"output={folder}", *SETTINGS, *settings, *given]))
    return written.read_bytes()


CASES = [
    ("photo.jpg", {}),
    ("strong.jpg", {"factor": 3}),
    ("photo.png", {"factor": 2.5, "format": "jpg", "quality": 80}),
    ("photo.png", {"size": "150x400"}),
    ("grey.png", {}),
    ("clear.webp", {}),
    ("deep.png", {"bits": 8}),
    ("moving.gif", {}),
]


def test_many_at_once_get_the_bytes_of_upscale(auto: Enlarger, pictures: dict[str, Path], tmp_path: Path) -> None:
    asked = [*enumerate(CASES), *enumerate(CASES[:4])]  # some twice, whose tiles may meet
    with ThreadPoolExecutor(4) as pool:
        begun = [
            pool.submit(answer, auto, pictures[name], tmp_path / f"served_{number}", **options)
            for number, (_, (name, options)) in enumerate(asked)
        ]
        answers = [each.result() for each in begun]
    assert [each.sentence for each in answers if each.code != 200] == []
    expected = [
        of_upscale(pictures[name], tmp_path / f"upscale_{i}", **options) for i, (name, options) in enumerate(CASES)
    ]
    for (i, case), got in zip(asked, answers, strict=True):
        assert got.path is not None and got.path.read_bytes() == expected[i], case
    assert auto.batcher.counts.batches <= auto.batcher.counts.tiles


def test_warnings_are_restored(auto: Enlarger, pictures: dict[str, Path], tmp_path: Path) -> None:
    import warnings

    before = warnings.showwarning
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: answer(auto, pictures["photo.png"], tmp_path / str(i)), range(4)))
    assert warnings.showwarning is before


@pytest.mark.parametrize("settings", [["model=bicubic"], ["weights=espcn", "scale=3"], ["model=span", "tile=null"]])
def test_other_networks(settings: list[str], pictures: dict[str, Path], tmp_path: Path) -> None:
    got = answer(enlarger(*settings), pictures["photo.png"], tmp_path / "served")
    assert got.path is not None
    assert got.path.read_bytes() == of_upscale(pictures["photo.png"], tmp_path / "upscale", *settings)
    assert got.told == {"pixels_in": 2560, "pixels_out": 2560 * (9 if "scale=3" in settings else 4)}


def header(path: Path, width: int, height: int) -> Path:
    """A PNG that says how large it is, and has no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 1000))]
    parts = [
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in (*chunks, (b"IEND", b""))
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_what_cannot_be_used(
    auto: Enlarger, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as in a worker
    text, cut = tmp_path / "notes.txt", tmp_path / "cut.png"
    text.write_text("no picture")
    cut.write_bytes(pictures["photo.png"].read_bytes()[:4000])
    bomb = header(tmp_path / "bomb.png", 60000, 60000)
    for number, (path, options, code, words) in enumerate(
        [
            (text, {}, 415, "notes.txt: "),
            (cut, {}, 422, "cut.png: cannot be decoded"),
            (bomb, {}, 413, "3600.0 megapixels, and this server takes 1 at most"),
            (pictures["photo.png"], {"factor": 20}, 413, "1.0 megapixels, and this server takes 1 at most"),
            (pictures["photo.png"], {"format": "gif"}, 422, "animations"),
        ]
    ):
        got = answer(auto, path, tmp_path / str(number), **options)
        assert (got.code, got.path) == (code, None), got
        assert words in got.sentence and str(tmp_path) not in got.sentence


def test_an_animation_of_too_many_frames(pictures: dict[str, Path], tmp_path: Path) -> None:
    got = answer(enlarger("model=bicubic", "max_pages=1"), pictures["moving.gif"], tmp_path / "many")
    assert (got.code, got.sentence) == (413, "moving.gif: has 2 pictures, and this server takes 1 at most.")
    assert answer(enlarger("model=bicubic", "max_pages=2"), pictures["moving.gif"], tmp_path / "few").code == 200


def test_work_is_given_up(auto: Enlarger, pictures: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(pictures["photo.png"], tmp_path / "late.png")
    assert auto.enlarge(Upload(tmp_path / "late.png", {}, time.time() - 1)).code == 499
    assert not (tmp_path / "result").exists()
    assert auto.enlarge(Upload(tmp_path / "gone.png", {}, time.time() + 60)).code == 499


def test_a_bug_is_no_secret_of_the_log_alone(
    auto: Enlarger, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_lightning.serving.work.check_result", None)
    got = answer(auto, pictures["photo.png"], tmp_path / "bug")
    assert (got.code, got.sentence) == (500, "photo.png: cannot be enlarged; the server's log says why")


def test_networks_that_are_not_for_it() -> None:
    with pytest.raises(ConfigError, match="trained on each picture, which takes minutes; serve another, as model=span"):
        enlarger("model=zssr", "precision=auto")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("a/../../b.png", "b.png"),
        (r"C:\pictures\c.jpg", "c.jpg"),
        ("..", "picture.png"),
        ("x\0y;rm -rf.png", "x_y_rm_-rf.png"),
        ("é" * 300 + ".tif", "_" * 60 + ".tif"),
        (".hidden", "hidden.png"),
        ("photo.%2e%2e", "photo._2e.png"),
    ],
)
def test_names_are_harmless(named: str, expected: str) -> None:
    name = harmless_name(named, "", b"")
    assert "/" not in name and not name.startswith(".") and len(name) < 70
    if "%" not in named:
        assert name == expected
