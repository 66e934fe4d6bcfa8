"""Reads warps and white balance of a scene from ``tform.txt`` and ``wb.txt``, or computes and writes them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.raw import camera_rendering
from sr_lightning.data.srraw.align import Motion, align_frames
from sr_lightning.data.srraw.files import (
    Corner,
    Gains,
    format_tform,
    format_wb,
    frame_name,
    parse_tform,
    parse_wb,
    read_json,
    read_tolerantly,
    write_json,
)
from sr_lightning.data.srraw.fov import Affine, crop_size
from sr_lightning.data.srraw.scene import FRAMES, Scene, Shots
from sr_lightning.errors import PictureError


def scene_warps(shots: Shots, motion: Motion, rsz: int) -> tuple[dict[int, Affine], dict[int, str]]:
    """Those of ``tform.txt``, or new ones; ``alignment.json`` beside it has the digits that its format lacks."""
    tform, exact = shots.scene.folder / "tform.txt", shots.scene.folder / "alignment.json"
    ours = read_json(exact)
    key = fingerprint([motion, rsz, *shots.scene.stats()])
    if tform.is_file() and read_tolerantly(tform) != ours.get("tform"):
        # Somebody else's, or edited: it counts as it is, for the shots that are there.
        warps = {1: np.eye(3)} | parse_tform(tform)[0]
        return {frame: warp for frame, warp in warps.items() if frame in shots.ratios}, {}
    if not tform.is_file() or ours.get("key") != key:
        warps, failures = align_frames(shots.grey_pictures(), shots.ratios, motion, rsz)
        text = format_tform(warps, _corner(warps, shots))
        ours = {"key": key, "tform": text, "failures": {str(k): v for k, v in failures.items()}}
        ours["warps"] = {str(frame): warp.tolist() for frame, warp in warps.items()}
        write_json(exact, ours)
        with atomic_write(tform) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return (
        {int(frame): np.array(warp) for frame, warp in ours["warps"].items()},
        {int(frame): reason for frame, reason in ours["failures"].items()},
    )


def _corner(warps: dict[int, Affine], shots: Shots) -> Corner:
    """Rows and columns of the reference that all aligned frames see."""
    height, width = shots.size
    low, high = np.zeros(2), np.array([width, height], dtype=np.float64)
    for frame, warp in warps.items():
        w, h = crop_size(height, width, shots.ratios[frame])
        edges = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]]) - [0.5, 0.5, 0]
        x, y = (np.linalg.inv(warp) @ edges.T)[:2] + 0.5
        low = np.maximum(low, [max(x[0], x[2]), max(y[0], y[1])])
        high = np.minimum(high, [min(x[1], x[3]), min(y[2], y[3])])
    left, top = np.ceil(low - 1e-6).astype(int).tolist()
    right, bottom = np.floor(high + 1e-6).astype(int).tolist()
    return top, max(bottom, top), left, max(right, left)


def scene_gains(scene: Scene, frame: int) -> Gains:
    """White balance of a shot, from ``wb.txt`` or estimated and written there.

    Raises:
        PictureError: If the shot's RAW file cannot be read.
    """
    path = scene.folder / "wb.txt"
    known = parse_wb(path) if path.is_file() else {}
    if frame_name(frame) not in known:
        for number in FRAMES:
            file = scene.file(number, "ARW")
            if file is None or frame_name(number) in known:
                continue
            try:
                known[frame_name(number)] = estimate_gains(file)
            except PictureError:
                if number == frame:  # the others are made for the sake of a whole wb.txt
                    raise
        text = format_wb({f"{scene.name}/{stem}": gains for stem, gains in sorted(known.items())})
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        known = parse_wb(path)
    return known[frame_name(frame)]


def estimate_gains(arw: AnyPath) -> Gains:
    """Means with the camera's white balance / means without, of R, G, G and B in linear light.

    Raises:
        PictureError: If the file cannot be read.
    """
    arw = Path(arw)
    linear: dict[str, Any] = {"gamma": (1, 1), "no_auto_bright": True, "half_size": True}
    balanced, plain = (
        camera_rendering(arw, bits=16, use_camera_wb=balance, **linear).mean((0, 1), dtype=np.float64)
        for balance in (True, False)
    )
    red, green, blue = (np.maximum(balanced, 1) / np.maximum(plain, 1)).tolist()
    return red, green, green, blue


def fingerprint(content: Any) -> str:
    """Changes with what can be written as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
