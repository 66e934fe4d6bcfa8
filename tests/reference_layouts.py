"""Files in the layouts of other projects, with what those projects' code computes of them: ``golden/layouts``."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeded_weights import seeded_state

FOLDER = Path(__file__).parent / "golden" / "layouts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))


@dataclass(frozen=True)
class Reference:
    """A picture, weights under a project's names, and the picture that its code makes of them."""

    about: dict[str, Any]
    #: The weights as the project names them, constants included.
    state: dict[str, Tensor]
    constants: set[str]
    lr: Tensor
    sr: Tensor

    def content(self) -> dict[str, Any]:
        """What a file of the project holds, for ``torch.save``."""
        named = {self.about["prefix"] + name: value for name, value in self.state.items()}
        return {self.about["entry"]: named} if self.about["entry"] else named

    def difference(self, sr: Tensor) -> float:
        """The largest difference to the project's picture, in parts of its largest value, if that is above 1."""
        if self.about["clipped"]:
            sr = sr.clamp(0, 1)
        return ((sr - self.sr).abs().max() / self.sr.abs().max().clamp(min=1)).item()


def reference(name: str) -> Reference:
    """The reference of one layout.

    Example:
        >>> found = reference("edsr_x4")
        >>> found.about["whose"], found.state["head.0.weight"].shape, found.sr.shape
        ('EDSR-PyTorch', torch.Size([8, 3, 3, 3]), torch.Size([1, 3, 28, 24]))
    """
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "about"}
        about = json.loads(str(file["about"]))
    fixed = {key.removeprefix("constant/"): value for key, value in arrays.items() if key.startswith("constant/")}
    drawn = {key: shape for key, shape in about["shapes"].items() if key not in fixed}
    values = fixed | seeded_state(drawn, about["seed"], about["factors"])
    state = {key: values[key] for key in about["shapes"]}
    return Reference(about, state, set(fixed), arrays["input"], arrays["output"])
