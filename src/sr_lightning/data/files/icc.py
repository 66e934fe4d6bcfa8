"""ICC profiles of the colour spaces that pictures are made in."""

import struct
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Colour = Literal["srgb", "display_p3", "prophoto", "linear"]

_D65, _D50 = (0.3127, 0.3290), (0.3457, 0.3585)
#: XYZ of a profile's white, as ICC rounds it.
_WHITE = np.array([0.9642, 1.0, 0.8249])
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_PROPHOTO = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))
#: Parameters g, a, b, c, d of a curve: (a x + b)^g from d on, c x below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_SPACES = {
    "srgb": ("sRGB", _SRGB, _D65, _SRGB_CURVE),
    "display_p3": ("Display P3", _P3, _D65, _SRGB_CURVE),
    "prophoto": ("ProPhoto RGB", _PROPHOTO, _D50, (1.8, 1.0, 0.0, 0.0, 0.0)),
    "linear": ("Linear sRGB", _SRGB, _D65, (1.0, 1.0, 0.0, 1.0, 0.0)),
}
# Lam's cone responses, known as Bradford's: how a white becomes another.
_CONES = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))


def to_xyz(colour: Colour) -> NDArray[np.float64]:
    """The matrix from linear RGB to XYZ with the white of profiles, D50.

    Example:
        >>> to_xyz("srgb").sum(1).round(4).tolist()
        [0.9642, 1.0, 0.8249]
    """
    _, primaries, white, _ = _SPACES[colour]
    columns = np.stack([_xyz(place) for place in primaries], axis=1)
    own = _xyz(white)
    matrix = columns * np.linalg.solve(columns, own)
    cones = np.diag((_CONES @ _WHITE) / (_CONES @ own))
    return np.asarray(np.linalg.inv(_CONES) @ cones @ _CONES @ matrix)


@cache
def icc_profile(colour: Colour) -> bytes:
    """The profile of a colour space, of ICC's version 4.3: a matrix and one curve.

    Example:
        >>> icc_profile("display_p3")[36:40]
        b'acsp'
    """
    name, _, _, curve = _SPACES[colour]
    columns = to_xyz(colour).T
    tags = {
        b"desc": _text(name),
        b"cprt": _text("Free of rights (CC0)"),
        b"wtpt": _place(_WHITE),
        **{key: _place(column) for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)},
        b"rTRC": b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, curve)),
    }
    body, entries, begin = b"", [], 128 + 4 + 12 * (len(tags) + 2)
    for key, value in tags.items():
        entries.append((key, begin + len(body), len(value)))
        body += value + bytes(-len(value) % 4)
    entries += [(key, *entries[-1][1:]) for key in (b"gTRC", b"bTRC")]
    table = struct.pack(">I", len(entries)) + b"".join(struct.pack(">4sII", *entry) for entry in entries)
    head = struct.pack(
        ">I4sI4s4s4s12s4s4sIIIQI12s",
        begin + len(body), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ",
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp", b"", 0, 0, 0, 0, 0, b"".join(map(_fixed, _WHITE)),
    )  # fmt: skip
    return head.ljust(128, b"\0") + table + body


def _xyz(place: tuple[float, float]) -> NDArray[np.float64]:
    x, y = place
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _place(xyz: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, xyz))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
