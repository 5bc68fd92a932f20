"""The device: chosen by the user, or the best one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda", "mps"]
"""cuda: an NVIDIA GPU, or AMD's with a ROCm build of torch. mps: of a Mac. auto: cuda where there is one, else cpu."""


def with_float64(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor where it can be made float64: on the CPU in place of a Mac's GPU, else where it is."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor


def float64(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in float64, on the CPU in place of a Mac's GPU."""
    return with_float64(tensor).double()


def beside(numbers: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return float64 numbers on the device of another tensor, and in its precision where that is a Mac's GPU."""
    return numbers.to(other) if other.device.type == "mps" else numbers


def chosen_device(asked: str = "auto") -> torch.device:
    """Return the device of a name of `Device`. Raises ValueError, quoting it, for one that torch does not find here."""
    import torch  # which the names of devices, for a command's help, do not need

    if asked not in get_args(Device):
        raise ValueError(f"device {asked!r} is unknown; choose one of {', '.join(get_args(Device))}")
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device("cuda" if found["cuda"] else "cpu")
    if not found[asked]:
        here = ", ".join(name for name, there in found.items() if there)
        raise ValueError(
            f"device is {asked}, but torch {torch.__version__} finds none here (it finds {here}); leave --device out, "
            "or install a torch that is built for it"
        )
    return torch.device(asked)
