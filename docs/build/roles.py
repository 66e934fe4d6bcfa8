"""What docstrings have that mkdocstrings does not render.

Sphinx roles, such as ``:func:`~a.b.c```, become code, with a link if the reference has the name.
``Example:`` becomes the section ``Examples:``, whose doctests are highlighted.
"""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`(~?)([\w.]+)`")
EXAMPLE = re.compile(r"^Example:$", re.M)


class Roles(griffe.Extension):
    """Rewrites every docstring; griffe calls it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        def link(role: re.Match[str]) -> str:
            short, name = role.groups()
            try:
                target = name if name.startswith("sr_lightning") else obj.resolve(name)
            except griffe.NameResolutionError:
                target = f"{obj.path}.{name}"
            text = name.rpartition(".")[2] if short else name
            return f'<autoref identifier="{target}" optional><code>{text}</code></autoref>'

        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub("Examples:", ROLE.sub(link, obj.docstring.value))
