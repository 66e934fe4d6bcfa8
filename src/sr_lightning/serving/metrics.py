"""What a server has done, in the text that Prometheus reads."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Upper ends of the histogram's classes, in seconds.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass
class Metrics:
    """Counts of one server; its event loop alone changes them.

    Example:
        >>> metrics = Metrics()
        >>> metrics.add(200, 0.2, {"pixels_in": 100, "pixels_out": 400})
        >>> 'sr_requests_total{code="200"} 1' in metrics.text(waiting=0, processes={})
        True
    """

    codes: Counter[int] = field(default_factory=Counter)
    classes: Counter[float] = field(default_factory=Counter)
    seconds: float = 0.0
    pixels: Counter[str] = field(default_factory=Counter)
    workers: dict[int, Mapping[str, int]] = field(default_factory=dict)

    def add(self, code: int, seconds: float, told: Mapping[str, Any] | None = None) -> None:
        """Counts one answer.

        Args:
            code: Its status; 499 where the client was gone.
            seconds: From its first byte to the last of the answer.
            told: By the worker: pixels, and the counts of its batches so far.
        """
        self.codes[code] += 1
        self.seconds += seconds
        self.classes[next((end for end in BUCKETS if seconds <= end), float("inf"))] += 1
        if told:
            self.pixels["in"] += told["pixels_in"]
            self.pixels["out"] += told["pixels_out"]
            if "process" in told:
                before = self.workers.get(told["process"], {})
                # Answers may overtake one another.
                self.workers[told["process"]] = {
                    key: max(told[key], before.get(key, 0)) for key in ("tiles", "batches", "alone")
                }

    def text(self, waiting: int, processes: Mapping[str, int]) -> str:
        """All of them.

        Args:
            waiting: Requests that are not answered yet.
            processes: Ids of processes, by what they are.
        """
        lines = [
            *_head("sr_requests_total", "counter", "Requests for a picture by the code of their answer."),
            *(f'sr_requests_total{{code="{code}"}} {count}' for code, count in sorted(self.codes.items())),
            *_head("sr_failures_total", "counter", "Requests that got no picture."),
            f"sr_failures_total {sum(count for code, count in self.codes.items() if code >= 400)}",
            *_head("sr_request_seconds", "histogram", "Seconds from a request's first byte to its answer's last."),
        ]
        total = 0
        for end in (*BUCKETS, float("inf")):
            total += self.classes[end]
            lines.append(f'sr_request_seconds_bucket{{le="{"+Inf" if end == float("inf") else f"{end:g}"}"}} {total}')
        lines += [f"sr_request_seconds_sum {self.seconds:.6f}", f"sr_request_seconds_count {total}"]
        lines += [*_head("sr_queue", "gauge", "Requests that are not answered yet."), f"sr_queue {waiting}"]
        lines += _head("sr_pixels_total", "counter", "Pixels of pictures that came in, and of their results.")
        lines += [f'sr_pixels_total{{side="{side}"}} {self.pixels[side]}' for side in ("in", "out")]
        for key, words in (
            ("tiles", "Tiles that were computed."),
            ("batches", "Steps in which they were computed."),
            ("alone", "Tiles computed one by one because a batch would change bits."),
        ):
            total = sum(counts[key] for counts in self.workers.values())
            lines += [*_head(f"sr_{key}_total", "counter", words), f"sr_{key}_total {total}"]
        lines += _head("sr_memory_bytes", "gauge", "Resident memory of the processes.")
        for name, process in processes.items():
            if (used := resident_bytes(process)) is not None:
                lines.append(f'sr_memory_bytes{{process="{name}"}} {used}')
        return "\n".join(lines) + "\n"


def resident_bytes(process: int) -> int | None:
    """Bytes of memory that a process has now; None where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _head(name: str, kind: str, words: str) -> Iterable[str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"
