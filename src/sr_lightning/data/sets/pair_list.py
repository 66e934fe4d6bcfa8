"""Pairs of pictures named in JSON lists."""

import ast
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import ConfigError, DataError

#: Bytes of a list that are read at most, some hundred thousand pairs: a longer file is something else.
LONGEST = 1 << 26


class PairList(PictureDataModule):
    """Pictures, or patches cut from them, listed as ``[{"HR": "hr/1.png", "LR": "lr/1.png"}, ...]``.

    Lists in Python's notation, with single quotes, are read as well. Paths are relative to the list's folder. ``LR``
    may be left out of all entries of a list: those pictures are then made bicubically.

    Args:
        scale: Whole factor between LR and HR.
        train_list: The list to train on.
        val_list: The list to validate on, several of them, or several by name; by default a set has its file's name.
        channels: 3 turns grey pictures into RGB; None leaves lists of grey pictures grey, for networks on luma.
        root: Folder that all pictures must lie in, by default that of the list: a stranger's list could name any file.

    Raises:
        ConfigError: If a list is not given.
        DataError: If a list cannot be read, names files elsewhere, or files that it names are missing.
    """

    layout = "data.train_list=FILE.json and data.val_list=FILE.json, lists of {HR: path, LR: path}"
    whole_patches = True

    def __init__(
        self,
        scale: int = 2,
        train_list: AnyPath | None = None,
        val_list: AnyPath | Sequence[AnyPath] | Mapping[str, AnyPath] | None = None,
        channels: int | None = None,
        root: AnyPath | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        loading.setdefault("patch_size", None)
        super().__init__(scale, **loading)
        if not train_list and not val_list:
            raise ConfigError(f"data=pair_list needs {self.layout}")
        if channels not in (None, 3):
            raise ConfigError(f"data.channels={channels}: must be 3 or null")
        self.channels, self.root = channels, Path(root) if root else None
        self.train_list = Path(train_list) if train_list else None
        if not isinstance(val_list, Mapping):
            lists = [val_list] if isinstance(val_list, str | os.PathLike) else list(val_list or ())
            val_list = {Path(file).stem.lower(): file for file in lists}
            if len(val_list) < len(lists):
                raise ConfigError("data.val_list: two lists of one name; name the sets: data.val_list={a: FILE, …}")
        self.val_lists = {name: Path(file) for name, file in val_list.items()}

    def train_pictures(self) -> Pictures | None:
        return read_pairs(self.train_list, self.root) if self.train_list else None

    def val_pictures(self) -> dict[str, Pictures]:
        sets = {name: read_pairs(file, self.root) for name, file in self.val_lists.items()}
        for name, pictures in sets.items():
            twin, count = Counter(path.stem for path in pictures.hr).most_common(1)[0]
            if count > 1:  # scores are kept by name
                raise DataError(f"{self.val_lists[name]}: {count} HR pictures are called {twin}; rename them")
        return sets


def read_pairs(file: AnyPath, root: AnyPath | None = None) -> Pictures:
    """The pictures that a list names.

    Args:
        file: The list.
        root: Folder that all of them must lie in, by default that of the list.

    Raises:
        DataError: If the list cannot be read, an entry is no pair, or a file is missing or lies elsewhere.
    """
    file = Path(file)
    root = None if root is None else Path(root)
    entries = _parse(file)
    if not isinstance(entries, list) or not entries:
        raise DataError(f'{file}: must be a list of pairs {{"HR": path, "LR": path}}, and not empty')
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("HR"), str) or not {*entry} <= {"HR", "LR"}:
            raise DataError(f'{file}: entry {number} is {entry!r:.80} instead of {{"HR": path, "LR": path}}')
        if ("LR" in entry) != ("LR" in entries[0]) or not isinstance(entry.get("LR", ""), str):
            raise DataError(f"{file}: entry {number} must have an LR path if others have one, and none if they do not")
    hr = [file.parent / entry["HR"] for entry in entries]
    lr = [file.parent / entry["LR"] for entry in entries] if "LR" in entries[0] else None
    # By what is written: links within the folder were laid by its owner.
    home, places = os.path.abspath(root or file.parent), [os.path.abspath(path) for path in (*hr, *(lr or ()))]  # noqa: PTH100
    away = [place for place in places if not Path(place).is_relative_to(home)]
    if away:
        common = os.path.commonpath([home, *places])
        raise DataError(
            f"{file}: {away[0]} lies outside {home}; if all its pictures may be read, say data.root={common}"
        )
    # Unlike Path.is_file, this one is content with any name, however long.
    missing = [path for path in (*hr, *(lr or ())) if not os.path.isfile(path)]  # noqa: PTH113
    if missing:
        others = f", and {len(missing) - 1} more of its files are missing" if len(missing) > 1 else ""
        raise DataError(f"{file}: {missing[0]}: no such file{others}")
    return Pictures(hr, lr)


def _parse(file: Path) -> Any:
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        if (size := file.stat().st_size) > LONGEST:
            raise DataError(f"{file}: has {size >> 20} MB, too many for a list of pairs; split it")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})") from None
    problem: Exception
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(file, pairs))
    except (ValueError, RecursionError) as error:
        problem = error
    try:
        tree = ast.parse(text.strip(), mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                _once(file, [(key.value, None) for key in node.keys if isinstance(key, ast.Constant)])
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"{file}: is neither JSON nor a Python list ({problem})") from None


def _once(file: Path, pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """The dictionary, of which no key may come twice: one of the two would be lost."""
    key, count = Counter(key for key, _ in pairs).most_common(1)[0] if pairs else ("", 0)
    if count > 1:
        raise DataError(f"{file}: {count} values of {key} in one entry; keep one")
    return dict(pairs)
