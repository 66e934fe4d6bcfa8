"""What several tests of sets read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.sets.folder import Folder


@pytest.fixture
def shards(picture_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of twelve training pictures in shards of two."""
    data = Folder(2, hr_dir=str(picture_folder(count=13)), num_val=1)
    write_shards(data, tmp_path / "shards", shard_size=2)
    return tmp_path / "shards"
