"""``Example:`` in a docstring becomes mkdocstrings' section ``Examples:``, whose doctests are highlighted."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:$", re.M)


class Examples(griffe.Extension):
    """Rewrites every docstring; griffe calls it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub("Examples:", obj.docstring.value)
