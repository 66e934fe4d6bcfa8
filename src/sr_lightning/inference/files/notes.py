"""What is said of a file while it is enlarged."""

import sys
from pathlib import Path


def note(source: Path, sentence: str) -> None:
    """Says on the error stream what was chosen for a file."""
    print(f"{source.name}: {sentence}", file=sys.stderr)
