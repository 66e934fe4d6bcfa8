"""Published files by the checksum of their tensors: what no shape in them shows, and their licences."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sr_lightning.weights.reading import WeightsFile


class KnownFile(NamedTuple):
    """A published file.

    Args:
        name: The file, as its project calls it.
        licence: Of its repository; empty where that states none.
        arguments: Those of its network that its shapes do not show.
    """

    name: str
    licence: str
    arguments: Mapping[str, Any] = {}


#: By ``WeightsFile.checksum``.
KNOWN = {
    "ec99eef986f1d537": KnownFile("CARN-M (nmhkahn/CARN-pytorch)", "MIT"),
    "2e9f41712dba47cc": KnownFile("IMDN_x2 (Zheng222/IMDN)", ""),
    "5b91fa9866383568": KnownFile("IMDN_x3 (Zheng222/IMDN)", ""),
    "32ea54c0fad07b45": KnownFile("IMDN_x4 (Zheng222/IMDN)", ""),
    "ab473e58b8aa57e6": KnownFile("LapSRN x4 (twtygqyy/pytorch-LapSRN)", "MIT"),
    "2d1e5d1494467b51": KnownFile("PANx2_DF2K (zhaohengyuan1/PAN)", "Apache-2.0", {"scale": 2}),
    "979fb4ac05e0559f": KnownFile("PANx3_DF2K (zhaohengyuan1/PAN)", "Apache-2.0", {"scale": 3}),
    "3e7869b1a7f53ade": KnownFile("PANx4_DF2K (zhaohengyuan1/PAN)", "Apache-2.0", {"scale": 4}),
    "8890953ecd6f25f3": KnownFile("RFDN_AIM (njulj/RFDN)", "MIT", {"value_range": 255.0}),
    "8badaa938aac050a": KnownFile("SPAN, 28 channels, NTIRE 2024", "MIT", {"value_range": 255.0}),
    "a8f48e590407298c": KnownFile("VDSR (twtygqyy/pytorch-vdsr)", "MIT"),
    "eece668e6b4e30a4": KnownFile("LapSRN x2 (phoenix104104/LapSRN)", ""),
    "e1211a1503eff5f4": KnownFile("LapSRN x4 (phoenix104104/LapSRN)", ""),
    "dfdaf3c7cbe847aa": KnownFile("LapSRN x8 (phoenix104104/LapSRN)", ""),
    "bddec78422a2dd79": KnownFile("MS-LapSRN D5R2 (phoenix104104/LapSRN)", "", {"num_recursions": 2}),
    "0228666437364afb": KnownFile("BSRN x2 (xiaom233/BSRN)", "MIT"),
    "47abec480caa305e": KnownFile("BSRN x3 (xiaom233/BSRN)", "MIT"),
    "065fe79d112d1921": KnownFile("BSRN x4 (xiaom233/BSRN)", "MIT"),
    "06ca34fb76e00f1e": KnownFile("DAT-light x2 (zhengchen1999/DAT)", "Apache-2.0"),
    "251567a3782ffe0a": KnownFile("DAT-light x3 (zhengchen1999/DAT)", "Apache-2.0"),
    "d6508bdd998f8ae2": KnownFile("DAT-light x4 (zhengchen1999/DAT)", "Apache-2.0"),
    "2013ed845ffd1463": KnownFile("SPANF, team 24 of NTIRE 2025", "MIT"),
    "64594a5ddfe857c5": KnownFile("SPAN, team 46 of NTIRE 2025", "MIT", {"value_range": 255.0}),
    "d99fa20717dcae13": KnownFile("SPANV2, team 22 of NTIRE 2026", "MIT"),
    "d68db8d409d0bc90": KnownFile("RLFN_NTIRE x4 (bytedance/RLFN)", "Apache-2.0", {"value_range": 255.0}),
    "76df9114f15ccc1b": KnownFile("RLFN x2 (bytedance/RLFN)", "Apache-2.0", {"value_range": 255.0}),
    "9730ce3acf868dbd": KnownFile("RLFN x4 (bytedance/RLFN)", "Apache-2.0", {"value_range": 255.0}),
    "69288268bf45c766": KnownFile("RealESRGAN_x4plus_anime_6B (xinntao/Real-ESRGAN)", "BSD-3-Clause"),
    "9482468420fbe818": KnownFile("realesr-animevideov3 (xinntao/Real-ESRGAN)", "BSD-3-Clause"),
    "85cfe385ac491039": KnownFile("realesr-general-wdn-x4v3 (xinntao/Real-ESRGAN)", "BSD-3-Clause"),
    "9ea1bc2168995590": KnownFile("realesr-general-x4v3 (xinntao/Real-ESRGAN)", "BSD-3-Clause"),
    "713a02fc9519f802": KnownFile("SMFANet x2 (Zheng-MJ/SMFANet)", "Apache-2.0"),
    "547dc5f3f2c87b6d": KnownFile("SMFANet x3 (Zheng-MJ/SMFANet)", "Apache-2.0"),
    "b3110fc873177247": KnownFile("SMFANet x4 (Zheng-MJ/SMFANet)", "Apache-2.0"),
    "400296239efe18b7": KnownFile("SMFANet+ x4 (Zheng-MJ/SMFANet)", "Apache-2.0"),
    "23ca9047cf973926": KnownFile("EDSR-baseline of LIIF, part 1 (yinboc/liif)", "BSD-3-Clause"),
    "eadd742de4dcd5b2": KnownFile("EDSR-baseline of LIIF, part 2 (yinboc/liif)", "BSD-3-Clause"),
}


def known_file(file: WeightsFile) -> KnownFile | None:
    """The published file that this one is, in whatever format it is kept."""
    return KNOWN.get(file.checksum)


def known_arguments(file: WeightsFile) -> dict[str, Any]:
    """What is known of a published file beyond its names and shapes; empty for all others."""
    known = known_file(file)
    return dict(known.arguments) if known else {}
