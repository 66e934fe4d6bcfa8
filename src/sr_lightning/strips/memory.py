"""How much memory strips take, and how many rows they may have."""

from sr_lightning.strips.program import Program

#: Pixels of a strip from which on more of them are not faster, on processors and on GPUs.
ENOUGH, ENOUGH_ON_GPU = 65_536, 2_097_152
#: Bytes from which on strips of ``ENOUGH`` pixels are made smaller, unless their network needs more by nature.
COMFORT = 96e6
#: Rows of the thinnest strips: below, more is kept from strip to strip than is computed.
FEWEST = 8


def strip_rows(program: Program, width: int, multiple: int, budget: float, *, on_gpu: bool = False) -> int:
    """Rows of the picture in a strip: as many as are fast, and as few as ``budget`` bytes demand; 0 if none fit."""
    enough = ENOUGH_ON_GPU if on_gpu else ENOUGH
    comfort = COMFORT * enough / ENOUGH
    fewest = -(-FEWEST // multiple) * multiple
    least = strip_memory(program, fewest, width)
    if least > budget:
        return 0
    rows, limit = max(fewest, enough // max(1, width)), min(budget, max(comfort, 1.5 * least))
    while rows > fewest and strip_memory(program, rows, width) > limit:
        rows = max(fewest, rows * 3 // 4)
    return rows // multiple * multiple


def strip_memory(program: Program, rows: int, width: int) -> float:
    """Bytes that strips of so many rows and columns take at once.

    Example:
        >>> import torch
        >>> from sr_lightning.strips.recording import recorded
        >>> conv = torch.nn.Conv2d(4, 4, 3, padding=1)
        >>> program = recorded(conv, [torch.rand(1, 4, 8, 8)])
        >>> strip_memory(program, rows=10, width=100)  # float32: the strip, two rows above it, and the result
        35200.0
    """
    kept, finished = _kept(program), program.finished()
    bytes_of_row = [value.channels * value.dtype.itemsize * width * float(value.scale) for value in program.values]
    strip = [float(value.scale) * rows * size for value, size in zip(program.values, bytes_of_row, strict=True)]
    always = sum(one * size for one, size in zip(kept, bytes_of_row, strict=True))
    alive, most = 0.0, 0.0
    for number, size in enumerate(strip):
        step = number - program.inputs
        alive += size
        # What no layer can write below the rows that wait is copied there.
        copied = step >= 0 and kept[number] > 0 and program.steps[step].into is None
        most = max(most, alive + size * copied)
        alive -= sum(strip[one] for one in finished[step]) if step >= 0 else 0
    return always + most


def _kept(program: Program) -> list[float]:
    """Rows of each value that wait for the next strip."""
    height = 1 << 40  # so many rows that the lower edge is not near
    rows, heights = program.rows(height), program.heights(height)
    last = [height // 2] * program.inputs
    for step, reads in zip(program.steps, rows, strict=True):
        last.append(min(reads.computable(last[one], False, heights[one]) for one in step.inputs))
    kept = [0.0] * len(program.values)
    for index, step in enumerate(program.steps):
        begin = rows[index].needed(last[program.inputs + index], 0)[0]
        for one in step.inputs:
            kept[one] = max(kept[one], last[one] - begin)
    return kept
