"""What a run of Weights & Biases without network wrote: its transaction log, a LevelDB log of protocol buffers."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def wandb_records(folder: Path) -> Iterator[Any]:
    """The records of the one offline run in a folder."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("offline-run-*/*.wandb")
    for data in _records_of_log(path.read_bytes()):
        yield Record.FromString(data)


def _records_of_log(content: bytes) -> Iterator[bytes]:
    """LevelDB's log: blocks of 32 KiB, in them pieces of records with checksum, length and kind; 7 bytes come first."""
    at, record = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # all of it, or its last piece
            yield record
            record = b""
