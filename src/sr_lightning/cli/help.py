"""The screen of ``--help``: what the comments and defaults in a command's YAML file say."""

import re
import textwrap

from sr_lightning.config.folder import CONF_DIR

WIDTH = 80


def commands() -> dict[str, str]:
    """Every command, with a sentence that says what it does.

    Example:
        >>> commands()["export"]
        'write a trained network for other programs.'
    """
    lines = {path.stem: path.read_text(encoding="utf-8").partition("\n")[0] for path in sorted(CONF_DIR.glob("*.yaml"))}
    return {name: line.partition(": ")[2] for name, line in lines.items()}


def overview() -> str:
    """What ``python -m sr_lightning`` prints."""
    verbs = [_entry(f"  {name:10}", sentence) for name, sentence in commands().items()]
    return "\n".join(
        ["python -m sr_lightning COMMAND [FILE ...] [KEY=VALUE ...]", "", *verbs, "", "COMMAND --help says more."]
    )


def help_screen(command: str) -> str:
    """What ``--help`` prints: a sentence, examples, and the keys that people use most.

    The text is that of the command's YAML file: the comment at its top, and the first sentence above each key.
    """
    text = (CONF_DIR / f"{command}.yaml").read_text(encoding="utf-8")
    first, *head = [line[1:].strip() for line in text.partition("\ndefaults:")[0].splitlines()]
    examples = [line for line in head if line.startswith("python")]
    (names,) = [line.removeprefix("keys: ").split() for line in head if line.startswith("keys: ")]
    known = entries(text)
    rows = [(name, *known[name]) for name in names if name in known]
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    shown = [_entry(f"  {name:{widths[0]}}  {default:{widths[1]}}  ", about) for name, default, about in rows]
    return "\n".join(
        [
            *textwrap.wrap(first, WIDTH),
            "",
            *[f"  {example}" for example in examples],
            "",
            "Keys with their defaults; type KEY=VALUE or --KEY VALUE:",
            *shown,
            "",
            "--help-all lists all keys, --cfg job shows what would run.",
        ]
    )


def entries(text: str) -> dict[str, tuple[str, str]]:
    r"""Default and meaning of each key on the top level of a YAML text, and of each group in its defaults.

    The meaning is the first sentence of the comment above, and the next if it begins with "By default".

    Example:
        >>> entries("defaults:\n  # The network. More.\n  - model: null\n# How many times\n# larger.\nscale: 2\n")
        {'model': ('-', 'The network.'), 'scale': ('2', 'How many times larger.')}
    """
    found = {}
    for comment, key, value in re.findall(r"((?:^ *#.*\n)+)(?:  - )?(\w+): (\S+)$", text, re.MULTILINE):
        words = " ".join(line.strip(" #") for line in comment.splitlines())
        first, *others = re.split(r"(?<=\w[.)]) (?=[A-Z])|(?<=\.\.\.) (?=By)", words)
        found[key] = (_shown(value), " ".join([first, *(o for o in others[:1] if o.startswith("By default"))]))
    return found


def _shown(value: str) -> str:
    """A default as people read it: nothing for null, and of a function of the machine its own default."""
    function = re.fullmatch(r"\$\{(?:oc\.env:\w+,)?(\w+?)(?:_device:)?\}", value)
    return "-" if value == "null" else function[1] if function else value


def _entry(begin: str, sentence: str) -> str:
    """A row of a list, with its sentence beside it."""
    return textwrap.fill(sentence, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))
