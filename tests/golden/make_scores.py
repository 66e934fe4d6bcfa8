"""Every protocol's PSNR and SSIM by NumPy, scikit-image and SciPy alone: ``python tests/golden/make_scores.py``."""

import json
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from scipy.ndimage import correlate1d
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

HERE = Path(__file__).parent


def disturbed(picture):
    """A wave over a picture ``(H, W, C)``, in part outside of [0, 1]; tests/test_golden.py has the same."""
    row, column, channel = np.indices(picture.shape)
    return picture + 0.08 * np.sin(0.7 * row + 1.3 * column + channel)


def eight_bit(x):
    return np.floor(np.clip(x, 0, 1) * 255 + 0.5) / 255


def luma(picture):
    return rgb2ycbcr(picture)[..., :1] / 255 if picture.shape[2] == 3 else picture


def zero_padded(x, y):
    """SSIM of one channel with zeros outside, averaged everywhere: the formula of Wang et al., by SciPy."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(z):
        return correlate1d(correlate1d(z, taps, axis=0, mode="constant"), taps, axis=1, mode="constant")

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def scores(protocol, hr, scale, of_luma):
    if hr.shape[2] == 1 and protocol["grey"] == "stack":
        hr = hr.repeat(3, axis=2)
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    sr = np.clip(disturbed(luma(hr) if of_luma else hr), 0, 1)
    sr = eight_bit(sr) if protocol["quantize"] else sr
    x, y = sr, hr
    if protocol["space"] == "y":
        x, y = (eight_bit(luma(z)) if protocol["round_y"] and z.shape[2] == 3 else luma(z) for z in (sr, hr))
    border = protocol["border_scales"] * scale + protocol["border_pixels"]
    x, y = (z[border : z.shape[0] - border, border : z.shape[1] - border] for z in (x, y))
    found = {"psnr": peak_signal_noise_ratio(y, x, data_range=1)}
    if "ssim" in protocol["metrics"]:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
        found["ssim"] = (
            np.mean([zero_padded(x[..., c], y[..., c]) for c in range(x.shape[2])])
            if protocol["ssim_window"] == "zero_padded"
            else structural_similarity(y, x, channel_axis=2, **options)
        )
    return {name: round(float(value), 9) for name, value in found.items()}


if __name__ == "__main__":
    table = {}
    for file in sorted((HERE.parents[1] / "conf" / "protocol").glob("*.yaml")):
        if file.stem.startswith("real") or file.stem == "no_reference":  # as tests/test_golden.py
            continue
        protocol = yaml.safe_load(file.read_text())
        for name in ("astronaut", "coffee", "camera"):
            pixels = np.asarray(Image.open(HERE / f"{name}.png"))
            hr = pixels.reshape(*pixels.shape[:2], -1) / 255
            if protocol["space"] == "raw":  # as if colours were the planes of a packed mosaic
                hr = hr[..., [0, 1, 1, 2]] if hr.shape[2] == 3 else hr.repeat(4, axis=2)
            for scale in (2, 3, 4):
                for of_luma in (False, True) if protocol["space"] == "y" else (False,):
                    key = f"{file.stem} {name} x{scale} {'luma' if of_luma else 'rgb'}"
                    table[key] = scores(protocol, hr, scale, of_luma)
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
    (HERE / "scores.json").write_text("{\n" + lines + "\n}\n")
