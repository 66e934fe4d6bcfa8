"""Makes pairs from all scenes of the set in parallel, and reports what was left out."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from sr_lightning.atomic import AnyPath, atomic_write, remove_leftovers
from sr_lightning.data.srraw.build import Outcome, build_scene
from sr_lightning.data.srraw.files import format_wb
from sr_lightning.data.srraw.options import Options
from sr_lightning.data.srraw.repair import UNUSABLE, broken_scenes, is_published, plan_moves, repair
from sr_lightning.data.srraw.scene import find_scenes
from sr_lightning.errors import DataError

PARTS = ("train", "test")
#: In a part's folder: the white balance of its pairs, written last, which says that they are all made.
MARK = "wb.txt"


def build_set(
    root: AnyPath,
    out: AnyPath,
    options: Options,
    *,
    mend: bool = False,
    workers: int | None = None,
    parts: Sequence[str] = PARTS,
) -> None:
    """Makes the missing pairs of all scenes in ``train`` and ``test``, and prints the results.

    While pairs are made or of other options, the parts have no ``wb.txt``.

    Args:
        root: Folder of ``train`` and ``test``, which have a folder for each scene.
        out: Where both go in SRNet-zoom's layout.
        options: The pairs wanted.
        mend: Whether known damage of the published set is repaired; else its scenes are left out.
        workers: Scenes at a time; None for up to 4, because each takes a gigabyte or two of memory.
        parts: Which of ``train`` and ``test`` are built.

    Raises:
        DataError: If there are no scenes or none of a part can be used.
    """
    root = Path(root)
    out = Path(out)
    there = [part for part in parts if (root / part).is_dir()]
    ours = [part for part in there if (out / part / ".scenes").is_dir() or not (out / part / "HR").is_dir()]
    for part in ours:  # all before the first, so that a killed run leaves none of other options
        (out / part / MARK).unlink(missing_ok=True)
    for part in there:
        if part not in ours:
            print(f"{out / part}: has pairs that were made elsewhere; they are used as they are")
        else:
            broken = _mend(root / part, mend) if part == "train" else {}
            outcomes = _build_part(root / part, out / part, options, broken, workers)
            _report(part, out / part, options, outcomes)


def _mend(train: Path, mend: bool) -> dict[str, str]:
    """Repairs the known damage of the published set, or prints which of its scenes are unusable without the repair."""
    if not is_published(train):
        if mend:
            print(f"{train}: is not the published set, whose damage is known; data.repair=true changes nothing")
        return {}
    if mend:
        for source, target in repair(train):
            print(f"moved {source} to {target}")
        return UNUSABLE
    todo = plan_moves(train)
    if todo:
        print(f"{train}: known damage; data.repair=true would make {len(todo)} moves and delete nothing:")
        for source, target in todo:
            print(f"  {source} to {target}")
    return UNUSABLE | dict.fromkeys(broken_scenes(todo), "is known to be damaged; data.repair=true mends it")


def _build_part(
    folder: Path, out: Path, options: Options, broken: dict[str, str], workers: int | None
) -> list[Outcome]:
    from rich.progress import Progress

    scenes = find_scenes(folder)
    (out / ".scenes").mkdir(parents=True, exist_ok=True)
    for place in (out, *out.iterdir(), *(scene.folder for scene in scenes)):
        remove_leftovers(place)
    outcomes = [Outcome(s.name, {}, {s.name: broken[s.name]}) for s in scenes if s.name in broken]
    pool = ThreadPoolExecutor(
        workers or min(4, os.cpu_count() or 1)
    )  # decoders and OpenCV release the lock; RAW files wait for each other
    try:
        jobs = [pool.submit(build_scene, s.folder, out, options) for s in scenes if s.name not in broken]
        what = f"SR-RAW x{options.scale} {folder.name}: {len(jobs)} scenes"
        with Progress() as progress:  # track() would leave its display open after an error
            task = progress.add_task(what, total=len(jobs))
            for job in as_completed(jobs):
                outcomes.append(job.result())
                progress.advance(task)
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted(outcomes, key=lambda outcome: outcome.scene)


def _report(part: str, out: Path, options: Options, outcomes: list[Outcome]) -> None:
    gains = {name: row for outcome in outcomes for name, row in outcome.pairs.items()}
    used = sum(bool(outcome.pairs) for outcome in outcomes)
    print(f"SR-RAW x{options.scale} {part}: {len(gains)} pairs of {used} scenes; {len(outcomes) - used} left out")
    for name, reason in (item for outcome in outcomes for item in outcome.left_out.items()):
        print(f"  without {name}: {reason}")
    if not gains:
        raise DataError(f"{out}: none of the {len(outcomes)} scenes could be used; the reasons are listed above")
    with atomic_write(out / MARK) as temporary:
        temporary.write_text(format_wb(gains))
