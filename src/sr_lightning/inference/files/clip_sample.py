"""Some frames from all over a video, for what is decided once for the whole clip."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

COUNT = 5


def frames_across(path: Path, count: int = COUNT) -> Iterator[Any]:
    """PyAV's frames at the middle of each ``count``-th part of a video, as far as it can be searched.

    Without a known length, or where searching fails, they are fewer, or none: whoever decodes the video tells what is
    wrong with it.
    """
    import av

    with suppress(av.FFmpegError, OSError), av.open(str(path)) as source:
        stream = source.streams.video[0]
        length = source.duration or 0  # in microseconds
        for part in range(count if length else 0):
            wanted = int((part + 0.5) / count * length) + (source.start_time or 0)
            source.seek(wanted)  # to the last frame before that begins anew
            later = (frame for frame in source.decode(stream) if frame.time is None or frame.time >= wanted / 1e6)
            if frame := next(later, None):
                yield frame
