"""File names on the command line get quotes, so that Hydra's grammar does not read what is in them."""

import os
import re
from collections.abc import Sequence

#: The last part of keys that hold a path.
_PATH = re.compile(
    r"(?!drop_path$)"  # a rate of stochastic depth
    "(calibration|checkpoint|ckpt_path|dir|dirpath|dst|file|folder|init_from|input|kernel|output|output_hr|output_lr|"
    r"pattern|root|runs|shards|urls|weights|write|\w+_(dir|file|list|path|weights))"
)
#: Keys whose value may also be a list or a dictionary.
_SEVERAL = frozenset({"input", "kernel", "urls", "val_list", "weights"})


def with_quoted_paths(overrides: Sequence[str], sweep: bool = False) -> list[str]:
    """Quotes the values of keys that hold a path, and completes ``~`` to the home folder.

    ``null``, quoted values, lists, and interpolations such as ``${data_dir}/x`` stay as they are, unless a file
    has this name. In a sweep, commas still separate values.

    Args:
        overrides: Arguments as they were typed.
        sweep: Whether several runs are asked for.

    Example:
        >>> with_quoted_paths(["scale=3", "input=写真 (1).png", "data.weights=[3,1]", "output=null"])
        ['scale=3', 'input="写真 (1).png"', 'data.weights=[3,1]', 'output=null']
        >>> with_quoted_paths(["model.drop_path=0.2"])
        ['model.drop_path=0.2']
        >>> with_quoted_paths(["checkpoint=a.ckpt,b.ckpt"], sweep=True)
        ['checkpoint="a.ckpt","b.ckpt"']
    """
    return [_quoted(override, sweep) for override in overrides]


def _quoted(override: str, sweep: bool) -> str:
    key, equals, value = override.partition("=")
    last = re.split(r"[.@/]", key.lstrip("+"))[-1]
    is_path = key[:1] not in ("-", "~") and _PATH.fullmatch(last)
    if not equals or not is_path or value in ("", "null"):
        return override
    if os.path.lexists(value):
        return f"{key}={literal(value)}"
    if value[0] in "'\"" and value[-1] == value[0] and len(value) > 1:
        return override
    if value[0] + value[-1] in ("[]", "{}") and last in _SEVERAL:
        return override
    if sweep and re.fullmatch(r"\w+\(.*\)", value):  # choice(...), glob(...)
        return override
    parts = value.split(",") if sweep else [value]
    return f"{key}={','.join(literal(os.path.expanduser(part)) for part in parts)}"  # noqa: PTH111


def literal(value: str) -> str:
    """The text in Hydra's quotes. ``${...}`` stays an interpolation, unless a file has this name."""
    if os.path.lexists(value):
        value = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    return quoted(value)


def quoted(text: str) -> str:
    r"""A text in Hydra's quotes.

    Example:
        >>> quoted('say "x"')
        '"say \\"x\\""'
    """
    inner = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return f'"{inner}{inner[len(inner.rstrip(chr(92))) :]}"'
