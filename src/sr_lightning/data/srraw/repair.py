"""Known damage of the published set, and its repair by renaming alone."""

import os
import re
from pathlib import Path

from sr_lightning.atomic import AnyPath
from sr_lightning.data.srraw.files import read_json, write_json
from sr_lightning.data.srraw.scene import read_exif
from sr_lightning.errors import PictureError

#: Scenes that nothing mends, and why.
UNUSABLE = {"00004": "is known to be beyond alignment"}
#: What is made of the shots of a scene, in its folder.
MADE = ("tform.txt", "wb.txt", "alignment.json")
_ENDINGS = ("ARW", "JPG")

Move = tuple[Path, Path]

# Its training pairs are counted to 1314 at x4, of three a scene, and to 497 at x8, of one.
_LEAST_SCENES = 400
_FOCAL_LENGTH = 240


def is_published(train: AnyPath) -> bool:
    """Whether a folder is the published training set, whose damage is known.

    Every scene's name is five digits, there are 400 or more, those known to be damaged are among them, and the first
    shot of 00350 was taken at 240 mm. A repair that was begun is a sign, too.
    """
    train = Path(train)
    if _journal(train).exists():
        return True
    names = {path.name for path in train.iterdir() if path.is_dir() and not path.name.startswith(".")}
    known = {*UNUSABLE, "00350", "00560", "00561"}
    if len(names) < _LEAST_SCENES or not known <= names or not all(re.fullmatch(r"\d{5}", name) for name in names):
        return False
    try:
        return round(read_exif(train / "00350" / "00001.JPG")[0]) == _FOCAL_LENGTH
    except PictureError:
        return False


def plan_moves(train: AnyPath) -> list[Move]:
    """The moves that repair ``train``, in order; none for a set that is whole.

    Shots 00005 to 00007 of scene 00350 are corrupt: they move to ``damaged`` beside ``train``. Shot 00006 of scene
    00560 is the missing first of scene 00561, whose others move up by one before. A repair that was interrupted is
    planned as it was.
    """
    train = Path(train)
    journal = read_json(_journal(train))
    if journal:
        return [(train / source, train / target) for source, target in journal["moves"]]
    aside = train.parent / "damaged" / train.name
    stray = [path for ending in _ENDINGS if (path := train / "00560" / f"00006.{ending}").exists()]
    away = [Path("00350") / f"{frame:05d}.{ending}" for frame in range(5, 8) for ending in _ENDINGS]
    if stray:  # what was made of other shots
        away += [Path(scene) / made for scene in ("00560", "00561") for made in MADE]
    moves = [(train / path, aside / path) for path in away if (train / path).exists()]
    if stray:
        scene = train / "00561"
        for frame in range(9, 0, -1):  # from the highest down: nothing is overwritten
            pairs = [(scene / f"{frame:05d}.{e}", scene / f"{frame + 1:05d}.{e}") for e in _ENDINGS]
            moves += [pair for pair in pairs if pair[0].exists()]
        moves += [(path, scene / f"00001{path.suffix}") for path in stray]
    return moves


def repair(train: AnyPath) -> list[Move]:
    """Carries out the plan. After a kill, the next call continues where it stopped.

    Returns:
        The moves of the plan.
    """
    train = Path(train)
    moves = plan_moves(train)
    if not moves:
        return []
    relative = [[os.path.relpath(path, train) for path in move] for move in moves]
    write_json(_journal(train), {"moves": relative})
    for source, target in moves:
        # In this order a target exists exactly if its move is done: who fills it comes after who leaves it.
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    _journal(train).unlink()
    return moves


def broken_scenes(moves: list[Move]) -> set[str]:
    """Names of the scenes that a plan is about."""
    return {source.parent.name for source, _ in moves}


def _journal(train: Path) -> Path:
    return train / ".repair.json"
