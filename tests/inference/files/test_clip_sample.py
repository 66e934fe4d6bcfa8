from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_lightning.config import compose
from sr_lightning.inference.files.clip_sample import COUNT, frames_across
from sr_lightning.upscale import upscale

av: Any = pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A fade in from black: grey of 0, 1, ... 29 levels, frame by frame, with noise after the first third."""
    path, rng = tmp_path / "clip.mkv", np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for number in range(30):
            noise = rng.normal(0, 20, (48, 64, 3)) if number >= 10 else 0.0
            frame = np.clip(np.full((48, 64, 3), 8.0 * number) + noise, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        out.mux(stream.encode(None))
    return path


def test_frames_come_from_all_over_the_clip(clip: Path) -> None:
    levels = [float(frame.to_ndarray(format="rgb24").mean()) / 8 for frame in frames_across(clip)]
    assert levels == pytest.approx([3 + 6 * part for part in range(COUNT)], abs=1.5)


def test_what_cannot_be_searched_gives_none(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    assert list(frames_across(tmp_path / "broken.mp4")) == []


def test_a_clip_that_begins_black_is_judged_by_all_of_it(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upscale(compose("upscale", [f"input={clip}", "device=cpu", "video.codec=ffv1"]))
    said = capsys.readouterr().err
    assert said.count("enlarged with") == 1
    assert "enlarged with photo" in said
