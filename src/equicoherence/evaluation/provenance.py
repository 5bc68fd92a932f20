"""Date, machine, precision and versions, to stand beside every figure."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from equicoherence.data.loader import usable_cores


def provenance(precision: str) -> dict[str, Any]:
    """Return date, machine and versions as ``scores.json`` keeps them.

    precision: in which the encoder computed (`precision_of`), in training if it was fine-tuned; it stands beside the
        machine, which decides it.
    """
    import timm
    import torchvision

    from equicoherence import __version__

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    machine = {"processor": processor(), "cores": usable_cores(), "gpu": gpu, "precision": precision}
    versions = {
        "equicoherence": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
    }
    return {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "versions": versions}


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
