"""What the workers of a cluster have begun and done, for those that take over the block of one that died."""


class Journal:
    """The fates of files by their numbers. It lives in a process of its own, which imports nothing else.

    Example:
        >>> journal = Journal()
        >>> journal.begin(1)
        >>> journal.note(1, "written")
        >>> journal.begin(2)
        >>> journal.known([1, 2])
        {1: 'written'}
        >>> journal.begun([1, 2])  # of which a worker died
        {2: 1}
    """

    def __init__(self) -> None:
        self._fates: dict[int, object] = {}
        self._begun: dict[int, int] = {}

    def known(self, numbers: list[int]) -> dict[int, object]:
        """The fates of these files, of those that have one."""
        return {number: self._fates[number] for number in numbers if number in self._fates}

    def begun(self, numbers: list[int]) -> dict[int, int]:
        """How often these files were begun, of those that were and have no fate."""
        return {number: self._begun[number] for number in numbers if number in self._begun}

    def begin(self, number: int) -> None:
        """Notes that a file is begun. If its worker dies, this is all that is known of it."""
        self._begun[number] = self._begun.get(number, 0) + 1

    def note(self, number: int, fate: object) -> None:
        """Keeps the fate of a file."""
        self._fates[number] = fate
        self._begun.pop(number, None)

    def forget(self, numbers: list[int]) -> None:
        """Files whose block has arrived."""
        for number in numbers:
            self._fates.pop(number, None)
            self._begun.pop(number, None)
