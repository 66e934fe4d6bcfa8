"""Every step against something nobody here wrote: scipy, OpenCV, scikit-image, Pillow, closed forms."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io
import scipy.ndimage
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import Image

from sr_lightning.degradations import (
    JPEG,
    Bicubic,
    Compose,
    DefocusBlur,
    Degradation,
    GaussianBlur,
    Grid,
    KernelBlur,
    MotionBlur,
    Noise,
    PoissonNoise,
    Resize,
    SincBlur,
    Subsample,
)
from sr_lightning.degradations.kernels import (
    correlate,
    disk_kernel,
    gaussian_kernel,
    load_kernel,
    motion_kernel,
    moved_kernel,
    sinc_kernel,
)
from sr_lightning.errors import ConfigError, DataError, SRError

GRID = Grid(8, 8, 2)


def picture(height: int = 23, width: int = 30, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planes(image: torch.Tensor) -> list[np.ndarray]:
    return list(image[0].numpy())


def applied(step: Degradation, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return step.apply(image, step.draw(np.random.default_rng(seed)), GRID)


# --- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.4, 1.6, 3.0])
@pytest.mark.parametrize("size", [7, 21])
def test_gaussian_kernel_is_opencvs(sigma: float, size: int) -> None:
    one = cv2.getGaussianKernel(size, sigma, cv2.CV_64F)
    np.testing.assert_allclose(gaussian_kernel(size, sigma), one @ one.T, atol=1e-12)


def test_elliptic_kernel_is_the_density_of_the_normal_distribution() -> None:
    from scipy.stats import multivariate_normal

    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    x, y = np.meshgrid(np.arange(-10, 11), np.arange(-10, 11))
    density = multivariate_normal(cov=turn @ np.diag([4.0, 1.0]) @ turn.T).pdf(np.stack([x, y], axis=-1))
    np.testing.assert_allclose(gaussian_kernel(21, 2.0, 1.0, 0.7), density / density.sum(), atol=1e-12)


def test_generalised_kernels() -> None:
    from scipy.stats import gennorm

    x = np.arange(-7, 8)
    # exp(-(x^2)^b / 2) is gennorm of exponent 2b and this scale.
    middle = gennorm(2 * 1.7, scale=2 ** (1 / 3.4)).pdf(x)
    np.testing.assert_allclose(_row(gaussian_kernel(15, 1.0, beta=1.7)), middle / middle.sum(), atol=1e-12)
    lorentz = 1 / (1 + (x / 2.0) ** 2)
    np.testing.assert_allclose(_row(gaussian_kernel(15, 2.0, plateau=True)), lorentz / lorentz.sum(), atol=1e-12)


def _row(kernel: np.ndarray) -> np.ndarray:
    row = kernel[len(kernel) // 2]
    return row / row.sum()


@pytest.mark.parametrize("cutoff", [1.0, 2.0, np.pi])
def test_sinc_kernel_is_its_closed_form(cutoff: float) -> None:
    y, x = np.mgrid[-10:11, -10:11]
    r = np.hypot(x, y)
    with np.errstate(invalid="ignore"):
        expected = cutoff * scipy.special.j1(cutoff * r) / (2 * np.pi * r)
    expected[10, 10] = cutoff**2 / (4 * np.pi)
    np.testing.assert_allclose(sinc_kernel(21, cutoff), expected / expected.sum(), atol=2e-7, rtol=0)


def test_sinc_kernel_lets_pass_what_is_below_the_cutoff() -> None:
    response = np.abs(np.fft.fft2(sinc_kernel(101, 1.5)))
    frequency = 2 * np.pi * np.hypot(np.fft.fftfreq(101)[:, None], np.fft.fftfreq(101))
    assert response[frequency < 1.2].min() > 0.9 and response[frequency > 1.8].max() < 0.1


@pytest.mark.parametrize("radius", [0.7, 1.0, 2.3, 5.0])
def test_disk_is_even_and_round(radius: float) -> None:
    kernel = disk_kernel(radius)
    inside = np.hypot(*np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2) < radius - 0.71
    np.testing.assert_allclose(kernel[inside], 1 / (np.pi * radius**2), rtol=0.01)
    np.testing.assert_allclose(kernel, kernel.T)
    if radius < 2:
        return
    # The second moment of a disk is radius^2 / 4 along each axis, that of the pixels themselves 1 / 12.
    moment = (kernel.sum(0) * (np.arange(len(kernel)) - len(kernel) // 2) ** 2).sum()
    assert moment == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.02)


def test_a_disk_smaller_than_a_pixel_is_that_pixel() -> None:
    for radius in (1e-9, 0.02, 0.4):
        np.testing.assert_allclose(disk_kernel(radius), np.pad([[1.0]], 1))


@pytest.mark.parametrize("length", [1.0, 4.0, 9.5])
@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2, 2.0])
def test_motion_is_a_line(length: float, angle: float) -> None:
    kernel = motion_kernel(length, angle)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2.0
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-9) and (kernel * y).sum() == pytest.approx(0, abs=1e-9)
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    assert (kernel * along**2).sum() == pytest.approx(length**2 / 12, abs=0.26)  # and a quarter for a pixel's triangle
    assert (kernel * across**2).sum() < 0.26


@pytest.mark.parametrize(
    "kernel",
    [
        gaussian_kernel(41, 10.0), gaussian_kernel(7, 0.2), gaussian_kernel(9, 3.0, 0.3, 1.0, beta=0.5),
        disk_kernel(3), sinc_kernel(7, 1.1), motion_kernel(0.0, 0.3), motion_kernel(11.0, 0.3),
        moved_kernel(gaussian_kernel(9, 1.0), 4),
    ],
)  # fmt: skip
def test_kernels_sum_to_one(kernel: np.ndarray) -> None:
    assert kernel.sum() == pytest.approx(1, abs=1e-12) and np.isfinite(kernel).all()


# --- blur -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("border", "theirs"), [("replicate", "nearest"), ("reflect", "mirror")])
@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (11, 11)])
def test_correlation_is_scipys(border: str, theirs: Any, shape: tuple[int, int]) -> None:
    kernel = np.random.default_rng(0).random(shape)
    image = picture(9, 12)
    expected = [scipy.ndimage.correlate(plane, kernel, mode=theirs) for plane in planes(image)]
    np.testing.assert_allclose(correlate(image, kernel, border)[0], expected, atol=1e-12)
    differentiable = correlate(image.clone().requires_grad_(), kernel, border)
    np.testing.assert_allclose(differentiable[0].detach(), expected, atol=1e-12)


def test_kernel_wider_than_the_picture() -> None:
    for border in ("replicate", "reflect"):
        assert correlate(picture(2, 1), gaussian_kernel(21, 3.0), border).shape == (1, 3, 2, 1)


@pytest.mark.parametrize(
    ("border", "theirs"), [("replicate", cv2.BORDER_REPLICATE), ("reflect", cv2.BORDER_REFLECT_101)]
)
def test_gaussian_blur_is_opencvs(border: str, theirs: int) -> None:
    image = picture()
    expected = [cv2.GaussianBlur(plane, (7, 7), 1.6, borderType=theirs) for plane in planes(image)]
    blurred = applied(GaussianBlur(sigma=1.6, size=7, border=border), image)
    np.testing.assert_allclose(blurred[0], expected, atol=1e-10)


@pytest.mark.parametrize(
    "step", [GaussianBlur((0.2, 3.0), (7, 21), True, (0.5, 4.0)), DefocusBlur(), MotionBlur(), SincBlur()]
)
def test_blur_leaves_brightness_alone(step: Degradation) -> None:
    flat = torch.full((1, 1, 30, 40), 0.4, dtype=torch.float64)
    assert step.random
    for seed in range(20):
        torch.testing.assert_close(applied(step, flat, seed), flat)


def test_draws_are_as_published() -> None:
    generator = np.random.default_rng(0)
    draws = [GaussianBlur((0.2, 3.0), (7, 21), True, (0.5, 4.0)).draw(generator) for _ in range(3000)]
    assert {d["size"] for d in draws} == set(range(7, 22, 2))
    assert np.mean([d["beta"] < 1 for d in draws]) == pytest.approx(0.5, abs=0.03)
    assert min(d["sigma_x"] for d in draws) < 0.21 and max(d["sigma_y"] for d in draws) > 2.99
    cutoffs = [SincBlur().draw(generator) for _ in range(3000)]
    assert min(d["cutoff"] for d in cutoffs if d["size"] < 13) >= np.pi / 3
    assert np.pi / 5 < min(d["cutoff"] for d in cutoffs if d["size"] >= 13) < np.pi / 5 + 0.02


@pytest.mark.parametrize("ending", ["npy", "mat"])
def test_measured_kernel(ending: str, tmp_path: Path) -> None:
    kernel, file = np.random.default_rng(0).random((6, 7)), tmp_path / f"kernel.{ending}"
    np.save(file, kernel) if ending == "npy" else scipy.io.savemat(file, {"Kernel": kernel})
    np.testing.assert_allclose(load_kernel(file), kernel / kernel.sum())
    step = KernelBlur(str(file), centre=False)
    image = picture()
    expected = [scipy.ndimage.correlate(plane, kernel / kernel.sum(), mode="nearest") for plane in planes(image)]
    np.testing.assert_allclose(applied(step, image)[0], expected, atol=1e-12)
    described = step.describe()
    np.save(tmp_path / "kernel.npy", kernel + 1)
    assert not step.random and described["kernel"] != KernelBlur(str(tmp_path / "kernel.npy")).describe()["kernel"]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_of_a_measured_kernel_lies_where_bicubic_does(scale: int, tmp_path: Path) -> None:
    """A ramp keeps its values under any blur that is centred, away from the borders."""
    lopsided = np.zeros((13, 13))
    lopsided[1:5, 6:12] = np.random.default_rng(0).random((4, 6))
    np.save(tmp_path / "k.npy", lopsided)
    step = Compose([KernelBlur(str(tmp_path / "k.npy")), Subsample()])
    size = 24 * scale
    ramp = (torch.arange(size, dtype=torch.float64)[:, None] + 2 * torch.arange(size)).expand(1, 1, size, size) / 1000
    grid = Grid(24, 24, scale)
    made = step.apply(ramp, step.draw(np.random.default_rng(0)), grid)
    bicubic = Bicubic(rounding="none").apply(ramp, {}, grid)
    torch.testing.assert_close(made[..., 9:15, 9:15], bicubic[..., 9:15, 9:15], atol=2e-5, rtol=0)


def test_unusable_kernels(tmp_path: Path) -> None:
    np.save(tmp_path / "pickled.npy", np.array([{"code": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.ones(3))
    np.save(tmp_path / "zero.npy", np.zeros((3, 3)))
    (tmp_path / "text.npy").write_text("kernel")
    scipy.io.savemat(tmp_path / "other.mat", {"K": np.ones((3, 3))})
    for name, message in [
        ("pickled.npy", "cannot be read"), ("flat.npy", "rows and columns"), ("zero.npy", "sum is not 0"),
        ("text.npy", "cannot be read"), ("none.npy", "no such file"), ("other.mat", "no variable 'Kernel'"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=f"{name}.*{message}"):
            KernelBlur(str(tmp_path / name))
    with pytest.raises(ConfigError, match="needs its file"):
        KernelBlur()


# --- resizing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_subsample_is_nearest_of_torch_and_scikit_image(scale: int) -> None:
    from skimage.transform import resize

    image = picture(6 * scale, 7 * scale)
    made = Subsample().apply(image, {}, Grid(6, 7, scale))
    assert torch.equal(made, F.interpolate(image, size=(6, 7), mode="nearest-exact"))
    if scale % 2:  # with an even scale the place lies between two pixels: MATLAB takes the second
        expected = [resize(plane, (6, 7), order=0, anti_aliasing=False) for plane in planes(image)]
        np.testing.assert_array_equal(made[0], expected)


def test_matlab_takes_the_second_of_two() -> None:
    """Equation of MATLAB's imresize: output n sits at n * s + (1 - s) / 2, rounded half up, counted from 1."""
    for scale in (2, 3, 4, 6):
        u = np.arange(1, 6) * scale + (1 - scale) / 2
        row = torch.arange(1.0, 5 * scale + 1).expand(1, 1, scale, -1)
        np.testing.assert_array_equal(Subsample().apply(row, {}, Grid(1, 5, scale))[0, 0, 0], np.floor(u + 0.5))


@pytest.mark.parametrize("method", ["area", "bilinear", "bicubic"])
def test_resize_is_opencvs(method: str) -> None:
    theirs = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[method]
    image = picture(16, 32).float()
    made = Resize("input", 0.5, methods=[method]).apply(image, {"factor": 0.5, "method": method}, GRID)
    expected = [cv2.resize(plane, (16, 8), interpolation=theirs) for plane in planes(image)]
    np.testing.assert_allclose(made[0], expected, atol=1e-5)


@pytest.mark.parametrize(("of", "size"), [("input", (10, 15)), ("lr", (4, 4)), ("hr", (8, 8))])
def test_what_is_resized(of: Any, size: tuple[int, int]) -> None:
    assert applied(Resize(of, 0.5), picture(20, 30)).shape[-2:] == size


def test_probabilities_of_resizing() -> None:
    step, generator = Resize("hr", (0.15, 1.5), (0.2, 0.7, 0.1)), np.random.default_rng(0)
    factors = np.array([step.draw(generator)["factor"] for _ in range(5000)])
    assert np.mean(factors > 1) == pytest.approx(0.2, abs=0.02) and np.mean(factors < 1) == pytest.approx(0.7, abs=0.02)
    assert 0.15 <= factors.min() < 0.16 and 1.49 < factors.max() <= 1.5


# --- noise ------------------------------------------------------------------------------------------------------------


def test_statistics_of_gaussian_noise() -> None:
    grey = torch.full((1, 3, 200, 200), 0.5)
    noise = (applied(Noise(30.0), grey) - 0.5) * 255
    assert float(noise.std()) == pytest.approx(30, rel=0.01) and abs(float(noise.mean())) < 0.3
    assert abs(np.corrcoef(noise[0, 0].flatten(), noise[0, 1].flatten())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[0, 0, :-1].flatten(), noise[0, 0, 1:].flatten())[0, 1]) < 0.02
    alike = applied(Noise(30.0, grey=1.0), grey)
    assert torch.equal(alike[:, 0], alike[:, 1]) and torch.equal(alike[:, 0], alike[:, 2])
    bright = applied(Noise(50.0), torch.ones(1, 3, 64, 64))
    assert float(bright.max()) == 1 and float(bright.min()) < 0.6


def test_statistics_of_poisson_noise() -> None:
    for level in (0.1, 0.6):
        flat = torch.full((1, 3, 300, 300), level)
        noise = applied(PoissonNoise(2.0), flat) - level
        assert float(noise.var()) == pytest.approx(4 * level / 256, rel=0.02 if level > 0.5 else 0.05)
        assert abs(float(noise.mean())) < 1e-3
    for level in (0.1, 0.6):
        # Whole photons, whose mean, variance and third central moment are the light: brighter than it more rarely,
        # but farther, than darker.
        light = level * 256
        noise = applied(PoissonNoise(0.5), torch.full((1, 3, 300, 300), level)).double() - level
        photons = light + noise * 512
        torch.testing.assert_close(photons, photons.round(), atol=1e-3, rtol=0)
        assert float(photons.mean()) == pytest.approx(light, abs=0.1)
        assert float((photons - light).pow(2).mean()) == pytest.approx(light, rel=0.02)
        assert float((photons - light).pow(3).mean()) == pytest.approx(light, rel=0.3)
    colour = picture(50, 50).float() * 0.4 + 0.3
    noise = applied(PoissonNoise(1.0, grey=1.0), colour) - colour
    torch.testing.assert_close(noise[:, 0], noise[:, 2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("photons", [0.5, 3.9, 4.1, 7.3, 21.0, 200.5])
def test_poisson_noise_has_scipys_distribution(photons: float) -> None:
    light = torch.full((1, 3, 500, 500), photons / 256)
    noise = applied(PoissonNoise(0.1), light).double() - light  # too weak to be clipped
    counts = (noise * 2560 + photons).round().int().flatten().numpy()
    drawn = np.bincount(counts) / len(counts)
    expected = scipy.stats.poisson.pmf(np.arange(len(drawn)), photons)
    assert np.abs(drawn - expected).sum() / 2 < 0.005


def test_how_often_noise_is_grey() -> None:
    generator = np.random.default_rng(0)
    draws = [Noise((1.0, 30.0), 0.4).draw(generator) for _ in range(3000)]
    assert np.mean([d["grey"] for d in draws]) == pytest.approx(0.4, abs=0.03)
    assert len({d["seed"] for d in draws}) == 3000


# --- JPEG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [5, 50, 95])
def test_jpeg_is_pillows(quality: int, channels: int) -> None:
    pixels = (F.interpolate(picture(5, 6, channels), size=(33, 41), mode="bilinear") * 255).round()
    array = pixels[0].byte().permute(1, 2, 0).numpy()
    file = BytesIO()
    Image.fromarray(array[..., 0] if channels == 1 else array).save(file, "JPEG", quality=quality)
    expected = np.array(Image.open(file)).reshape(array.shape)
    made = applied(JPEG(quality), pixels / 255) * 255
    np.testing.assert_allclose(made[0].permute(1, 2, 0), expected, atol=1e-4)


def test_differentiable_jpeg_is_near() -> None:
    image = F.interpolate(picture(5, 6), size=(64, 64), mode="bilinear").float()
    real, near = applied(JPEG(75), image), applied(JPEG(75, codec="kornia"), image)
    assert float((real - near).abs().mean()) < 0.01
    x = image.clone().requires_grad_()
    applied(JPEG(75, codec="kornia"), x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and float(x.grad.abs().sum()) > 0


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianBlur(sigma=-1), "sigma=-1"),
        (lambda: GaussianBlur(sigma=(3, 1)), "lowest, highest"),
        (lambda: GaussianBlur(sigma="wide"), "sigma=wide"),
        (lambda: GaussianBlur(sigma=(1.0,)), "lowest, highest"),
        (lambda: GaussianBlur(size=8), "odd"),
        (lambda: GaussianBlur(border="wrap"), "border=wrap"),
        (lambda: JPEG(quality=0), "quality=0"),
        (lambda: JPEG(quality=(30.5, 60)), "a whole number"),
        (lambda: JPEG(codec="webp"), "codec=webp"),
        (lambda: Noise(grey=2), "grey"),
        (lambda: PoissonNoise(strength=0), "leave the step out"),
        (lambda: Resize(methods=["lanczos"]), "lanczos"),
        (lambda: Resize(of="sr"), "of=sr"),
        (lambda: Resize(factor=0.5, probabilities=(0.2, 0.3, 0.5)), "range around 1"),
        (lambda: Resize(factor=(0.5, 2), probabilities=(0.2, 0.3, 0.4)), "sum to 1"),
        (lambda: Subsample(phase=-1), "phase=-1"),
        (lambda: Bicubic(edge="wrap"), "edge=wrap"),
        (lambda: SincBlur(cutoff=4.0), "cutoff=4"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(make: Any, words: str) -> None:
    with pytest.raises(SRError, match=words):
        make()
