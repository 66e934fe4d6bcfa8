"""What is said of a file while it is enlarged."""

import sys
import warnings
from pathlib import Path


def note(source: Path, sentence: str) -> None:
    """Says on the error stream what was chosen for a file."""
    print(f"{source.name}: {sentence}", file=sys.stderr)


def warn(source: Path, sentence: str) -> None:
    """Warns of a file."""
    warnings.warn(f"{source}: {sentence}", stacklevel=2)
