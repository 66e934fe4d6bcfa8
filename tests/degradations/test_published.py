"""Kernels and draws beside those of the authors' code: tests/golden/README.md says how its files were made."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import chi2_contingency

from sr_lightning.config import CONF_DIR, build
from sr_lightning.degradations.bsrgan import ScaledGaussianBlur, sampling_kernel
from sr_lightning.degradations.kernels import gaussian_kernel, sinc_kernel

GOLDEN = Path(__file__).parents[1] / "golden"
KERNELS: dict[str, np.ndarray] = dict(np.load(GOLDEN / "degradation_kernels.npz"))
DRAWS: dict[str, dict[str, int]] = json.loads((GOLDEN / "degradation_draws.json").read_text())
COUNT = 20_000


@pytest.mark.parametrize("i", range(len(KERNELS["parameters"])))
def test_kernels_of_realesrgan(i: int) -> None:
    size, sigma_x, sigma_y, angle, beta, plateau_beta, cutoff = KERNELS["parameters"][i]
    for round_, axes in enumerate([(sigma_x, sigma_y, angle), (sigma_x,)]):
        for name, options in [
            ("gaussian", {}),
            ("generalised", {"beta": beta}),
            ("plateau", {"beta": plateau_beta, "plateau": True}),
        ]:
            made = gaussian_kernel(int(size), *axes, **options)
            np.testing.assert_allclose(made, KERNELS[f"{name}_{round_}_{i}"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(sinc_kernel(int(size), cutoff), KERNELS[f"sinc_{i}"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("i", range(len(KERNELS["bsrgan_parameters"])))
def test_kernels_of_bsrgan(i: int) -> None:
    size, variance_x, variance_y, angle, sigma, scale, sampling = KERNELS["bsrgan_parameters"][i]
    blur, scale = ScaledGaussianBlur(), int(scale)
    widths = [variance_x / (4 + scale), variance_y / (4 + scale)]
    elliptic = blur.kernel({"widths": widths, "size": int(size), "angle": angle}, scale)
    np.testing.assert_allclose(elliptic, KERNELS[f"bsrgan_anisotropic_{i}"], atol=1e-6, rtol=0)
    plain = blur.kernel({"widths": [sigma / (2 + 0.2 * scale)], "size": int(size), "angle": 0}, scale)
    np.testing.assert_allclose(plain, KERNELS[f"bsrgan_isotropic_{i}"], atol=1e-6, rtol=0)
    # Theirs is convolved, which turns it round.
    turned = sampling_kernel(25, sampling, scale)[::-1, ::-1]
    np.testing.assert_allclose(turned, KERNELS[f"bsrgan_shifted_{i}"], atol=1e-6, rtol=0)


def bin_of(x: float, low: float, high: float, bins: int = 10) -> int:
    return min(bins - 1, max(0, int((x - low) / (high - low) * bins)))


def of_realesrgan(drawn: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    blur1, resize1, noise1, _, blur2, resize2, noise2, end = drawn["steps"]
    kinds = ["gaussian", "gaussian_anisotropic", "generalised", "generalised_anisotropic", "plateau"]
    kinds += ["plateau_anisotropic", "sinc"]
    blurs = [("1", blur1, 3.0)] + ([("2", blur2["parameters"], 1.5)] if blur2["taken"] else [])
    yield "second blur", "yes" if blur2["taken"] else "no"
    for stage, blur, widest in blurs:
        kind, kernel = kinds[blur["choice"]], blur["parameters"]
        yield f"kind {stage}", kind
        if kind == "sinc":
            yield f"sinc size {stage}", kernel["size"]
            side = "small" if kernel["size"] < 13 else "large"
            yield f"cutoff {stage} {side}", bin_of(kernel["cutoff"], 0, math.pi, 15)
            continue
        yield f"size {stage}", kernel["size"]
        yield f"sigma {stage}", bin_of(kernel["sigma_x"], 0.2, widest)
        if "anisotropic" in kind:
            yield f"sigma_y {stage}", bin_of(kernel["sigma_y"], 0.2, widest)
            yield f"angle {stage}", bin_of(kernel["angle"], -math.pi, math.pi)
        if "generalised" in kind:
            yield "beta generalised", bin_of(kernel["beta"], 0.5, 4, 14)
        if "plateau" in kind:
            yield "beta plateau", bin_of(kernel["beta"], 1, 2)
    for stage, resize, low, high in [("1", resize1, 0.15, 1.5), ("2", resize2, 0.3, 1.2)]:
        factor = resize["factor"]
        if stage == "2":
            factor = int(factor * 1000) / 1000  # theirs shows the second as a size of whole pixels
        yield f"resize {stage}", "up" if factor > 1 else "keep" if factor == 1 else "down"
        yield f"factor {stage}", bin_of(factor + (1e-6 if stage == "2" else 0), low, high, 18)
        yield f"method {stage}", resize["method"]
    yield "noise 1", ("gaussian", "poisson")[noise1["choice"]]
    yield "noise 2", ("gaussian", "poisson")[noise2["choice"]]
    yield "jpeg last", "yes" if end["order"][-1] == 1 else "no"
    down, ringing = end["steps"][0]["steps"]
    yield "method 3", down["method"]
    yield "final sinc", "yes" if ringing["taken"] else "no"
    if ringing["taken"]:
        yield "sinc size end", ringing["parameters"]["size"]
        yield "cutoff end ", bin_of(ringing["parameters"]["cutoff"], 0, math.pi, 15)


def of_bsrgan(drawn: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    methods = {"bilinear": "1", "bicubic": "2", "area": "3", "matlab": "matlab"}
    first = drawn["steps"][0]
    yield "bsrgan halved", "yes" if first["halved"] else "no"
    if first["halved"]:
        yield "bsrgan halved by", methods[first["method"]]
    order = []
    for name, step in first["parameters"]["steps"]:
        if name.startswith("blur"):
            elliptic = len(step["widths"]) == 2
            yield "bsrgan blur", "anisotropic" if elliptic else "isotropic"
            yield "bsrgan size", step["size"]
            yield ("bsrgan variance" if elliptic else "bsrgan sigma"), bin_of(step["widths"][0], 0, 1)
            if elliptic:
                yield "bsrgan angle", bin_of(step["angle"], 0, math.pi)
        elif name == "reduce":
            yield "bsrgan down by", "resizing" if step["resized"] else "sampling"
            if step["resized"]:
                yield "bsrgan method", methods[step["method"]]
            else:
                yield "bsrgan sampling sigma", bin_of(step["place"], 0, 1)
        elif name == "down":
            yield "bsrgan method", methods[step["method"]]
        elif name == "jpeg":
            yield "bsrgan jpegs", 2 if step["taken"] else 1
        else:
            yield "bsrgan noise", step["kind"]
            if step["kind"] == "correlated":
                covariance = step["covariance"]
                yield "bsrgan variance of red", bin_of(covariance[0][0], 0, 1)
                yield "bsrgan covariance of red and green", bin_of(covariance[0][1], 0, 0.5)
            else:
                yield "bsrgan noise level", step["sigma"]
        if not name.startswith("blur"):
            order.append("down" if name == "reduce" else name)
    if dict(first["parameters"]["steps"])["jpeg"]["taken"]:
        yield "bsrgan order", " ".join(order)


@pytest.mark.parametrize(("name", "described"), [("realesrgan", of_realesrgan), ("bsrgan", of_bsrgan)])
def test_what_is_drawn_has_the_distribution_of_theirs(name: str, described: Any) -> None:
    """20,000 draws of this code and of theirs could be of one distribution, for every parameter."""
    degrade, generator = build(OmegaConf.load(CONF_DIR / "degradation" / f"{name}.yaml")), np.random.default_rng(1)
    counts: dict[str, Counter[str]] = {}
    for _ in range(COUNT):
        for key, value in described(degrade.draw(generator)):
            counts.setdefault(key, Counter())[str(value)] += 1
    assert set(counts) == {key for key in DRAWS if key.startswith("bsrgan") == (name == "bsrgan")}
    for key, ours in counts.items():
        assert p_value(ours, DRAWS[key]) > 1e-4, key


def p_value(ours: Counter[str], theirs: dict[str, int]) -> float:
    """Of the chi-square test that two tables count the same; cells that are rare in both count as one."""
    table = [[ours[key], theirs.get(key, 0)] for key in {*ours, *theirs}]
    rare = [row for row in table if sum(row) < 20]
    kept = [row for row in table if sum(row) >= 20] + ([_sum(rare)] if sum(_sum(rare)) else [])
    return float(chi2_contingency(np.array(kept).T).pvalue) if len(kept) > 1 else 1.0


def _sum(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(row[i] for row in rows) for i in (0, 1)]
