"""Shared by all tests: where the real pictures are, and caches that leave no trace."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from remembered_configs import remember_configs
from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.spandrel_network import import_spandrel

REAL_DATA = Path(os.environ.get("SR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

torch.set_num_threads(1)  # tests run in several processes
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's 15, its workers stand still beside other tests
remember_configs()

#: Files of few long tests. They come first, so that no process works alone in the end.
LONG = (
    "test_export.py", "test_notebooks.py", "test_docs.py", "test_demo_page.py", "test_package.py", "test_resume.py",
    "test_guarantees.py", "test_commands.py", "test_demo_safety.py", "test_typed_interface.py", "test_soak.py",
    "test_fuzz.py", "test_vdsr.py", "test_lapsrn.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; xdist hands files out in this order."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real pictures and golden files; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real pictures in {REAL_DATA}; set SR_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of small files that programs get wrong; the test is skipped where it is absent."""
    folder = REAL_DATA.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of this test session, away from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["SR_CACHE"] = str(folder)
    return folder


@pytest.fixture
def picture_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of random but smooth RGB pictures."""

    def make(name: str = "pictures", count: int = 6, size: tuple[int, int] = (60, 72), mode: str = "RGB") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        generator = np.random.default_rng(1)
        for i in range(count):
            coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC).convert(mode)
            picture.save(folder / f"{i:02d}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def spandrel() -> Any:
    """The package; the test is skipped where it is not installed."""
    try:
        return import_spandrel()
    except ConfigError as error:
        pytest.skip(str(error))
