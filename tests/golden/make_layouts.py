"""Makes ``layouts/*.npz`` again: ``PYTHONPATH=src:tests python tests/golden/make_layouts.py FOLDER [NAME...]``.

FOLDER holds a checkout of each repository that ``references/sources.py`` lists, named OWNER+NAME. The authors' code is
imported from there and run with seeded weights.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch

from golden.references import (
    carn_pan_lapsrn,
    dat_atd_pft,
    distillation,
    edsr_rcan,
    efficient,
    liif,
    luma,
    mmagic,
    rdn_wdsr,
    rrdb_compact,
    srresnet,
    swinir_hat_omnisr,
)
from golden.references.sources import COMMITS, Layout, authors
from seeded_weights import seeded_state
from sr_lightning.functional import imresize

TABLES = (
    edsr_rcan, rdn_wdsr, rrdb_compact, srresnet, distillation, efficient, carn_pan_lapsrn, liif, luma,
    mmagic, swinir_hat_omnisr, dat_atd_pft,
)  # fmt: skip
HERE = Path(__file__).parent / "layouts"


def make(layout: Layout, folder: Path) -> dict[str, np.ndarray]:
    """The arrays of one file."""
    with authors(folder, layout) as module:
        net = layout.make(module).eval()
        own = net.state_dict()
        ends = layout.constant
        constants = {name: value.clone() for name, value in own.items() if name.startswith(ends) or name.endswith(ends)}
        shapes = {name: list(value.shape) for name, value in own.items() if re.search(layout.kept, name)}
        drawn = seeded_state(
            {name: shape for name, shape in shapes.items() if name not in constants}, 0, layout.factors
        )
        torch.nn.Module.load_state_dict(net, own | drawn | constants)
        lr = torch.from_numpy(np.random.default_rng(1).random((1, layout.channels, *layout.size), np.float32))
        net.double()  # so that no machine's rounding is in the result
        fed = lr.double() * layout.value_range
        if layout.enlarged:
            fed = imresize(fed, layout.enlarged)
        with torch.no_grad():
            sr = (layout.call or (lambda net, x: net(x)))(net, fed) / (layout.output_range or layout.value_range)
    about = layout.about() | {"shapes": shapes, "seed": 0}
    return {
        "about": np.array(json.dumps(about)),
        "input": lr.numpy(),
        "output": sr.numpy().astype(np.float32),
        **{f"constant/{name}": value.numpy() for name, value in constants.items()},
    }


def main(folder: Path, names: list[str]) -> None:
    """Writes all files, or those of these names."""
    for layout in (layout for table in TABLES for layout in table.LAYOUTS):
        if not names or any(layout.name.startswith(name) for name in names):
            np.savez_compressed(HERE / f"{layout.name}.npz", **make(layout, folder))
            print(layout.name, COMMITS[layout.repository][0][:7])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
