"""Count what a step sends from the host to its device, which a GPU would wait for, on a machine without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class FromTheHost(TorchDispatchMode):
    """Count the tensors made from Python numbers: by `torch.tensor`, or by indexing with a list."""

    count = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func is torch.ops.aten.lift_fresh.default
        return func(*args, **(kwargs or {}))
