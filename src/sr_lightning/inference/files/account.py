"""What became of each file, as little of it as a command has to keep: a million results are told, not collected."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sr_lightning.errors import ResultExistsError
from sr_lightning.inference.files.notes import sentence_about
from sr_lightning.inference.files.several import Outcome
from sr_lightning.inference.files.targets import Job
from sr_lightning.stores import is_url


class Fate(NamedTuple):
    """What became of one file, in plain words that travel between machines.

    Attributes:
        written: Paths and URLs of its results.
        failed: Why there are none.
        exists: Whether that is because they were there.
    """

    written: list[str]
    failed: str = ""
    exists: bool = False


def fate_of(job: Job, outcome: Outcome) -> Fate:
    """The fate of a file by its outcome."""
    if isinstance(outcome, list):
        return Fate([str(place) for place in outcome])
    return Fate([], sentence_about(job.name, outcome), isinstance(outcome, ResultExistsError))


@dataclass
class Account:
    """Counts what becomes of files.

    Attributes:
        tell: Is called with each result, by its path or URL.
        skip: Whether results that exist are no failures.
        failed: A sentence for each file that failed.
        skipped: How many had their results.
        done: How many have their fate.
    """

    tell: Callable[[Path | str], None]
    skip: bool
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    done: int = 0

    def add(self, fate: Fate) -> None:
        """Adds a file's fate."""
        self.done += 1
        for place in fate.written:
            self.tell(place if is_url(place) else Path(place))
        if fate.exists and self.skip:
            self.skipped += 1
        elif fate.failed:
            self.failed.append(fate.failed)
