"""Text files of an SR-RAW scene: ``tform.txt``, ``wb.txt``, and JSON files of our own."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.srraw.fov import Affine
from sr_lightning.errors import DataError

Corner = tuple[int, int, int, int]  # minh, maxh, minw, maxw
Gains = tuple[float, float, float, float]  # R, G, G, B


def frame_name(number: int) -> str:
    """Stem of a shot's files.

    Example:
        >>> frame_name(5)
        '00005'
    """
    return f"{number:05d}"


def format_tform(warps: Mapping[int, Affine], corner: Corner, reference: int = 1) -> str:
    """The text of ``tform.txt``: two rows for each frame aligned with the reference, and the part that all see.

    Example:
        >>> print(format_tform({1: np.eye(3)}, (0, 100, 0, 203)), end="")
        00001-00001:
        1.0000 0.0000 0.0000
        0.0000 1.0000 0.0000
        corner:
        00000 00100 00000 00203
    """
    lines = []
    for frame, warp in warps.items():
        rows = np.round(warp[:2], 4) + 0.0  # no negative zeros
        lines += [
            f"{frame_name(reference)}-{frame_name(frame)}:",
            *(" ".join(f"{value:.4f}" for value in row) for row in rows),
        ]
    return "\n".join([*lines, "corner:", " ".join(f"{value:05d}" for value in corner), ""])


def parse_tform(path: AnyPath) -> tuple[dict[int, Affine], Corner | None, int]:
    """The warps of a ``tform.txt`` by frame, its corner if it has one, and the frame that all warps begin at.

    Raises:
        DataError: If the file is none, with the place.
    """
    path = Path(path)
    warps: dict[int, Affine] = {}
    corner = None
    references: set[int] = set()
    for key, numbers in _sections(path):
        match = re.fullmatch(r"(\d+)-(\d+)", key)
        if key == "corner" and len(numbers) == 4:
            corner = (int(numbers[0]), int(numbers[1]), int(numbers[2]), int(numbers[3]))
        elif match and len(numbers) == 6:
            warp = np.vstack([np.reshape(numbers, (2, 3)), [0, 0, 1]])
            if not np.linalg.det(warp) > 0.01:
                raise DataError(f"{path}: {key}: is not a usable warp; delete the file to align again")
            warps[int(match[2])] = warp
            references.add(int(match[1]))
        else:
            raise DataError(f"{path}: {key}: is followed by {len(numbers)} numbers; two rows of three are expected")
    if len(references) > 1:
        raise DataError(f"{path}: has warps from the shots {sorted(references)}; all must begin at one")
    return warps, corner, references.pop() if references else 1


def format_wb(gains: Mapping[str, Gains]) -> str:
    """The text of ``wb.txt``: gains of R, G, G and B of each shot.

    Example:
        >>> print(format_wb({"00001/00005": (1.9, 1, 1, 1.4)}), end="")
        WB
        00001/00005:
        1.9000 1.0000 1.0000 1.4000
    """
    return "\n".join(["WB", *(f"{key}:\n" + " ".join(f"{v:.4f}" for v in row) for key, row in gains.items()), ""])


def parse_wb(path: AnyPath) -> dict[str, Gains]:
    """The gains of a ``wb.txt`` by file stem, whatever folder the file names before it.

    Raises:
        DataError: If the file is none, with the place.
    """
    path = Path(path)
    gains: dict[str, Gains] = {}
    for key, numbers in _sections(path, "WB"):
        if len(numbers) != 4 or min(numbers) <= 0:
            raise DataError(f"{path}: {key}: is followed by {numbers}; four numbers above 0 are expected")
        red, green, green_2, blue = numbers
        gains[re.split(r"[/\\]", key)[-1]] = (red, green, green_2, blue)
    return gains


def _sections(path: Path, title: str | None = None) -> list[tuple[str, list[float]]]:
    """Keys, which end in a colon and may have blanks, each with the numbers that follow."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    sections: list[tuple[str, list[float]]] = []
    for line in lines[1:] if lines[:1] == [title] else lines:
        key, colon, numbers = line.rpartition(":")
        if colon:
            sections.append((key, []))
        for word in re.sub(r"[\[\](),]", " ", numbers).split():
            try:
                if not np.isfinite(number := float(word)):
                    raise ValueError
                sections[-1][1].append(number)
            except (ValueError, IndexError):
                raise DataError(
                    f"{path}: {word!r} is out of place; keys such as 00001-00002: and finite numbers belong there"
                ) from None
    return sections


def read_tolerantly(path: Path) -> str:
    """The text of a file. Bytes that are not UTF-8 are kept for the parser to refuse."""
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def read_json(path: Path) -> dict[str, Any]:
    """The content of one of our JSON files; empty if it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file that ``read_json`` reads."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
