"""What people type, in Hydra's grammar: flags first, then ``key=value``."""

import os
import shlex
from collections.abc import Sequence

from omegaconf import OmegaConf

from sr_lightning.config import CONF_DIR, refuse_unknown_keys
from sr_lightning.config.quoting import literal
from sr_lightning.errors import ConfigError, nearest
from sr_lightning.stores import is_url

#: The key of an argument that has none.
WITHOUT_KEY = {
    "upscale": "input",
    "prepare": "input",
    "report": "runs",
    "evaluate": "weights",
    "export": "weights",
    "benchmark": "kind",
}
#: Hydra's flags that take a value, and those that take none.
_WITH_VALUE = frozenset({"-c", "--cfg", "-p", "--package", "-cp", "--config-path", "-cn", "--config-name", "-cd",
                         "--config-dir", "--experimental-rerun"})  # fmt: skip
_ALONE = frozenset({"-h", "--help", "--help-all", "--hydra-help", "--version", "--resolve", "-r", "--run", "-m",
                    "--multirun", "-sc", "--shell-completion", "-i", "--info"})  # fmt: skip
_SHORT = {"-o": "output"}


def with_keys(argv: Sequence[str], command: str) -> list[str]:
    """Gives every argument the form ``key=value``, and puts Hydra's flags first.

    File names get the key ``input``, ``runs`` or ``weights``. ``--key value`` and ``--key=value`` become
    ``key=value``, and so does ``-o FOLDER``. An existing file and a URL may have any name, such as ``a=b.png``.

    Args:
        argv: The arguments as typed.
        command: The command that they follow.

    Raises:
        ConfigError: If an argument has no meaning; the message says what to type.

    Example:
        >>> with_keys(["a.png", "--factor", "3", "-o", "out", "model=span"], "upscale")
        ['factor=3', 'output=out', 'model=span', 'input=a.png']
        >>> with_keys(["a.png", "b.png"], "upscale")
        ['input=["a.png","b.png"]']
    """
    defaults, groups = _keys(command)
    keys = {*defaults, *groups}
    flags, overrides, files = list[str](), list[str](), list[str]()
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        name, equals, value = arg.partition("=")
        key = _SHORT.get(name, name.removeprefix("--").replace("-", "_"))
        if arg == "--":
            files, rest = [*files, *rest], []
        elif arg in _ALONE or name in _WITH_VALUE:
            flags += [arg, *([rest.pop(0)] if arg in _WITH_VALUE and rest else [])]
        elif name.startswith("-") and _root(key) in keys:
            if not equals:
                value = _value(arg, key, defaults.get(key), rest)
            overrides.append(f"{key}={value}")
        elif is_url(arg.removeprefix("@")):  # which may have = behind ?
            _refuse_word(arg, command, groups, keys)
            files.append(arg)
        elif equals and (_root(name) in keys or not os.path.lexists(arg)):
            overrides.append(arg)
        elif arg.startswith("-") and not os.path.lexists(arg):
            raise ConfigError(f"{arg}: there is no such option; {nearest(key, keys)}")
        elif arg.startswith("~") and "/" not in arg and not os.path.lexists(arg):  # Hydra's way to leave a key out
            overrides.append(arg)
        else:
            _refuse_word(arg, command, groups, keys)
            files.append(arg)
    return [*flags, *overrides, *_named(files, command, overrides)]


def refuse_unknown(argv: Sequence[str], command: str) -> None:
    """Raises a ``ConfigError`` for a key that the command does not have, before Hydra starts.

    Args:
        argv: What ``with_keys`` returns.
        command: The command that they follow.
    """
    if not any(arg.startswith("-") for arg in argv):  # such as --config-dir, which may bring keys of its own
        defaults, groups = _keys(command)
        refuse_unknown_keys(command, argv, {*defaults, *groups})


def is_sweep(argv: Sequence[str]) -> bool:
    """Whether several runs were asked for.

    Example:
        >>> is_sweep(["-m", "scale=2,3"]), is_sweep(["scale=2"])
        (True, False)
    """
    return bool({"-m", "--multirun"} & {*argv})


def _keys(command: str) -> tuple[dict[str, object], list[str]]:
    """The keys of a command with their defaults, and its config groups."""
    content = OmegaConf.to_container(OmegaConf.load(CONF_DIR / f"{command}.yaml"), resolve=False)
    assert isinstance(content, dict)
    entries = [entry for entry in content.pop("defaults", []) if isinstance(entry, dict)]
    groups = [str(key).rpartition(" ")[2] for entry in entries for key in entry]
    return {str(key): value for key, value in content.items()}, [g for g in groups if not g.startswith("hydra")]


def _root(key: str) -> str:
    """The part of a key that stands in the file of the command; ``data`` of ``+data@data.sets.a``."""
    return key.lstrip("+~").partition("@")[0].partition(".")[0].partition("/")[0]


def _value(arg: str, key: str, default: object, rest: list[str]) -> str:
    """The value behind ``--key``; a key that is true or false needs none."""
    if isinstance(default, bool) and (not rest or rest[0].lower() not in ("true", "false", "skip")):
        return "true"
    if not rest or (rest[0].startswith("-") and not os.path.lexists(rest[0]) and not _is_number(rest[0])):
        raise ConfigError(f"{arg}: the value is missing; type {key}=VALUE")
    return rest.pop(0)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_word(arg: str, command: str, groups: Sequence[str], keys: set[str]) -> None:
    """Raises a ``ConfigError`` for a word that is a key or a choice, and for any word where no file is wanted."""
    if command in WITHOUT_KEY and (os.path.lexists(arg) or arg == WITHOUT_KEY[command]):  # the folder runs
        return
    if arg in keys:
        raise ConfigError(f"{arg}: the value is missing; type {arg}=VALUE")
    for group in groups:
        if arg.isidentifier() and (CONF_DIR / group / f"{arg}.yaml").is_file():
            raise ConfigError(f"{arg}: type {group}={arg}")
    if command not in WITHOUT_KEY:
        raise ConfigError(f"{arg}: arguments are KEY=VALUE; --help lists the keys")


def _named(files: Sequence[str], command: str, overrides: Sequence[str]) -> list[str]:
    """The key of the files, with one of them or a list."""
    if not files:
        return []
    key = WITHOUT_KEY.get(command, "input")
    if any(override.startswith(f"{key}=") for override in overrides):
        raise ConfigError(f"{files[0]}: {key}= is typed too; type all without {key}=")
    if len(files) == 1:
        return [f"{key}={files[0]}"]
    if command == "upscale":
        return [f"{key}=[{','.join(map(literal, files))}]"]
    raise ConfigError(f"{shlex.join(files[:2])}: {command} takes one {key}=; type one name")
