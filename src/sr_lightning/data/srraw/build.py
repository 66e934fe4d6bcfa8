"""Makes pairs of files from a scene's shots. Each step is saved, so that the next run continues after it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import read_picture, write_picture
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.srraw.align import Motion
from sr_lightning.data.srraw.files import Gains, frame_name, read_json, read_tolerantly, write_json
from sr_lightning.data.srraw.labels import FOLDERS, Label, make_label
from sr_lightning.data.srraw.pairs import PAIRS, NoPairError, between, make_pair, turn_mosaic
from sr_lightning.data.srraw.scene import Scene, Shots
from sr_lightning.data.srraw.steps import fingerprint, scene_gains, scene_warps
from sr_lightning.data.srraw.views import write_views
from sr_lightning.errors import DataError, PictureError


@dataclass(frozen=True)
class Options:
    """The options of making pairs; see ``SRRAW``."""

    scale: int = 4
    label: Label = "diff"
    motion: Motion = "affine"
    rsz: int = 3
    margin: int = 20
    levels: tuple[float, float] | None = None
    views: bool = False


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
        # Of other options, or of a run that was killed.
        for leftover in out.glob(f"*/{scene.name}_*"):
            leftover.unlink()
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
            write_views(shots, scene_warps(shots, options.motion, options.rsz)[0])
        except DataError as error:  # a shot that no pair is made of
            outcome.left_out[f"views of {scene.name}"] = str(error)
    return outcome


def _build(scene: Scene, out: Path, options: Options) -> Outcome:
    shots = Shots(scene)
    wanted = PAIRS[options.scale]
    pairs: dict[str, Gains] = {}
    left_out: dict[str, str] = {}
    warps, failures = scene_warps(shots, options.motion, options.rsz)
    for lr, hr in wanted:
        name = f"{scene.name}_{frame_name(lr)}"
        arw = scene.file(lr, "ARW")
        if arw is None and lr not in shots.frames:
            continue  # many scenes have six shots
        missing = next((frame for frame in (lr, hr) if frame not in warps), None)
        if arw is None:
            left_out[name] = f"there is no {frame_name(lr)}.ARW"
            continue
        if missing is not None:
            why = failures.get(missing, "tform.txt has no warp of it" if missing in shots.ratios else "it is missing")
            left_out[name] = f"{frame_name(missing)} is not aligned: {why}"
            continue
        try:
            raw = read_raw(arw, options.levels)
            mosaic, pattern = turn_mosaic(raw.mosaic, raw.pattern, shots.upside_down)
            to_hr = between(lr, hr, warps, shots.ratios, shots.size)
            pair = make_pair(
                shots.read(lr), shots.read(hr), mosaic, pattern, to_hr, shots.ratios[lr], options.scale, options.margin
            )
            pairs[name] = scene_gains(scene, lr)
        except (NoPairError, PictureError) as error:
            pairs.pop(name, None)
            left_out[name] = str(error)
            continue
        with atomic_write(out / "ARW" / f"{name}.npy") as temporary:
            np.save(temporary, pair.raw)
        write_picture(out / "LR" / f"{name}.png", pair.lr)
        write_picture(out / "HR" / f"{name}.png", pair.hr)
    return Outcome(scene.name, pairs, left_out)


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
