"""Training on the picture itself: parts against closed forms and other people's code, and the command as a whole."""

import csv
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import center_of_mass
from torch import Tensor

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.data.files.io import read_photo
from sr_lightning.degradations.kernels import gaussian_kernel
from sr_lightning.errors import ConfigError, DataError, SRError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.functional import dihedral, imresize, to_levels
from sr_lightning.inference.zero_shot import AffineFathers, LineFit, Settings, Steps, ZoomedFathers
from sr_lightning.inference.zero_shot.fathers import Source, smallest_source, zoomed_sizes
from sr_lightning.inference.zero_shot.policy import line
from sr_lightning.inference.zero_shot.reduction import Reduction, given_kernel
from sr_lightning.inference.zero_shot.sampling import Affine, cut
from sr_lightning.inference.zero_shot.upscaler import ZeroShotUpscaler, _write_history
from sr_lightning.models.zssr import ZSSR
from sr_lightning.upscale import upscale

PRESETS = sorted(path.stem for path in (CONF_DIR / "zero_shot").glob("*.yaml"))
SMALL = (
    "model=zssr", "model.num_features=8", "model.num_layers=3", "device=cpu", "zero_shot.max_iterations=2",
    "zero_shot.fathers.crop_size=16", "zero_shot.back_projections=1", "zero_shot.precision=float32",
)  # fmt: skip


def photograph(height: int = 48, width: int = 40) -> np.ndarray:
    from skimage import data

    pixels: np.ndarray = data.astronaut()[60 : 60 + 2 * height : 2, 180 : 180 + 2 * width : 2]
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def run(source: Path, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", [*SMALL, f"input={source}", *overrides]))


def read(path: Path) -> Tensor:
    return torch.from_numpy(read_photo(path).pixels.astype(np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("channels", "bias", "count"), [(3, False, 224_640), (3, True, 225_091), (1, True, 222_785), (1, False, 222_336)]
)
def test_published_parameter_counts(channels: int, bias: bool, count: int) -> None:
    assert count_parameters(ZSSR(scale=2, channels=channels, bias=bias)) == count


def test_training_begins_at_the_bicubic_picture() -> None:
    lr = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(ZSSR(scale=2)(lr), imresize(lr, 2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (3.0, 3.0), (1.5, 2.5)])
@pytest.mark.parametrize("size", [13, 14])
def test_kernels_come_to_lie_on_the_middle_of_an_lr_pixel(factors: tuple[float, float], size: int) -> None:
    kernel = np.zeros((size, size + 1))
    kernel[2:11, 1:10] = gaussian_kernel(9, 1.1)
    moved = given_kernel(kernel, factors, (64, 64))
    middle = [n // 2 + (f - 1) / 2 for n, f in zip(moved.shape, factors, strict=True)]
    np.testing.assert_allclose(center_of_mass(moved), middle, atol=0.02)
    assert moved.sum() == pytest.approx(1)


def test_matlabs_kernel_reduces_as_imresize() -> None:
    place = (np.arange(8) - 3.5) / 2
    near, far = np.abs(place) <= 1, np.abs(place)
    taps = np.where(near, 1.5 * far**3 - 2.5 * far**2 + 1, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2) / 2
    picture = torch.rand(3, 24, 30, dtype=torch.float64)
    kernel = given_kernel(np.outer(taps, taps), (2.0, 2.0), (24, 30))
    torch.testing.assert_close(Reduction((2.0, 2.0), kernel).down(picture), imresize(picture, 0.5), atol=1e-9, rtol=0)
    torch.testing.assert_close(Reduction((2.0, 2.0)).down(picture), imresize(picture, 0.5), atol=1e-9, rtol=0)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.5, 1.5), (1.0, 2.0), (2.5, 2.5)])
@pytest.mark.parametrize("given", [False, True])
def test_nothing_moves(factors: tuple[float, float], given: bool) -> None:
    """LR pixels are where their formula says, and back-projection finds HR where it was."""

    def scene(shape: tuple[int, ...], steps: tuple[float, float]) -> Tensor:
        y, x = ((torch.arange(n, dtype=torch.float64) + 0.5) * f for n, f in zip(shape, steps, strict=True))
        return 0.5 + 0.2 * (torch.sin(0.31 * y[:, None] + 0.2 * x) + torch.cos(0.17 * y[:, None] - 0.3 * x))[None]

    hr = scene((91, 100), (1, 1))
    kernel = given_kernel(np.roll(gaussian_kernel(15, 1.2), (2, -1), (0, 1)), factors, (91, 100)) if given else None
    reduction = Reduction(factors, kernel)
    lr = reduction.down(hr)
    assert lr.shape[-2:] == (math.ceil(91 / factors[0]), math.ceil(100 / factors[1]))
    sr = reduction.back_project(reduction.up(lr, (91, 100)), lr, 10)
    inside = slice(12, -12)
    for dim in (0, 1):
        slope = torch.gradient(hr[0], dim=dim)[0][inside, inside]
        moved = (slope * (sr - hr)[0, inside, inside]).sum() / slope.square().sum()
        assert abs(moved) < 0.01, "pixels"
    assert (sr - hr)[0, inside, inside].abs().max() < 0.06


@pytest.mark.parametrize("centre", [(28.3, 37.9), (4.0, 66.5)])
def test_crops_are_cut_as_scikit_image_does(centre: tuple[float, float]) -> None:
    """Which the authors' code uses; zeros outside included."""
    from skimage.transform import warp

    picture = torch.rand(1, 60, 70, dtype=torch.float64)
    turn = 0.4
    matrix = np.array([[math.cos(turn), -1.2 * math.sin(turn)], [math.sin(turn), 1.2 * math.cos(turn)]])
    (rr, rc), (cr, cc) = matrix
    row, column = (c - 0.5 - m @ (9.5, 11.5) for c, m in zip(centre, matrix, strict=True))  # of the crop's first pixel
    to_picture = np.array([[cc, cr, column], [rc, rr, row], [0, 0, 1]])  # in (x, y)
    expected = warp(picture[0].numpy(), to_picture, output_shape=(20, 24), order=3, mode="constant", clip=False)
    crop = cut(picture, Affine(centre, matrix), (20, 24))[0].clamp(0, 1)
    np.testing.assert_allclose(crop.numpy(), expected.clip(0, 1), atol=1e-4)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("size", [(9, 9), (8, 8)])
def test_quarter_turns_copy_values(turns: int, size: tuple[int, int]) -> None:
    picture = torch.rand(3, *size)
    cos, sin = (1, 0, -1, 0)[turns], (0, 1, 0, -1)[turns]
    matrix = np.array([[cos, sin], [-sin, cos]], dtype=np.float64)
    crop = cut(picture, Affine((size[0] / 2, size[1] / 2), matrix), size)
    assert torch.equal(crop, torch.rot90(picture, turns, (1, 2)))


def test_borders() -> None:
    picture = torch.rand(1, 6, 6)
    affine = Affine((3.0, 3.0), np.eye(2))
    padded = np.pad(picture[0].numpy(), 2)
    np.testing.assert_array_equal(cut(picture, affine, (10, 10))[0].numpy(), padded)
    padded = np.pad(picture[0].numpy(), 2, mode="symmetric")
    np.testing.assert_array_equal(cut(picture, affine, (10, 10), "mirror")[0].numpy(), padded)


def test_fathers_without_interpolation_are_pixels_of_the_picture() -> None:
    picture, draw = torch.rand(3, 20, 20), np.random.default_rng(0)
    source = [Source(picture, (1.0, 1.0))]
    as_is = AffineFathers(crop_size=16, as_is=1, no_interpolation=0).draw(source, (2.0, 2.0), draw)
    assert torch.equal(as_is, picture[:, 2:18, 2:18])
    fathers = AffineFathers(crop_size=16, as_is=0, no_interpolation=1)
    seen = set()
    for _ in range(200):
        crop = fathers.draw(source, (2.0, 2.0), draw)
        found = [
            (op, top, left)
            for op in range(8)
            for top in range(5)
            for left in range(5)
            if torch.equal(dihedral(picture[:, top : top + 16, left : left + 16], op), crop)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {op for op, _, _ in seen} == {*range(8)}
    assert {top for _, top, _ in seen} == {left for _, _, left in seen} == {*range(5)}
    fathers.rotation = False
    for _ in range(20):
        crop = fathers.draw(source, (2.0, 2.0), draw)
        assert any(torch.equal(picture[:, t : t + 16, x : x + 16], crop) for t in range(5) for x in range(5))


def test_affine_fathers_have_the_scales_they_are_asked_for() -> None:
    """On a ramp, which cubic interpolation keeps, the slope of a father tells its scale and turn."""
    ramp = (torch.arange(64.0) / 64).expand(1, 64, 64).contiguous()
    fathers = AffineFathers(
        crop_size=16, as_is=0, no_interpolation=0, min_scale=0.5, scale_difference=0, shear=0, rotation=False
    )
    draw, scales = np.random.default_rng(0), []
    for _ in range(200):
        crop = fathers.draw([Source(ramp, (1.0, 1.0))], (2.0, 2.0), draw)[0]
        steps = (crop[8, 1:] - crop[8, :-1]) * 64
        assert torch.allclose(steps[3:-3], steps[7], atol=1e-3)
        scales.append(1 / steps[7].item())
    assert 0.5 <= min(scales) < 0.55 and 0.95 < max(scales) <= 1.001
    # The larger source is taken, at the same size of things, where the input is not enough.
    sources = [Source(ramp, (1.0, 1.0)), Source(imresize(ramp, 2), (2.0, 2.0))]
    assert smallest_source(sources, 1.0) is sources[0] and smallest_source(sources, 1.2) is sources[1]
    steps = [fathers.draw(sources, (2.0, 2.0), draw)[0, 8].diff()[5].item() * 64 for _ in range(100)]
    assert 0.49 <= min(steps) < 0.6 and max(steps) > 1.6


def test_zoomed_fathers() -> None:
    picture, draw = 0.3 + 0.4 * torch.rand(3, 40, 60), np.random.default_rng(0)
    assert zoomed_sizes(40, 60, (2, 2), 0.5)[0] == (20, 30)
    fathers = ZoomedFathers(crop_size=24, min_scale=0.4)
    shapes = set()
    for _ in range(100):
        crop = fathers.draw([Source(picture, (1.0, 1.0))], (2.0, 2.0), draw)
        assert crop.min() > 0.1, "no black corners"
        shapes.add(tuple(crop.shape[1:]))
    assert {(24, 24), (8, 12), (12, 8)} <= shapes
    with pytest.raises(ConfigError, match=r"takes whole factors, not 2\.5 x 2\.5"):
        fathers.draw([Source(picture, (1.0, 1.0))], (2.5, 2.5), draw)


def test_the_line_is_that_of_numpy() -> None:
    generator = np.random.default_rng(0)
    places, errors = np.arange(5) * 50.0, generator.random(5)
    (slope, _), covariance = np.polyfit(places, errors, 1, cov=True)
    ours, deviation = line(places, errors)
    assert ours == pytest.approx(slope)
    assert deviation == pytest.approx(math.sqrt(covariance[0, 0]) * math.sqrt(3))


def test_the_rate_falls_when_the_error_no_longer_does() -> None:
    policy = LineFit()
    falling = [(i, 1 - i / 1000) for i in range(50, 301, 50)]
    flat = [(i, 1 + (-1) ** (i // 50) / 1000) for i in range(50, 301, 50)]
    assert policy.lowered(1e-3, 300, 0, falling) == 1e-3
    assert policy.lowered(1e-3, 300, 0, flat) == pytest.approx(1e-4)
    assert policy.lowered(1e-3, 301, 0, flat) == 1e-3  # looked at every 60 iterations
    assert policy.lowered(1e-3, 300, 100, flat) == 1e-3  # changed a moment ago
    # Only the latest five count.
    assert policy.lowered(1e-3, 300, 0, [(50, 9.0), *flat[1:]]) == pytest.approx(1e-4)
    with pytest.raises(ConfigError, match=r"too few for a line; zero_shot\.test_every=51 is the most"):
        policy.lowered(1e-3, 300, 0, [(100, 1.0), (200, 0.9)])
    assert Steps(every=100).lowered(1.0, 200, 0, []) == pytest.approx(0.1)
    with pytest.raises(ConfigError, match=r"zero_shot\.test_every=51 is the most"):
        Settings(test_every=100)
    Settings(test_every=100, max_iterations=256)  # which ends before


def test_a_table_never_costs_the_picture(tmp_path: Path) -> None:
    _write_history(tmp_path, "a", [{"step": 1}])
    _write_history(tmp_path, "a", [{"step": 2}])
    assert [(tmp_path / name).read_text().split() for name in ("a.csv", "a.1.csv")] == [["step", "1"], ["step", "2"]]
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="no table can be written"):
        _write_history(tmp_path / "file" / "below", "a", [])


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_compose(preset: str) -> None:
    settings = build(compose("upscale", ["model=zssr", f"zero_shot={preset}"]).zero_shot)
    assert isinstance(settings, Settings)
    assert settings.steps(2.0)[-1].factors == (2.0, 2.0)


def test_gradual_steps_are_stretched() -> None:
    settings = build(compose("upscale", ["zero_shot=gradual"]).zero_shot)
    assert [step.factors for step in settings.steps(3.0)] == [(1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3)]
    assert [step.back_projections for step in settings.steps(2.0)] == [6, 6, 8, 10, 10, 12]


def test_it_learns_from_the_picture(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", photograph())
    (written,) = run(
        source, "zero_shot.max_iterations=150", "zero_shot.fathers.crop_size=40", "model.num_features=32",
        f"zero_shot.history={tmp_path / 'history'}", "model.num_layers=5",
    )  # fmt: skip
    with (tmp_path / "history" / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [50, 100, 150]
    assert float(rows[-1]["reconstruction_mse"]) < 0.9 * float(rows[-1]["bicubic_mse"])
    assert read_photo(written).pixels.shape == (96, 80, 3)
    assert (imresize(read(written), 0.5) - read(source)).abs().mean() < 1 / 255  # back-projection


def test_the_seed_decides(tmp_path: Path) -> None:
    source, pixels = save(tmp_path / "a.png", photograph(24, 24)), []
    for seed in (3, 3, 4):
        (written,) = run(source, f"zero_shot.seed={seed}", "overwrite=true", "zero_shot.noise_std=0.01",
                         "zero_shot.learning_rate=0.01", "zero_shot.max_iterations=5")  # fmt: skip
        pixels.append(written.read_bytes())
    assert pixels[0] == pixels[1] != pixels[2]


@pytest.mark.parametrize(
    ("overrides", "size"),
    [
        (("factor=1.5",), (36, 45)),
        (("scale=3",), (72, 90)),
        (("size=64x99",), (52, 64)),
        (("zero_shot.factors=[[1,2]]",), (24, 60)),
        (("zero_shot=gradual", "factor=3", "zero_shot.back_projections=1"), (72, 90)),
        (("factor=4", "zero_shot.factors=[2,4]", "zero_shot.base_changes=[2]"), (96, 120)),
        (("zero_shot.init_net_for_each_factor=true", "zero_shot.factors=[1.5,2]"), (48, 60)),
        (("zero_shot=simple",), (48, 60)),
        (("zero_shot=real",), (48, 60)),
    ],
)
def test_any_factor(overrides: tuple[str, ...], size: tuple[int, int], tmp_path: Path) -> None:
    (written,) = run(save(tmp_path / "a.png", photograph(24, 30)), *overrides)
    result = read(written)
    assert result.shape[1:] == size
    expected = imresize(read(tmp_path / "a.png"), size=size)
    assert (result - expected).abs().mean() < 0.05


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_pictures_of_every_kind(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(photograph(20, 24)).convert(mode)
    image.save(tmp_path / "a.png")
    (written,) = run(tmp_path / "a.png")
    photo = read_photo(written)
    assert photo.pixels.shape == (40, 48, 1 if mode[0] == "L" else 3)
    assert (photo.alpha is not None) == mode.endswith("A")
    assert read_photo(run(tmp_path / "a.png", "bits=16", "pattern=deep")[0]).pixels.dtype == np.uint16


def test_kernels_of_files(tmp_path: Path) -> None:
    """What is known of the blur is undone: the result reduces to the picture by the kernel, not bicubically."""
    from scipy.io import savemat

    source = save(tmp_path / "a.png", photograph(32, 32))
    kernel = gaussian_kernel(9, 1.4)
    savemat(tmp_path / "a_0.mat", {"Kernel": kernel})
    np.save(tmp_path / "k.npy", kernel)
    (by_name,) = run(source, "zero_shot=kernel", "zero_shot.back_projections=8")
    (by_path,) = run(source, "zero_shot=kernel", "zero_shot.back_projections=8", "pattern=b",
                     f"zero_shot.kernel={tmp_path / 'k.npy'}")  # fmt: skip
    assert by_name.read_bytes() == by_path.read_bytes()
    (bicubic,) = run(source, "pattern=c", "zero_shot.back_projections=8")
    down = Reduction((2.0, 2.0), given_kernel(kernel, (2.0, 2.0), (32, 32))).down
    errors = [(down(read(path)) - read(source)).square().mean() for path in (by_name, bicubic)]
    assert errors[0] < errors[1] / 2


def test_truth_is_watched_and_not_enlarged(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save(folder / "a.png", photograph(16, 16))
    save(folder / "a_gt.png", photograph(32, 32))
    save(folder / "b.png", photograph(20, 20))
    more = (f"output={tmp_path / 'out'}", f"zero_shot.history={tmp_path}", "zero_shot.test_every=1")
    written = run(folder, *more)
    assert [path.name for path in written] == ["a_x2.png", "b_x2.png"]
    with (tmp_path / "a.csv").open() as file:
        assert {"true_mse", "bicubic_true_mse"} <= set(next(csv.DictReader(file)))
    assert "true_mse" not in (tmp_path / "b.csv").read_text()
    save(folder / "a_gt.png", photograph(30, 30))
    with pytest.raises(SRError, match=r"1 of 2 .*\n  .*a\.png: the truth has 30x30 pixels and the result 32x32"):
        run(folder, *more, "overwrite=true")
    assert [path.name for path in run(folder, *more, "overwrite=true", "zero_shot.truth=false")] == [
        "a_x2.png", "a_gt_x2.png", "b_x2.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("zero_shot=kernel",), r"a\.png: there is no kernel a_0\.mat or a_0\.npy beside it"),
        (("zero_shot.kernel=nowhere.npy",), "nowhere.npy: no such file"),
        (("zero_shot.kernel={folder}/text.npy",), r"text\.npy: cannot be read"),
        (("zero_shot.kernel={folder}/large.npy",), r"a kernel of 41x41 is larger than the picture's 30x24 pixels"),
        (("factor=0.5",), r"factor=0\.5: training on the picture itself is for enlarging"),
        (("zero_shot.factors=[]",), r"zero_shot\.factors=\[\]: needs at least one value"),
        (("zero_shot.factors=[0.5]",), "must be a number from 1 to 64"),
        (("zero_shot.factors=[1.5,2]", "zero_shot.back_projections=[1]"), "must be one number, or 2"),
        (("zero_shot.base_changes=[3]",), "must be among factors"),
        (("zero_shot.precision=half",), "must be auto, float32 or bf16"),
        (("zero_shot.max_iterations=0",), "must be a whole number above 0"),
        (("zero_shot.fathers.as_is=0.8",), "probabilities whose sum is at most 1"),
        (("zero_shot.fathers.border=black",), "must be zeros or mirror"),
        (("zero_shot=simple", "factor=2.5"), "takes whole factors"),
        (("zero_shot.factors=[[1,2]]", "size=64x64"), "size=64x64 keeps proportions"),
        (("ensemble=mean",), "ensemble=mean is for trained networks; use zero_shot.output_flip="),
    ],
)
def test_what_cannot_work_is_one_sentence(overrides: tuple[str, ...], message: str, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", photograph(24, 30))
    (tmp_path / "text.npy").write_text("no kernel")
    np.save(tmp_path / "large.npy", np.ones((41, 41)))
    with pytest.raises(SRError, match=message):
        run(source, *(override.format(folder=tmp_path) for override in overrides))
    assert not (tmp_path / "a_x2.png").exists()


def test_a_picture_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="12x30 pixels are too few to learn from"):
        untrained().upscale(np.zeros((30, 12, 3), np.uint8))
    save(tmp_path / "a.png", photograph(8, 30))
    with pytest.raises(SRError, match=r"a\.png: 30x8 pixels are too few"):
        run(tmp_path / "a.png")


def untrained() -> Any:
    from sr_lightning.inference.zero_shot import ZeroShotUpscaler

    return ZeroShotUpscaler(
        lambda channels: ZSSR(scale=2, channels=channels, num_features=4), Settings(max_iterations=1)
    )


def test_videos_are_for_trained_networks(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(SRError, match=r"clip.mp4: zero-shot training takes minutes for each frame"):
        upscale(compose("upscale", ["model=zssr", f"input={tmp_path / 'clip.mp4'}", "device=cpu"]))


@pytest.mark.filterwarnings("ignore:zero-shot training. dead after")
def test_dead_activations_are_noticed_and_training_begins_again() -> None:
    """Negative weights make nothing of a picture that is nowhere negative: no gradient comes back."""
    picture, drawn = photograph(), []

    def make(dead: int) -> Any:
        def network(channels: int) -> ZSSR:
            model = ZSSR(scale=2, channels=channels, num_features=4, num_layers=3, init="kaiming")
            drawn.append(model)
            if len(drawn) - 1 <= dead:  # the first is the one that Upscaler itself asks for
                for p in model.parameters():
                    p.data = -p.data.abs()
            return model

        drawn.clear()
        return network

    settings = Settings(max_iterations=30, test_every=5, output_flip=False, back_projections=0, learning_rate=1e-5)
    with pytest.warns(UserWarning, match=r"dead after 10 iterations, begun again with another draw \(2 of 3\)"):
        upscaler = ZeroShotUpscaler(make(dead=1), settings)
        learnt = upscaler.upscale(picture)
    errors = [row["reconstruction_mse"] for row in upscaler.history]
    assert len(drawn) == 3 and len(errors) == 6 and len(set(errors)) > 1
    with pytest.warns(UserWarning, match="dead after 10 iterations, nothing was learnt") as told:
        bicubic = ZeroShotUpscaler(make(dead=9), settings).upscale(picture)
    assert len(told) == 3 and not np.array_equal(learnt, bicubic)


def test_a_flat_picture_has_nothing_to_learn() -> None:
    settings = Settings(max_iterations=20, test_every=5, output_flip=False, back_projections=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flat = ZeroShotUpscaler(lambda channels: ZSSR(scale=2, channels=channels, num_features=4), settings)
        assert (flat.upscale(np.zeros((24, 24, 3), np.uint8)) == 0).all()


@pytest.mark.parametrize(
    "typed", [("zero_shot=simple",), ("zero_shot=simple", "factor=3"), ("zero_shot.back_projections=0", "factor=2.5")]
)
def test_the_bicubic_picture_beside_a_result(typed: tuple[str, ...], tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", photograph(32, 24))
    result, beside = run(source, *typed, "compare=true")
    assert beside.name == f"{result.stem}_bicubic.png"
    of_factor = [each for each in typed if each.startswith("factor")]
    (plain,) = upscale(compose("upscale", [f"input={source}", "model=bicubic", f"output={tmp_path}/b", *of_factor]))
    assert np.array_equal(read_photo(beside).pixels, read_photo(plain).pixels)
    with pytest.raises(SRError, match="is there already"):
        run(source, *typed, "compare=true")


def test_the_bicubic_picture_beside_a_result_of_double_width(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", photograph(32, 24))
    result, beside = run(source, "zero_shot.factors=[[1,2]]", "compare=true")
    expected = to_levels(imresize(read(source), size=(32, 48)), 8)
    difference = read_photo(beside).pixels.astype(int) - expected.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1  # parts round otherwise than the whole
    assert read_photo(result).pixels.shape == (32, 48, 3)
