"""A device that has neither float64 nor uint16, as Apple's GPUs, made of the CPU: tensors that say they are elsewhere.

It is PyTorch's third-party device (``privateuse1``) under the name ``fake``, without a compiled line. Each tensor on
it wraps one on the CPU. An operation there computes with the wrapped ones, and is refused where a GPU would refuse it:
if a tensor of a type that the device lacks would come of it, or if it mixes tensors of the CPU and of the device.

PyTorch cannot take a device back. Use it in a process of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "fake"
#: Operations that may read tensors of the CPU beside those of a GPU: copies, and indices.
_MIXING = (
    "_to_copy",
    "copy_",
    "index",
    "index_put",
    "index_put_",
    "_index_put_impl_",
    "_has_compatible_shallow_copy_type",
)


class OnDevice(torch.Tensor):
    """A tensor that says it is on the device."""

    wrapped: torch.Tensor

    @staticmethod
    def __new__(cls, wrapped: torch.Tensor) -> "OnDevice":
        made: OnDevice = torch.Tensor._make_wrapper_subclass(
            cls,
            wrapped.shape,
            strides=wrapped.stride(),
            storage_offset=wrapped.storage_offset(),
            dtype=wrapped.dtype,
            device=torch.device(NAME, 0),
        )
        made.wrapped = wrapped
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.wrapped.untyped_storage()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.wrapped.__reduce_ex__(protocol)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnDevice({self.wrapped!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class OnFakeDevice(TorchDispatchMode):
    """While it is on, ``device="fake"`` works.

    Attributes:
        operations: How many gave a tensor on the device.
    """

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Made(TorchFunctionMode):
    """Lets ``torch.tensor`` make tensors on the device: its C++ copies past the mode above."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == NAME:
            return func(*args, **{**kwargs, "device": "cpu"}).to(NAME)
        if func is torch.Tensor.new_tensor and isinstance(args[0], OnDevice):
            return torch.tensor(args[1], dtype=args[0].dtype).to(NAME)
        return func(*args, **kwargs)


def _no_grad(mode: Any = True) -> Any:
    return torch.no_grad() if mode is True else torch.no_grad()(mode) if callable(mode) else nullcontext()


def _computed(func: Any, args: Any, kwargs: Any) -> Any:
    """An operation, on the device if it is asked for or if its tensors are there."""
    everything = tree_leaves((args, kwargs))
    device = next((leaf for leaf in everything if isinstance(leaf, torch.device)), None)
    name = func.overloadpacket.__name__
    leaves = [leaf for leaf in everything if isinstance(leaf, torch.Tensor)]
    inside = [leaf for leaf in leaves if isinstance(leaf, OnDevice)]
    there = device.type == NAME if device is not None else bool(inside)
    outside = [leaf for leaf in leaves if not isinstance(leaf, OnDevice) and leaf.ndim]
    if inside and outside and name not in _MIXING:
        raise RuntimeError(f"{name}: expected all tensors on one device, but got the CPU's and {NAME}'s")
    if inside and torch.float64 in [leaf for leaf in everything if isinstance(leaf, torch.dtype)]:
        raise TypeError(f"{NAME} has no float64: move the tensor before it is converted")

    def unwrapped(leaf: Any) -> Any:
        if isinstance(leaf, torch.device) and leaf.type == NAME:
            return torch.device("cpu")
        return leaf.wrapped if isinstance(leaf, OnDevice) else leaf

    out = func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs))
    if not there or name == "_local_scalar_dense":
        return out
    if name == "copy_":
        return args[0]
    OnFakeDevice.operations += 1

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if leaf.dtype in (torch.float64, torch.uint16):
            raise TypeError(f"{NAME} has no {str(leaf.dtype)[6:]}, which {name} would make")
        known = next((one for one in inside if one.wrapped is leaf), None)
        return OnDevice(leaf) if known is None else known

    return tree_map(placed, out)


@contextmanager
def fake_device() -> Iterator[None]:
    """Makes the device, for the rest of the process, and computes on it inside."""
    from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

    # Tensors of inference mode refuse to be wrapped.
    torch.inference_mode = _no_grad  # type: ignore[misc, assignment]
    from sr_lightning.devices.double import WITHOUT_FLOAT64

    class Module(_DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.float16, torch.bfloat16]

    _setup_privateuseone_for_python_backend(NAME, Module())
    autocast = torch.library.Library("_", "IMPL")  # which does nothing on such a device
    autocast.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    WITHOUT_FLOAT64.add(NAME)
    with OnFakeDevice(), _Made(), torch.autograd.set_multithreading_enabled(False):
        yield
    del autocast
