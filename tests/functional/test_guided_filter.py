"""The guided filter against its definition, window by window."""

import numpy as np
import pytest
import torch

from sr_lightning.functional.guided_filter import guided_filter
from sr_lightning.models import GuidedFilter


def by_definition(guide: np.ndarray, image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Ridge regression in every window, and the mean of all windows' predictions of a pixel: ``(H, W, C)`` each."""
    height, width, channels = guide.shape
    total, count = np.zeros_like(image), np.zeros((height, width, 1))
    solved = {}
    for y in range(height):
        for x in range(width):
            rows, columns = (slice(max(0, at - radius), at + radius + 1) for at in (y, x))
            i = guide[rows, columns].reshape(-1, channels)
            p = image[rows, columns].reshape(len(i), -1)
            # Least squares of a i + b - p with a penalty of eps |a|^2 for each pixel, b free.
            design = np.column_stack([i, np.ones(len(i))])
            penalty = np.diag([eps * len(i)] * channels + [0])
            solved[rows.start, rows.stop, columns.start, columns.stop, y, x] = np.linalg.solve(
                design.T @ design + penalty, design.T @ p
            )
    for (top, bottom, left, right, _, _), coefficients in solved.items():
        rows, columns = slice(top, bottom), slice(left, right)
        part = guide[rows, columns]
        ones = np.ones((*part.shape[:2], 1))
        total[rows, columns] += np.concatenate([part, ones], -1) @ coefficients
        count[rows, columns] += 1
    return total / count


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-2), (4, 1e-2), (2, 1e-4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_against_the_definition(channels: int, radius: int, eps: float) -> None:
    generator = np.random.default_rng(1)
    guide, image = generator.random((11, 14, channels)), generator.random((11, 14, 2))
    as_tensor = [torch.from_numpy(x).permute(2, 0, 1)[None] for x in (guide, image)]
    ours = guided_filter(*as_tensor, radius, eps)[0].permute(1, 2, 0)
    np.testing.assert_allclose(ours, by_definition(guide, image, radius, eps), atol=1e-9)


def test_a_linear_function_of_the_guide_comes_back() -> None:
    guide = torch.rand(2, 3, 20, 24, dtype=torch.float64)
    image = torch.einsum("ij,njhw->nihw", torch.rand(3, 3, dtype=torch.float64), guide) + 0.1
    torch.testing.assert_close(guided_filter(guide, image, 4, 1e-12), image)


def test_sizes_and_settings() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        guided_filter(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
    for options in ({"radius": 0}, {"eps": 0.0}):
        with pytest.raises(ValueError, match="must be at least 1 and eps"):
            GuidedFilter(scale=2, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be one of bilinear, malvar, menon"):
        GuidedFilter(scale=2, demosaic="ahd")
