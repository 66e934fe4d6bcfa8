"""The miniature of SR-RAW, made once."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from srraw_mini import Truth, make_scene, world


@pytest.fixture(scope="session")
def photographs(real_data: Path) -> NDArray[np.uint8]:
    return world(real_data)


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory, photographs: NDArray[np.uint8]) -> tuple[Path, dict[str, Truth]]:
    """``<root>/{train,test}`` with two training scenes, one of them upside down, one that is flat, and a test scene."""
    root = tmp_path_factory.mktemp("sr_raw")
    mirrored = np.ascontiguousarray(photographs[:, ::-1])
    truths = {
        "00001": make_scene(root / "train" / "00001", photographs, seed=1),
        "00002": make_scene(root / "train" / "00002", mirrored, seed=2, orientation=3),
        "00003": make_scene(root / "train" / "00003", np.full_like(photographs, 128), seed=3),
        "00010": make_scene(root / "test" / "00010", np.ascontiguousarray(photographs[::-1]), seed=4),
    }
    return root, truths
