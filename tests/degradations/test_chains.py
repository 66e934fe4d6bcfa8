"""Degradations of the configs: repeatable from a seed and from their parameters, of the right size, as published."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from reading import load
from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.degradations import Bicubic, Choice, Compose, Degradation, GaussianBlur, Noise, Sometimes, Subsample
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize, modcrop

NAMES = sorted(path.stem for path in (CONF_DIR / "degradation").glob("*.yaml"))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kernel") / "kernel.npy"
    np.save(file, np.random.default_rng(0).random((9, 9)))
    return file


def make(name: str, kernel: Path) -> Degradation:
    cfg = OmegaConf.load(CONF_DIR / "degradation" / f"{name}.yaml")
    for parent in cfg.pop("defaults", []):
        cfg = OmegaConf.merge(OmegaConf.load(CONF_DIR / "degradation" / f"{parent}.yaml"), cfg)
    if name == "kernel":
        cfg.steps.blur.file = str(kernel)
    if name == "mixture":
        folder = CONF_DIR / "degradation"
        cfg.choices = {part: OmegaConf.load(folder / f"{part}.yaml") for part in ("bsrgan", "jpeg")}
    made: Degradation = build(cfg)
    return made


def smooth(height: int, width: int, channels: int = 3) -> torch.Tensor:
    coarse = torch.rand(1, channels, 7, 9, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


@pytest.mark.parametrize("name", NAMES)
def test_size_range_and_repeatability(name: str, kernel: Path) -> None:
    degrade = make(name, kernel)
    assert degrade.name == name
    for scale, (height, width), channels in [(2, (41, 53), 3), (3, (36, 48), 1), (4, (70, 67), 3)]:
        hr = smooth(height, width, channels)
        results = [degrade(hr, scale, seed) for seed in (1, 2, 3, 1)]
        for lr in results:
            assert lr.shape == (1, channels, height // scale, width // scale)
            assert lr.min() >= 0 and lr.max() <= 1 and torch.isfinite(lr).all()
            torch.testing.assert_close(lr * 255, (lr * 255).round(), atol=1e-4, rtol=0)
        assert torch.equal(results[0], results[3])
        assert torch.equal(results[0], results[1]) != degrade.random
        for seed in (1, 2):
            kept = json.loads(json.dumps(degrade.draw(np.random.default_rng(seed))))
            assert torch.equal(degrade.degrade(hr, scale, kept), results[seed - 1])


@pytest.mark.parametrize("name", NAMES)
def test_global_random_states_matter_to_none(name: str, kernel: Path) -> None:
    degrade, hr = make(name, kernel), smooth(48, 48)
    torch.manual_seed(1)
    first, state = degrade(hr, 2, 5), torch.get_rng_state()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(degrade(hr, 2, 5), first)


@pytest.fixture(scope="module")
def described(kernel: Path) -> dict[str, str]:
    return {n: json.dumps(make(n, kernel).describe(), sort_keys=True) for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_tell_degradations_apart(name: str, kernel: Path, described: dict[str, str]) -> None:
    assert len(set(described.values())) == len(NAMES) - 1
    assert described["real_strong"] == described["realesrgan"]  # by the protocol's name
    assert described[name] == json.dumps(make(name, kernel).describe(), sort_keys=True)


@pytest.mark.parametrize("name", NAMES)
def test_configs_list_every_setting(name: str) -> None:
    """At every depth: what a YAML leaves out could not be seen with --cfg."""
    import inspect

    from hydra.utils import get_class

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "_target_" in node:
                expected = set(inspect.signature(get_class(node["_target_"])).parameters) - {"name"}
                assert set(node) - {"_target_", "name"} == expected
            node = list(node.values())
        if isinstance(node, list):
            for part in node:
                check(part)

    check(OmegaConf.to_container(OmegaConf.load(CONF_DIR / "degradation" / f"{name}.yaml")))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bd_is_as_rdn_defines_it(scale: int, kernel: Path) -> None:
    """OpenCV's blur of the 8-bit picture, of which the pixel in the middle of each block is kept."""
    hr = (smooth(37, 50) * 255).round() / 255
    expected = []
    for plane in modcrop(hr, scale)[0].double().numpy():
        blurred = np.floor(cv2.GaussianBlur(plane, (7, 7), 1.6, borderType=cv2.BORDER_REPLICATE) * 255 + 0.5)
        expected.append(blurred[scale // 2 :: scale, scale // 2 :: scale])
    made = make("bd", kernel)(hr.double(), scale) * 255
    np.testing.assert_allclose(made[0], expected, atol=1e-6)


def test_dn_is_bicubic_and_noise(kernel: Path) -> None:
    hr = torch.full((1, 3, 300, 300), 0.5)
    noise = make("dn", kernel)(hr, 3, seed=1) * 255 - 128
    assert float(noise.std()) == pytest.approx(30, rel=0.02) and abs(float(noise.mean())) < 0.6


@pytest.mark.parametrize("phase", [None, 0, 2])
def test_published_score_of_bd(phase: int | None, real_data: Path, kernel: Path) -> None:
    """Zhang et al., Residual Dense Network, CVPR 2018, table 3: bicubic of BD x3 on Set5. Other phases lose 2 dB."""
    psnr, ssim = bicubic_scores(Compose([GaussianBlur(1.6, 7), Subsample(phase)]), real_data / "Set5")
    if phase is None:
        assert (psnr, ssim) == (pytest.approx(28.78, abs=0.005), pytest.approx(0.8308, abs=0.0001))
        assert (psnr, ssim) == bicubic_scores(make("bd", kernel), real_data / "Set5")
    else:
        assert psnr < 27


def test_published_score_of_dn(real_data: Path, kernel: Path) -> None:
    """Likewise DN: 24.01 dB and 0.5369, of noise that nobody can draw again."""
    psnr, ssim = bicubic_scores(make("dn", kernel), real_data / "Set5")
    assert (psnr, ssim) == (pytest.approx(24.01, abs=0.15), pytest.approx(0.5369, abs=0.006))


def bicubic_scores(degrade: Degradation, folder: Path) -> tuple[float, float]:
    protocol = build(compose("evaluate", ["protocol=y_matlab"]).protocol)
    scores = []
    for i, path in enumerate(sorted(folder.glob("*.png"))):
        hr = modcrop(load(path), 3)
        scores.append([float(value) for value in protocol.score(imresize(degrade(hr, 3, seed=i), 3), hr, 3).values()])
    psnr, ssim = np.mean(scores, axis=0)
    return psnr, ssim


def test_the_order_of_steps_may_be_drawn() -> None:
    chain = Compose({"a": Noise(10.0), "b": GaussianBlur(), "c": Bicubic()}, shuffle=True)
    orders = {tuple(chain.draw(np.random.default_rng(seed))["order"]) for seed in range(60)}
    assert len(orders) == 6


def test_choices_are_as_likely_as_asked() -> None:
    choice = Choice({"a": Noise(), "b": GaussianBlur()}, {"b": 0.9, "a": 0.1})
    drawn = [choice.draw(np.random.default_rng(seed))["choice"] for seed in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.9, abs=0.02)
    taken = [Sometimes(Noise(), 0.3).draw(np.random.default_rng(seed))["taken"] for seed in range(2000)]
    assert np.mean(taken) == pytest.approx(0.3, abs=0.03)


def test_a_mixture_is_composed_on_the_command_line() -> None:
    parts = ["+degradation@degradation.choices.a=bsrgan", "+degradation@degradation.choices.b=jpeg"]
    cfg = compose("train", ["degradation=mixture", *parts, "degradation.probabilities={a: 0.7, b: 0.3}"])
    made = build(cfg.degradation)
    drawn = [made.draw(np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean([d["choice"] for d in drawn]) == pytest.approx(0.3, abs=0.04)
    hr, one = smooth(48, 48), next(d for d in drawn if d["choice"] == 1)
    assert torch.equal(made.degrade(hr, 2, one), build(cfg.degradation.choices.b).degrade(hr, 2, one["parameters"]))
    with pytest.raises(ConfigError, match=r"choices.a=jpeg"):
        build(compose("train", ["degradation=mixture"]).degradation)


def test_a_step_can_be_left_out() -> None:
    cfg = compose("train", ["degradation=dn", "degradation.steps.noise=null"])
    assert not build(cfg.degradation).random


def test_pictures_on_a_batch_have_noise_each() -> None:
    lr = Compose([Bicubic(), Noise()])(torch.full((2, 3, 16, 16), 0.5), 2)
    assert not torch.equal(lr[0], lr[1])


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: Compose([]), r"steps=\[\]: name at least one"),
        (lambda: Compose(["blur"]), "is not a degradation"),
        (lambda: Choice([Noise(), Bicubic()], [0.5, 0.6]), "sum to 1"),
        (lambda: Choice({"a": Noise()}, {"b": 1.0}), "must name the choices, a"),
        (lambda: Choice({"a": Noise()}, [1.0]), "both be lists"),
        (lambda: Sometimes(Noise(), 1.5), "probability"),
        (lambda: GaussianBlur(name="blur")(torch.rand(1, 3, 8, 8), 2), "degradation blur makes 8x8 .* not 4x4"),
        (lambda: Subsample(phase=3)(torch.rand(1, 3, 8, 8), 2), "phase=3: must be below scale=2"),
    ],
)
def test_mistakes_are_explained(mistake: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        mistake()
