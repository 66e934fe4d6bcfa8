"""What type checkers and Python itself say of programs that use the library."""

import inspect
import io
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sr_lightning as sr
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.inference import options as module
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic

PROGRAM = """
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import sr_lightning as sr

upscaler = sr.load("span", scale=2, device="cpu")
reveal_type(upscaler)
reveal_type(upscaler.upscale("photo.png"))
reveal_type(upscaler.upscale(io.BytesIO(b""), factor=3))
reveal_type(upscaler.upscale(Image.new("RGB", (4, 4))))
reveal_type(upscaler.upscale(np.zeros((4, 4), np.uint8)))
reveal_type(upscaler.upscale(torch.zeros(3, 4, 4), on_progress=print))
reveal_type(upscaler.upscale([Path("a.png"), Path("b.png")]))
sr.load("span", scal=2)
sr.load("span", tile="large")
sr.open("span")
upscaler.upscale("photo.png", facto=2)
"""


# Without what the interface's types do not need: all of torch and Lightning take mypy half a minute.
SETTINGS = """
[mypy]
[mypy-torch.*,lightning.*,torchmetrics.*,scipy.*,hydra.*,omegaconf.*,skimage.*,h5py.*]
follow_imports = skip
[mypy-torch,torch._tensor]
follow_imports = normal
"""


def test_type_checkers_know_the_interface(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "program.py"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    types = [line.partition('"')[2].rstrip('"') for line in told.splitlines() if "Revealed type" in line]
    errors = sorted({int(line.split(":")[1]) for line in told.splitlines() if ": error: " in line})
    assert [kind.rpartition(".")[2] for kind in types[:4]] == ["Upscaler", "Image", "Image", "Image"], told
    assert "ndarray" in types[4] and "_8Bit" in types[4] and types[5] == "torch._tensor.Tensor", told
    assert types[6].endswith("list[PIL.Image.Image]"), told
    assert errors == [19, 20, 21, 22], told


def test_options_of_load_are_those_of_the_class() -> None:
    """They are written twice, because no type checker can copy a part of a signature."""
    for options, function in ((module.UpscalerOptions, Upscaler.__init__), (module.UpscaleOptions, Upscaler.upscale)):
        arguments = {n: p for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
        assert list(arguments) == list(typing.get_type_hints(options))
        hints = typing.get_type_hints(function)
        assert {name: hints[name] for name in arguments} == typing.get_type_hints(options)


@pytest.mark.parametrize("typo", ["sr.load('span', scal=2)", "sr.load('span').upscale('a.png', facto=2)", "sr.open"])
def test_typos_are_errors_at_run_time(typo: str) -> None:
    with pytest.raises((TypeError, AttributeError), match=r"scal|facto|open"):
        eval(typo, {"sr": sr})


@pytest.fixture(scope="module")
def double() -> Upscaler:
    return Upscaler(Bicubic(scale=2))


@pytest.fixture(scope="module")
def content() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (10, 14, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_bytes_and_files_give_what_a_path_gives(double: Upscaler, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    expected = np.asarray(double.upscale(path))
    assert expected.shape == (20, 28, 3)
    with path.open("rb") as file:
        results = [double.upscale(content), double.upscale(io.BytesIO(content)), double.upscale(file)]
    for result in results:
        assert isinstance(result, Image.Image)
        np.testing.assert_array_equal(np.asarray(result), expected)


def test_damaged_bytes_are_named_without_a_path(double: Upscaler, content: bytes) -> None:
    with pytest.raises(PictureError, match=f"^a picture of {len(content) // 2} bytes: "):
        double.upscale(content[: len(content) // 2])


def test_a_file_in_text_mode_is_refused(double: Upscaler) -> None:
    with pytest.raises(TypeError, match="binary mode"):
        double.upscale(io.StringIO("abc"))  # type: ignore[call-overload]


def test_a_list_gives_a_list_and_one_progress(double: Upscaler, content: bytes) -> None:
    shares: list[float] = []
    pictures: list[Any] = [content, torch.zeros(3, 8, 8), np.zeros((9, 7), np.uint8)]
    one, two, three = double.upscale(pictures, factor=3, on_progress=shares.append)
    assert (one.size, two.shape, three.shape) == ((42, 30), (3, 24, 24), (27, 21))
    assert shares == sorted(shares) and shares[-1] == 1 and any(0.3 < share < 0.4 for share in shares)
    assert double.upscale([]) == []


def test_its_repr_says_network_scale_device_and_precision() -> None:
    double = Upscaler(Bicubic(scale=2))
    assert repr(double) == "Upscaler(Bicubic x2, device=cpu, precision=auto)"
    double.upscale(np.zeros((8, 8), np.uint8))  # now it is known what auto stands for
    assert repr(double) == "Upscaler(Bicubic x2, device=cpu, precision=float32)"


def test_an_error_of_the_callback_is_its_own(double: Upscaler) -> None:
    def stop(share: float) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        double.upscale(np.zeros((8, 8), np.uint8), on_progress=stop)


@pytest.mark.parametrize("scale", ["2", 2.0, 0, True])
def test_scales_that_cannot_be(scale: Any) -> None:
    with pytest.raises(ConfigError, match="must be a whole number above 0"):
        sr.load("span", scale)
