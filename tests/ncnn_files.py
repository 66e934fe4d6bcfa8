"""Writes networks as ncnn's converters do."""

import struct
from pathlib import Path

from torch import nn


def write_ncnn(model: nn.Module, path: Path, half: bool = True) -> None:
    """``.param`` and ``.bin`` of a chain of convolutions; what connects them is left out, because nobody reads it."""
    lines, numbers = ["Input in 0 1 data"], b""
    for name, layer in model.named_modules():
        name, blobs = name.replace(".", "_"), f"1 1 blob{len(lines) - 1} blob{len(lines)}"
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.detach().numpy()
            lines.append(f"Convolution {name} {blobs} 0={weight.shape[0]} 1=3 4=1 5=1 6={weight.size} -23310=1,2.0e-01")
            content = weight.astype("<f2" if half else "<f4").tobytes()
            numbers += struct.pack("<I", 0x01306B47 if half else 0) + content + bytes(-len(content) % 4)
            numbers += layer.bias.detach().numpy().tobytes()  # type: ignore[union-attr]
        elif isinstance(layer, nn.PReLU):
            lines.append(f"PReLU {name} {blobs} 0={layer.num_parameters}")
            numbers += layer.weight.detach().numpy().tobytes()
    lines.append(f"Interp resize 1 1 blob{len(lines) - 1} output 0=1 1=4.0e+00 2=4.0e+00")
    path.write_text(f"7767517\n{len(lines)} {len(lines) + 1}\n" + "\n".join(lines) + "\n")
    path.with_suffix(".bin").write_bytes(numbers)
