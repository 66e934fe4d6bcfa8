"""Finds the pages of a TIFF, and makes each in turn the only one of a copy."""

import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from sr_lightning.data.files.pages.layout import Pages
from sr_lightning.errors import PictureError

_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_REDUCED, _MASK = 1, 4  # bits of the kind of a page
_FORMS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of whole numbers


class _Place(NamedTuple):
    """Where a page's directory stands, and where the address of the next one."""

    begin: int
    following: int


class _Form(NamedTuple):
    """How a TIFF writes numbers: those of entries, and addresses, which stand behind ``first`` bytes."""

    order: str
    amount: str
    entry: int
    address: str
    first: int


def scan_tiff(path: Path) -> Pages | None:
    """The pages of a TIFF; None if it has one, or is none.

    Copies of a page in a reduced size and masks of transparency are no pages.

    Raises:
        PictureError: If a page lies beyond the end of the file.
    """
    with path.open("rb") as file:
        form = _form(file)
        if form is None:
            return None
        found = list(_directories(path, file, form))
    if len(found) < 2:
        return None
    pages = [(place, tags) for place, tags in found if not tags.get(_SUBFILE, 0) & (_REDUCED | _MASK)]
    others = len(found) - len(pages)
    pages = pages or found[:1]
    return Pages(
        path,
        "TIFF",
        tuple((tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0)) for _, tags in pages),
        animated=False,
        lost=(f"{others} reduced cop{'ies' if others > 1 else 'y'} or mask{'s' * (others > 1)}",) if others else (),
        parts=(form, tuple(place for place, _ in found), tuple(place for place, _ in pages)),
    )


def _form(file: IO[bytes]) -> _Form | None:
    start = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        return None
    version = struct.unpack(f"{order}H", start[2:4])[0]
    return {42: _Form(order, "H", 12, "I", 4), 43: _Form(order, "Q", 20, "Q", 8)}.get(version)


def _directories(path: Path, file: IO[bytes], form: _Form) -> Iterator[tuple[_Place, dict[int, int]]]:
    size, seen = os.fstat(file.fileno()).st_size, set[int]()
    (begin,) = _numbers(file, form, form.first, form.address)
    while begin and begin not in seen:
        try:
            (count,) = _numbers(file, form, begin, form.amount)
            following = begin + struct.calcsize(f"={form.amount}") + count * form.entry
            if following > size:
                raise struct.error
            tags = _tags(file, form, following - count * form.entry, count)
            (next_one,) = _numbers(file, form, following, form.address)
        except struct.error:
            if not seen:  # whose reader says more
                return
            raise PictureError(
                f"{path}: is damaged (page {len(seen) + 1} lies beyond its end); get an intact copy"
            ) from None
        seen.add(begin)
        yield _Place(begin, following), tags
        begin = next_one


def _numbers(file: IO[bytes], form: _Form, place: int, kinds: str) -> tuple[int, ...]:
    layout = struct.Struct(form.order + kinds)
    file.seek(place)
    return layout.unpack(file.read(layout.size))


def _tags(file: IO[bytes], form: _Form, place: int, count: int) -> dict[int, int]:
    """Numbers that stand in the entries themselves."""
    tags = {}
    file.seek(place)
    data = file.read(count * form.entry)
    for begin in range(0, len(data), form.entry):
        tag, kind = struct.unpack_from(f"{form.order}HH", data, begin)
        if kind in _FORMS and tag in (_SUBFILE, _WIDTH, _HEIGHT):
            value = begin + form.entry - struct.calcsize(f"={form.address}")
            if struct.calcsize(f"={_FORMS[kind]}") <= begin + form.entry - value:
                tags[tag] = struct.unpack_from(form.order + _FORMS[kind], data, value)[0]
    return tags


class Alone(NamedTuple):
    """A file that shows one page at a time."""

    path: Path
    form: _Form
    places: tuple[_Place, ...]

    def show(self, number: int) -> Path:
        """The file, which holds page ``number`` from now on, counted from 1."""
        with self.path.open("r+b") as file:
            _put(file, self.form, self.form.first, self.places[number - 1].begin)
        return self.path


@contextmanager
def each_alone(pages: Pages, copy: Path) -> Iterator[Alone]:
    """A copy of a TIFF, in which ``Alone.show`` makes any page the only one."""
    shutil.copyfile(pages.path, copy)
    form, every, chosen = pages.parts
    with copy.open("r+b") as file:
        for place in every:
            _put(file, form, place.following, 0)
    yield Alone(copy, form, chosen)


def _put(file: IO[bytes], form: _Form, place: int, value: int) -> None:
    file.seek(place)
    file.write(struct.pack(form.order + form.address, value))
