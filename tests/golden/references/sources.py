"""The repositories, and how a module of one is imported without the rest of it."""

import importlib
import importlib.abc
import importlib.machinery
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from torch import Tensor, nn

#: Commit, or version of a package, and licence of every source.
COMMITS = {
    "Amazingren/NTIRE2025_ESR": ("b69fb668c0362deb696eecbfdebfaa5c2fcdfcb4", "MIT"),
    "Amazingren/NTIRE2026_ESR": ("4592ce6db68b395699f13e7e2a4e3baf317ef1c6", "MIT"),
    "bytedance/RLFN": ("bccfde91bf8b2de80789ec033a029e6f2a932330", "Apache-2.0"),
    "Coloquinte/torchSR": ("64321b8fd9581c9fa27ccdf13ea067d7ab5cb50d", "MIT"),
    "cszn/KAIR": ("fc1732f4a4514e42ce15e5b3a1e18c828af47a1e", "MIT"),
    "eugenesiow/super-image": ("aef2b8b67439fb77583b13800e03b203ce774464", "Apache-2.0"),
    "hongyuanyu/SPAN": ("c77a5917759f09e66fbc7124220c5afc5ee221e5", "Apache-2.0"),
    "icpm/super-resolution": ("b0914893d3edfe2488396490ece59b6511c0e6a8", "Apache-2.0"),
    "jacobgil/pytorch-zssr": ("ee2364def43455829dc108037d2af0aaf0b6d69c", "Apache-2.0"),
    "JiahuiYu/wdsr_ntire2018": ("188102dca86757a4bd02df83f9ae4e5014cbcd8e", "none stated"),
    "jt827859032/DRRN-pytorch": ("883a0a4dfa38debf945dfb6bbf9f1ad60294299c", "MIT"),
    "LabShuHangGU/PFT-SR": ("7d4a6874bc0a3e4538dc035a31a705957d9d3ad3", "Apache-2.0"),
    "leftthomas/ESPCN": ("b1dd698406b0a6dbdbb9c2618bbb06dc903e9b06", "none stated"),
    "leftthomas/SRGAN": ("7ddfdf27273c42d858ec52cab5ca1cbfca81d0be", "MIT"),
    "Lornatang/DRRN-PyTorch": ("acc88f8ba34148d5708e678274d0866b5af496f5", "Apache-2.0"),
    "Lornatang/EDSR-PyTorch": ("d3eac0681f7f9648659af47ed742b37b59f07284", "Apache-2.0"),
    "Lornatang/ESPCN-PyTorch": ("a92f209618ad394d0775cb7a474aaa1517d85db8", "Apache-2.0"),
    "Lornatang/FSRCNN-PyTorch": ("e6f8d53775d93249292fb80eed0af940aa7710c5", "Apache-2.0"),
    "Lornatang/LapSRN-PyTorch": ("011b2aee80b12a2b90838ec0c74cc33dad9b5891", "Apache-2.0"),
    "Lornatang/RCAN-PyTorch": ("52557f66fc2cb396211054c6f927d5da45dd6d56", "Apache-2.0"),
    "Lornatang/RDN-PyTorch": ("c6de3a7f45eb723746e27297d32185a3b8aa8375", "Apache-2.0"),
    "Lornatang/SRCNN-PyTorch": ("a0a108ea47710118b7a3ba99d72290c409feacff", "Apache-2.0"),
    "Lornatang/SRGAN-PyTorch": ("8842030eb433f8578a77328060121fa5a9a3cb43", "Apache-2.0"),
    "Lornatang/VDSR-PyTorch": ("a573e5c1e3d6d0a072cf3602022ab4954743a273", "Apache-2.0"),
    "mengyangniu/DeepResNet_SR_MultipleEnhancement": ("d0e782c83c853335a204c62250a5c478118575bf", "MIT"),
    "njulj/RFDN": ("7cf4e25b6633e81fd7e26891aeee2baca4f8f927", "MIT"),
    "open-mmlab/mmagic": ("0a560bba9b79ebe78574e1d4cbbdd0e798e63568", "Apache-2.0"),
    "nmhkahn/CARN-pytorch": ("40d3514f81cccd680d846cd5ab07af35f2c8e0e2", "MIT"),
    "ofsoundof/NTIRE2022_ESR": ("e95ba4a4916bb13d6348f7ee172827e2452e8a31", "MIT"),
    "selous123/SRNet-zoom-pytorch": ("08b647e121d70ca69e04719684bcdce8ca8b65d3", "none stated"),
    "sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution": ("c30556bc79a9d43539f2d658722bcb7ff5011ddb", "MIT"),
    "spandrel": ("0.4.2", "MIT"),
    "thstkdgus35/EDSR-PyTorch": ("9d3bb0ec620ea2ac1b5e5e7a32b0133fbba66fd2", "MIT"),
    "twtygqyy/pytorch-LapSRN": ("1b7737abe6ccaef2d14b673d301edbace3414c02", "MIT"),
    "twtygqyy/pytorch-SRResNet": ("d715729c8805f59dccd4a89acb7af11cb7b1534a", "MIT"),
    "twtygqyy/pytorch-vdsr": ("514b021044018baf909e79f48392783daa592888", "MIT"),
    "xiaom233/BSRN": ("2d63d5239c9fa9810b9c1aea93e98d42ece09efc", "MIT"),
    "xinntao/ESRGAN": ("73e9b634cf987f5996ac2dd33f4050922398a921", "Apache-2.0"),
    "xinntao/Real-ESRGAN": ("a4abfb2979a7bbff3f69f58f58ae324608821e27", "BSD-3-Clause"),
    "XPixelGroup/BasicSR": ("8d56e3a045f9fb3e1d8872f92ee4a4f07f886b0a", "Apache-2.0"),
    "ychfan/wdsr": ("b78256293c435ef34e8eab3098484777c0ca0e10", "MIT"),
    "yinboc/liif": ("4c833f8f9d5d038df3ee2b50ebe649c30e628c0f", "BSD-3-Clause"),
    "yjn870/ESPCN-pytorch": ("ab84ee1bccb2978f2f9b88f9e0315d9be12c099e", "none stated"),
    "yjn870/FSRCNN-pytorch": ("3eaab297f4b77b3c2877aac71b2a9497eaa839a4", "none stated"),
    "yjn870/RCAN-pytorch": ("0cba4c714eea8b2fdbc9a146313088cd9cc134f5", "none stated"),
    "yjn870/RDN-pytorch": ("f2641c0817f9e1f72acd961e3ebf42c89778a054", "MIT"),
    "yjn870/SRCNN-pytorch": ("064dbaac09859f5fa1b35608ab90145e2d60828b", "none stated"),
    "yulunzhang/RCAN": ("f722e5d0e1eff45148bfaefd9bc85c6f0f26ce02", "none stated"),
    "zhaohengyuan1/PAN": ("4d045d18592c5771cd3990da88f292812774e538", "none stated"),
    "Zheng-MJ/SMFANet": ("a05e0bb554bbbb80cd27d8fd2b78d4228c657170", "Apache-2.0"),
    "Zheng222/IMDN": ("8f158e6a5ac9db6e5857d9159fd4a6c4214da574", "none stated"),
}

#: Imported by the authors' files beside the networks, and not needed to run them.
ABSENT = (
    "basicsr.ops", "mmengine", "mmcv", "mmagic.registry", "torchvision", "cv2", "lmdb", "h5py", "huggingface_hub",
    "imageio", "skimage", "tqdm", "tensorboardX", "fairscale", "smm_cuda",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One file of ``layouts``."""

    name: str
    repository: str
    #: Path of the module in the repository.
    file: str
    #: Whose files have these names.
    whose: str
    #: Makes the reference of its module.
    make: Callable[[Any], nn.Module]
    #: Our class and its arguments.
    network: str
    arguments: Mapping[str, Any]
    #: The value of white that the reference reads and gives.
    value_range: float = 1
    #: The value of white that it gives, where it differs.
    output_range: float | None = None
    channels: int = 3
    size: tuple[int, int] = (7, 6)
    #: The reference reads a picture that was enlarged by this factor before.
    enlarged: int = 0
    #: What the reference is called with, where it is not the picture alone.
    call: Callable[[Any, Tensor], Tensor] | None = None
    #: Beginnings or ends of the names of tensors that the reference does not learn.
    constant: tuple[str, ...] = ("sub_mean.", "add_mean.")
    #: Names in the file, where it holds less than the reference.
    kept: str = ""
    #: The entry that the authors save the weights under, where there is one, and what they put before the names.
    entry: str = ""
    prefix: str = ""
    #: Factors of seeded weights. At 0...255 the features would be so large that the gates were all open or closed.
    factors: Mapping[str, float] = field(default_factory=dict)
    #: The reference clips its output to [0, 1].
    clipped: bool = False
    #: The folder that the reference imports from.
    root: str = ""
    #: Packages whose own code is not run.
    bare: Sequence[str] = field(default=())

    def about(self) -> dict[str, Any]:
        """What the file says of itself."""
        commit, licence = COMMITS[self.repository]
        return {
            "source": f"{self.repository} {self.file} at {commit}",
            "licence": licence,
            "whose": self.whose,
            "network": self.network,
            "arguments": dict(self.arguments),
            "input_range": self.value_range,
            "output_range": self.output_range or self.value_range,
            "enlarged": self.enlarged,
            "clipped": self.clipped,
            "entry": self.entry,
            "prefix": self.prefix,
            "factors": dict(self.factors),
        }


def options(**values: Any) -> SimpleNamespace:
    """The object of options that many authors pass to their networks."""
    return SimpleNamespace(**values)


@contextmanager
def authors(folder: Path, layout: Layout) -> Iterator[ModuleType]:
    """Imports the module of a layout, and forgets it and all that it imported afterwards."""
    root = folder / layout.repository.replace("/", "+") / layout.root
    before, finder = dict(sys.modules), _Absent()
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, finder)
    for name in layout.bare:
        sys.modules[name] = package = _Placeholder(name)
        package.__path__ = [str(root / name.replace(".", "/"))]
    try:
        dotted = layout.file.removeprefix(layout.root).strip("/").removesuffix(".py").replace("/", ".")
        yield importlib.import_module(dotted)
    finally:
        added = {name: sys.modules[name] for name in set(sys.modules) - set(before)}
        for name in [name for name, module in added.items() if _is_of(module, root)]:
            del sys.modules[name]
        sys.path.remove(str(root))
        sys.meta_path.remove(finder)


def _is_of(module: ModuleType, root: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]  # a folder alone has no file
    return isinstance(module, _Placeholder) or any(str(place).startswith(str(root)) for place in places)


class _Anything:
    """Stands for a function, a decorator or a registry, and leaves classes as they are."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return given[0] if len(given) == 1 and isinstance(given[0], type) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class _Base(nn.Module):
    """Stands for a class that others inherit from, such as mmengine's ``BaseModule``."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__()


class _Placeholder(ModuleType):
    """A module that is not run: it has what the files of its folder define, and stand-ins of all else."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for folder in vars(self).get("__path__", ()):
            for file in Path(folder).glob("*.py"):
                if re.search(rf"^(class|def) {name}\b", file.read_text(), re.MULTILINE):
                    return getattr(importlib.import_module(f"{self.__name__}.{file.stem}"), name)
        return _Base if name.lstrip("_")[0].isupper() and not name.isupper() else _Anything()


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        wanted = any(name == absent or name.startswith(f"{absent}.") for absent in ABSENT)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec: Any) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass
