"""What the workers of a cluster have done, for those that take over the block of one that died."""


class Journal:
    """The fates of files by their numbers. It lives in a process of its own, which imports nothing else.

    Example:
        >>> journal = Journal()
        >>> journal.note(1, "written")
        >>> journal.known([1, 2])
        {1: 'written'}
    """

    def __init__(self) -> None:
        self._fates: dict[int, object] = {}

    def known(self, numbers: list[int]) -> dict[int, object]:
        """The fates of these files, of those that have one."""
        return {number: self._fates[number] for number in numbers if number in self._fates}

    def note(self, number: int, fate: object) -> None:
        """Keeps the fate of a file."""
        self._fates[number] = fate

    def forget(self, numbers: list[int]) -> None:
        """Files whose block has arrived."""
        for number in numbers:
            self._fates.pop(number, None)
