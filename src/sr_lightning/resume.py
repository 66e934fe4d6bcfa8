"""``ckpt_path=FILE`` alone: a run goes on with the settings that it was started with."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

#: Keys of the stopped run that are not the resumed one's.
NOT_AGAIN = {"ckpt_path", "run_dir", "init_from"}


def with_settings_of_run(argv: Sequence[str]) -> list[str]:
    """Puts what was typed for a run before what is typed to resume it, which wins.

    A run is known by its folder, in which Hydra notes what was typed: a checkpoint elsewhere brings no settings. A
    sweep resumes nothing.

    Example:
        >>> with_settings_of_run(["model=rdn", "scale=3"])
        ['model=rdn', 'scale=3']
    """
    given = list(argv)
    folder = None if {"-m", "--multirun"} & {*given} else _run_folder(given)
    if folder is None:
        return given
    from omegaconf import OmegaConf

    notes = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    theirs = [str(o) for o in notes] if isinstance(notes, list) else []
    theirs = [o for o in theirs if _key(o) not in NOT_AGAIN and not _key(o).startswith("hydra")]
    typed = {_key(arg) for arg in given if _is_override(arg)}
    added = {_key(o) for o in theirs if o.startswith("+")}
    # What the run had to add is not there to be changed: whoever changes it adds it.
    given = [f"+{arg}" if _is_override(arg) and arg[0] not in "+~" and _key(arg) in added else arg for arg in given]
    theirs = [o for o in theirs if _key(o) not in typed or (o[0] == "+" and f"~{_key(o)}" in given and o not in given)]
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        asked = [arg.partition("=")[2] for arg in given if _key(arg) in ("hydra.run.dir", "run_dir")]
        settings, to = " ".join(theirs) or "the defaults", asked[0] if asked else "a new folder"
        print(f"resuming {folder} with its settings: {settings}; what is new goes to {to}", file=sys.stderr)
    first = next(i for i, arg in enumerate(given) if _is_override(arg))  # Hydra wants overrides side by side
    return [*given[:first], *theirs, *given[first:]]


def _run_folder(argv: Sequence[str]) -> Path | None:
    """The folder of the run that wrote the checkpoint, as it is called now."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    arg = next((arg for arg in reversed(argv) if _is_override(arg) and _key(arg) == "ckpt_path"), None)
    if arg is None:
        return None
    try:
        path = OverridesParser.create().parse_override(arg).value()
    except HydraException:  # explained where the command reads it
        return None
    folders = list(Path(path).absolute().parents)[:2] if isinstance(path, str) and Path(path).is_file() else []
    found = next((folder for folder in folders if (folder / ".hydra" / "overrides.yaml").is_file()), None)
    return found.relative_to(Path.cwd()) if found and found.is_relative_to(Path.cwd()) else found


def _is_override(arg: str) -> bool:
    return arg.startswith("~") or ("=" in arg and not arg.startswith("-"))


def _key(override: str) -> str:
    """What an override is of; ``data@data.sets.a`` of ``+data@data.sets.a=t91``."""
    return override.lstrip("+~").partition("=")[0]
