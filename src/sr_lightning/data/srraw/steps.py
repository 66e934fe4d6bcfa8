"""Reads warps and white balance of a scene from ``tform.txt`` and ``wb.txt``, or computes and writes them."""

import hashlib
import json
from dataclasses import dataclass
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
from sr_lightning.data.srraw.judge import Figures, Limits, faults
from sr_lightning.data.srraw.shots import Shots
from sr_lightning.errors import PictureError

# Shots that are tried as the reference of a scene.
_REFERENCES = 3


@dataclass(frozen=True)
class Aligned:
    """The shots of a scene that may make pairs.

    Attributes:
        reference: The shot that the others were aligned with.
        warps: From its pixels to those of each shot's ``crop_fov``.
        failures: Why other shots may not.
    """

    reference: int
    warps: dict[int, Affine]
    failures: dict[int, str]


def scene_warps(shots: Shots, motion: Motion, rsz: int, limits: Limits) -> Aligned:
    """Those of ``tform.txt``, or new ones; ``alignment.json`` beside it has the digits that its format lacks.

    The longest focal length is the reference. While no other shot can be used with it, the next one is tried.
    """
    tform, exact = shots.scene.folder / "tform.txt", shots.scene.folder / "alignment.json"
    ours = read_json(exact)
    if tform.is_file() and read_tolerantly(tform) != ours.get("tform"):
        return _given(tform, shots)
    key = fingerprint([motion, rsz, *shots.scene.stats()])
    attempts: list[dict[str, Any]] = []
    if tform.is_file() and ours.get("key") == key:
        attempts = ours.get("attempts") or [ours]  # of a version that tried one reference
    known, tried = len(attempts), list[Aligned]()
    for number in range(_REFERENCES):
        if number == len(attempts):
            rest = [frame for frame in shots.focals if frame not in {aligned.reference for aligned in tried}]
            if tried and len(rest) < 2:
                break
            attempts.append(_attempt(shots, rest, motion, rsz))
        tried.append(_judged(attempts[number], limits))
        if len(tried[-1].warps) > 1:
            break
    which = len(tried) - 1 if len(tried[-1].warps) > 1 else 0
    chosen, failures = tried[which], dict(tried[which].failures)
    for aligned in tried[:which]:
        why = "no other shot can be aligned with it"
        failures[aligned.reference] = aligned.failures.get(aligned.reference, why)
    warps = _warps(attempts[which])
    text = format_tform(warps, _corner(warps, shots, chosen.reference), chosen.reference)
    if len(attempts) > known or text != ours["tform"]:
        write_json(exact, {"key": key, "tform": text, "attempts": attempts})
        with atomic_write(tform) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return Aligned(chosen.reference, chosen.warps, failures)


def _given(tform: Path, shots: Shots) -> Aligned:
    """Somebody else's file, or an edited one, counts as it is, for the shots that are there."""
    warps, _, reference = parse_tform(tform)
    if reference not in shots.focals:
        raise PictureError(f"{tform}: has warps from {frame_name(reference)}, which cannot be used; delete the file")
    warps = {reference: np.eye(3)} | warps
    failures = {frame: "tform.txt has no warp of it" for frame in shots.focals if frame not in warps}
    usable = {frame: warp for frame, warp in warps.items() if frame in shots.focals}
    return Aligned(reference, usable, failures | shots.failures)


def _attempt(shots: Shots, frames: list[int], motion: Motion, rsz: int) -> dict[str, Any]:
    """Aligns shots with the first of them that can be read."""
    alignment = align_frames(shots.grey_pictures(frames), shots.ratios(frames[0]), motion, rsz)
    return {
        "reference": next(iter(alignment.warps), frames[0]),
        "warps": {str(frame): warp.tolist() for frame, warp in alignment.warps.items()},
        "failures": {str(frame): reason for frame, reason in (alignment.failures | shots.failures).items()},
        "figures": {str(frame): list(figures) for frame, figures in alignment.figures.items()},
    }


def _judged(attempt: dict[str, Any], limits: Limits) -> Aligned:
    """An attempt without the shots that are over-exposed, moved or blurred; without any, if the reference is."""
    figures = {int(frame): Figures(*values) for frame, values in attempt.get("figures", {}).items()}
    found = faults(figures, limits)
    failures = {int(frame): reason for frame, reason in attempt["failures"].items()} | found
    reference = attempt.get("reference", 1)
    usable = {} if reference in found else {f: warp for f, warp in _warps(attempt).items() if f not in found}
    return Aligned(reference, usable, failures)


def _warps(attempt: dict[str, Any]) -> dict[int, Affine]:
    return {int(frame): np.array(warp) for frame, warp in attempt["warps"].items()}


def _corner(warps: dict[int, Affine], shots: Shots, reference: int) -> Corner:
    """Rows and columns of the reference that all aligned frames see."""
    height, width = shots.size
    ratios = shots.ratios(reference)
    low, high = np.zeros(2), np.array([width, height], dtype=np.float64)
    for frame, warp in warps.items():
        w, h = crop_size(height, width, ratios[frame])
        edges = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]]) - [0.5, 0.5, 0]
        x, y = (np.linalg.inv(warp) @ edges.T)[:2] + 0.5
        low = np.maximum(low, [max(x[0], x[2]), max(y[0], y[1])])
        high = np.minimum(high, [min(x[1], x[3]), min(y[2], y[3])])
    left, top = np.ceil(low - 1e-6).astype(int).tolist()
    right, bottom = np.floor(high + 1e-6).astype(int).tolist()
    return top, max(bottom, top), left, max(right, left)


def scene_gains(shots: Shots, frame: int) -> Gains:
    """White balance of a shot, from ``wb.txt`` or estimated and written there.

    Raises:
        PictureError: If the shot's RAW file cannot be read.
    """
    path = shots.scene.folder / "wb.txt"
    known = parse_wb(path) if path.is_file() else {}
    if frame_name(frame) not in known:
        for number, shot in shots.files.items():
            if shot.raw is None or frame_name(number) in known:
                continue
            try:
                known[frame_name(number)] = estimate_gains(shot.raw)
            except PictureError:
                if number == frame:  # the others are made for the sake of a whole wb.txt
                    raise
        text = format_wb({f"{shots.scene.name}/{stem}": gains for stem, gains in sorted(known.items())})
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        known = parse_wb(path)
    return known[frame_name(frame)]


def estimate_gains(raw: AnyPath) -> Gains:
    """Means with the camera's white balance / means without, of R, G, G and B in linear light.

    They are taken in full size, as the authors do: half the size has other means, by up to 3 %.

    Raises:
        PictureError: If the file cannot be read.
    """
    raw = Path(raw)
    linear: dict[str, Any] = {"gamma": (1, 1), "bright": 1.0, "user_wb": None}
    balanced, plain = (
        camera_rendering(raw, bits=16, use_camera_wb=balance, **linear).mean((0, 1), dtype=np.float64)
        for balance in (True, False)
    )
    red, green, blue = (np.maximum(balanced, 1) / np.maximum(plain, 1)).tolist()
    return red, green, green, blue


def fingerprint(content: Any) -> str:
    """Changes with what can be written as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
