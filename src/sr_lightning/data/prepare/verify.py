"""Checks a data set before training: files, pairs, sizes, repeated pictures, and how LR was made."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.datamodule import PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.prepare.hdf5_checks import check_hdf5
from sr_lightning.data.prepare.pair_checks import MATLAB, Checked, SetReport, check_pair, judge_lr
from sr_lightning.data.sets.folder import Folder
from sr_lightning.data.sets.hdf5 import HDF5
from sr_lightning.data.sets.parts import cuts_from_pictures, parts_at
from sr_lightning.data.sets.shard_files import read_shard
from sr_lightning.data.sets.shards import Shards
from sr_lightning.errors import DataError, PictureError

_TRIED = 5  # pictures on which other ways of shrinking are tried

# Name and what was found, or the problem that kept it from being looked at.
Results = Iterable[tuple[str, Checked | str]]


def verify(data: PictureDataModule) -> list[SetReport]:
    """Reads all pictures that a data set trains and validates on, and reports what is wrong.

    Damaged files, HR pictures without LR or of other sizes, flat and repeated pictures, training pictures that are
    validated on, and LR pictures that lie on another sampling grid than MATLAB's bicubic ones. Mixtures are checked
    set by set, training pictures at each of ``scales``; what cannot be checked has a report that says why.

    Raises:
        DataError: If there is nothing to check.
    """
    with errors_with_file(type(data).__name__):
        return _verify(data)


def _verify(data: PictureDataModule) -> list[SetReport]:
    reports: list[SetReport] = []
    seen: dict[bytes, str] = {}
    if type(data) is Folder and data.has_too_few_to_hold_out():
        return [_report_files(name, pictures, data, seen) for name, pictures in data.test_pictures().items()]
    for scale in data.scales or [data.scale]:
        for name, part in parts_at(data, scale).items():
            words = ["training", *filter(None, [name]), *([f"x{scale}"] if data.scales else [])]
            reports += _training(" ".join(words), part, seen)
    for name, part in parts_at(data, data.scale, validating=True).items():
        reports += _validation(name, part, seen)
    if all(report.unchecked for report in reports):
        why = "; ".join(dict.fromkeys(report.unchecked for report in reports)) or "it has no pictures"
        raise DataError(f"{type(data).__name__}: there is nothing to verify, because {why}")
    return reports


def describe(reports: list[SetReport], most: int = 20) -> str:
    """The reports as text, with the first ``most`` problems of each set."""
    lines = []
    for report in reports:
        sizes = "" if report.sizes is None else ", {}x{} to {}x{} pixels".format(*report.sizes[0], *report.sizes[1])
        found = f"not checked, because {report.unchecked}" if report.unchecked else f"{report.pictures} {report.kind}"
        lines.append(f"{report.name}: {found}{sizes}")
        lines += [f"  LR: {report.lr}"] if report.lr else []
        lines += [f"  problem: {text}" for text in report.problems[:most]]
        more = len(report.problems) - most
        lines += [f"  and {more} more problem{'s' * (more > 1)}"] if more > 0 else []
    total = sum(len(report.problems) for report in reports)
    none = "no problems in what was checked" if any(report.unchecked for report in reports) else "no problems"
    return "\n".join([*lines, f"{total} problem{'s' * (total > 1)}" if total else none])


def _training(name: str, data: PictureDataModule, seen: dict[bytes, str]) -> list[SetReport]:
    if isinstance(data, HDF5):
        return [check_hdf5(name, data.file, data.scale, data.value_range)]
    if isinstance(data, Shards):
        report = _report(SetReport(name), _check_shards(data.urls, data.scale, f"verifying {name}"), seen)
        report.problems += [] if report.pictures or report.problems else ["no picture in the shards"]
        return [report]
    try:
        pictures = data.train_pictures()
    except PictureError as error:
        return [SetReport(name, problems=[str(error)])]
    own_way = not cuts_from_pictures(data)
    if own_way and (pictures is None or pictures.lr is None):
        return [_unchecked(name, data)]
    return [] if pictures is None else [_report_files(name, pictures, data, seen)]


def _validation(part: str, data: PictureDataModule, seen: dict[bytes, str]) -> list[SetReport]:
    if isinstance(data, HDF5) and data.val_file is not None:
        name = " ".join(filter(None, [part, data.val_file.stem.lower()]))
        return [check_hdf5(name, data.val_file, data.scale, data.value_range)]
    try:
        sets = data.val_pictures()
    except PictureError as error:
        return [SetReport(f"{part} validation".strip(), problems=[str(error)])]
    own_way = type(data)._open_val not in (PictureDataModule._open_val, HDF5._open_val)
    if own_way and not sets:
        return [_unchecked(f"{part} validation".strip(), data)]
    return [
        _unchecked(f"{part} {name}".strip(), data)
        if own_way and pictures.lr is None
        else _report_files(f"{part} {name}".strip(), pictures, data, seen)
        for name, pictures in sets.items()
    ]


def _unchecked(name: str, data: PictureDataModule) -> SetReport:
    return SetReport(name, unchecked=f"{type(data).__name__} reads its files in a way of its own")


def _report_files(name: str, files: Pictures, data: PictureDataModule, seen: dict[bytes, str]) -> SetReport:
    report = _report(SetReport(name, len(files)), _check_files(files, data.scale, f"verifying {name}"), seen)
    if files.lr is None:
        way = data.degradation
        made = MATLAB if way is None else f"degradation {way.name or type(way).__name__}"
        report.lr = f"none in the set; made by {made} x{data.scale}"
    return report


def _report(report: SetReport, results: Results, seen: dict[bytes, str]) -> SetReport:
    checked = []
    for place, result in results:
        if isinstance(result, str):
            report.problems.append(result)
            continue
        checked.append(result)
        if result.problem:
            report.problems.append(f"{place}: {result.problem}")
        twin = seen.setdefault(result.digest, place)
        if twin != place:
            report.problems.append(f"{place}: the same picture as {twin}")
    if checked:
        by_area = sorted((result.size for result in checked), key=lambda size: size[0] * size[1])
        report.sizes = by_area[0], by_area[-1]
    report.pictures = report.pictures or len(checked)
    report.lr, problems = judge_lr(checked)
    report.problems += problems
    return report


def _check_files(files: Pictures, scale: int, what: str) -> Results:
    from rich.progress import track

    def check(index: int) -> Checked | str:
        path = files.lr[index] if files.lr else None
        try:
            hr, lr = (None if file is None else read_picture(file) for file in (files.hr[index], path))
        except PictureError as error:
            return str(error)
        assert hr is not None
        return check_pair(hr, lr, scale, path, index < _TRIED)

    with ThreadPoolExecutor() as pool:
        results = track(pool.map(check, range(len(files))), description=what, total=len(files))
        yield from zip(map(str, files.hr), results, strict=True)


def _check_shards(urls: list[str], scale: int, what: str) -> Iterator[tuple[str, Checked | str]]:
    """All pictures of all shards; LR that a shard lacks is made, and then equal to MATLAB's."""
    from rich.progress import track

    def check(numbered: tuple[int, str]) -> list[tuple[str, Checked | str]]:
        number, url = numbered
        results: list[tuple[str, Checked | str]] = []
        try:
            for name, *planar in read_shard(url, scale):
                hr, lr = (np.ascontiguousarray(picture.transpose(1, 2, 0)) for picture in planar)
                checked = check_pair(hr, lr, scale, "its LR picture", number == 0 and len(results) < _TRIED)
                results.append((f"{url}: {name}", checked))
        except DataError as error:
            results.append((url, f"{error}; what follows in this shard was not looked at"))
        return results

    with ThreadPoolExecutor() as pool:
        for results in track(pool.map(check, enumerate(urls)), description=what, total=len(urls)):
            yield from results
