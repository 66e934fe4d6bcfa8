"""Makes pairs of files from a scene's shots. Each step is saved, so that the next run continues after it."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import read_picture, write_picture
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.srraw.files import Gains, frame_name, read_json, read_tolerantly, write_json
from sr_lightning.data.srraw.labels import FOLDERS, Label, make_label
from sr_lightning.data.srraw.options import Options
from sr_lightning.data.srraw.pairs import NoPairError, Pair, between, make_pair, turn_mosaic
from sr_lightning.data.srraw.scene import Scene
from sr_lightning.data.srraw.shots import Shots
from sr_lightning.data.srraw.steps import Aligned, fingerprint, scene_gains, scene_warps
from sr_lightning.data.srraw.views import write_views
from sr_lightning.errors import DataError, PictureError


@dataclass(frozen=True)
class Outcome:
    """The result of a scene: the gains of each pair, and the reason for each shot that was left out."""

    scene: str
    pairs: dict[str, Gains]
    left_out: dict[str, str]


def build_scene(folder: AnyPath, out: AnyPath, options: Options) -> Outcome:
    """Makes the missing pairs of a scene.

    Args:
        folder: Shots of the scene; ``tform.txt`` and ``wb.txt`` are read there, or made and written.
        out: Folder of ``LR``, ``HR``, ``ARW`` and labels.
        options: The pairs wanted.
    """
    folder = Path(folder)
    out = Path(out)
    scene = Scene(folder)
    note = out / ".scenes" / f"{scene.name}.json"
    known = read_json(note)
    if known and known.get("key") == _key(scene, options) and all(_whole(out, name) for name in known["pairs"]):
        outcome = Outcome(scene.name, known["pairs"], known["left_out"])
    else:
        _remove(out, scene)  # of other options, or of a run that was killed
        try:
            with errors_with_file(scene.folder):
                outcome = _build(scene, out, options)
        except DataError as error:
            # Not noted: what is mended, wb.txt too, is tried again.
            return Outcome(scene.name, {}, {scene.name: str(error)})
        write_json(note, {"key": _key(scene, options), "pairs": outcome.pairs, "left_out": outcome.left_out})
    for name in outcome.pairs:
        _add_label(out, name, options.label)
    if options.views and outcome.pairs and not (folder / "compare").is_dir():
        try:
            shots = Shots(scene)
            write_views(shots, scene_warps(shots, options.motion, options.rsz, options.limits))
        except DataError as error:  # a shot that no pair is made of
            outcome.left_out[f"views of {scene.name}"] = str(error)
    return outcome


def _build(scene: Scene, out: Path, options: Options) -> Outcome:
    if not scene.name.isprintable() or "\\" in scene.name:
        raise DataError(f"{str(scene.folder)!r}: its name has signs that the lists of pairs cannot hold; rename it")
    shots = Shots(scene)
    aligned = scene_warps(shots, options.motion, options.rsz, options.limits)
    wanted = shots.pairs(options.scale, options.tolerance, aligned.warps.keys())
    pairs: dict[str, Gains] = {}
    left_out = dict(shots.left_out)
    if not wanted:
        lengths = ", ".join(f"{focal:g}" for focal in shots.focals.values())
        left_out[scene.name] = (
            f"has no two focal lengths whose ratio is {options.scale} within data.tolerance={options.tolerance:g} "
            f"({lengths} mm)"
        )
    for lr, hr in wanted:
        name = f"{scene.name}_{frame_name(lr)}"
        try:
            pair = _pair(shots, lr, hr, aligned, options)
            gains = scene_gains(shots, lr)
        except (NoPairError, PictureError) as error:
            left_out[name] = str(error)
            continue
        with atomic_write(out / "ARW" / f"{name}.npy") as temporary:
            np.save(temporary, pair.raw)
        write_picture(out / "LR" / f"{name}.png", pair.lr)
        write_picture(out / "HR" / f"{name}.png", pair.hr)
        pairs[name] = gains
    return Outcome(scene.name, pairs, left_out)


def _pair(shots: Shots, lr: int, hr: int, aligned: Aligned, options: Options) -> Pair:
    """Makes a pair of two shots.

    Raises:
        NoPairError: With the reason.
        PictureError: If a file cannot be read.
    """
    raw_file = shots.files[lr].raw
    if raw_file is None:
        raise NoPairError(f"there is no RAW file of {shots.name(lr)}")
    reasons = shots.failures | aligned.failures
    for frame in sorted((lr, hr), key=lambda frame: frame not in reasons):  # the one at fault first
        if frame not in aligned.warps:
            default = "no shot can be used as the reference" if frame in shots.files else "it is missing"
            raise NoPairError(f"{shots.name(frame)} is not aligned: {reasons.get(frame, default)}")
    ratios = shots.ratios(aligned.reference)
    raw = read_raw(raw_file, options.levels)
    mosaic, pattern = turn_mosaic(raw.mosaic, raw.pattern, shots.upside_down)
    to_hr = between(lr, hr, aligned.warps, ratios, shots.size)
    pictures = shots.read(lr), shots.read(hr)
    return make_pair(*pictures, mosaic, pattern, to_hr, ratios[lr], options.scale, options.margin)


def _remove(out: Path, scene: Scene) -> None:
    """Removes a scene's pairs and labels. Names of other scenes may begin like its own."""
    name = re.compile(re.escape(scene.name) + r"_\d{5}")
    for kind in ("LR", "HR", "ARW", *FOLDERS.values()):
        for path in (out / kind).glob("*"):
            if name.fullmatch(path.stem):
                path.unlink()


def _add_label(out: Path, name: str, label: Label) -> None:
    if label == "none":
        return
    path = out / FOLDERS[label] / f"{name}.png"
    if not path.is_file():
        hr, lr = (read_picture(out / kind / f"{name}.png") for kind in ("HR", "LR"))
        write_picture(path, make_label(label, hr, lr))


def _whole(out: Path, name: str) -> bool:
    return all((out / kind).is_file() for kind in (f"ARW/{name}.npy", f"LR/{name}.png", f"HR/{name}.png"))


def _key(scene: Scene, options: Options) -> str:
    """Changes with all that the pairs depend on; labels are made of pairs."""
    tform = scene.folder / "tform.txt"
    text = read_tolerantly(tform) if tform.is_file() else None
    return fingerprint([{**asdict(options), "label": None, "views": None}, text, *scene.stats()])
