"""Which rows of its input a layer reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """How the rows of a layer's result depend on those of its input.

    Args:
        up: The result has ``up / down`` times as many rows.
        down: See ``up``.
        before: Input rows that a row of the result reads above its own.
        after: And below.
        cut: Input rows times ``up`` that make no row of the result, because its kernel would leave the picture.
        zeros: Whether the rows outside the picture that it reads are zeros, as a convolution's are; otherwise the
            layer sees for itself where the picture ends.

    Example:
        >>> conv = Rows(before=1, after=1, zeros=True)
        >>> conv.needed(0, 4), conv.computable(10, complete=False, height=20), conv.height(20)
        ((-1, 5), 9, 20)
    """

    up: int = 1
    down: int = 1
    before: int = 0
    after: int = 0
    cut: int = 0
    zeros: bool = False

    def height(self, height: int) -> int:
        """Rows of the result of a whole picture."""
        return (height * self.up - self.cut) // self.down

    def needed(self, first: int, last: int) -> tuple[int, int]:
        """The input rows for rows ``first`` to ``last`` of the result; they may lie outside the picture."""
        return first * self.down // self.up - self.before, -(-last * self.down // self.up) + self.after

    def computable(self, last: int, complete: bool, height: int) -> int:
        """The end of the rows of the result that input rows up to ``last`` are enough for.

        Args:
            last: End of the input's rows.
            complete: Whether it is the end of the picture.
            height: Of the whole input.
        """
        if complete:
            return self.height(height)
        return max(0, min((last - self.after) * self.up // self.down, self.height(height)))


#: A layer that makes each row of the same row of its input.
SAME = Rows()
