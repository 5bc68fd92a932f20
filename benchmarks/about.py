"""The header of every results file, and how it is written: to a temporary name, then renamed."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from equicoherence.evaluation.provenance import processor


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Return date, processor, accelerator, load and the versions of Python, torch and ``packages``."""
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "load average over the last minute": round(os.getloadavg()[0], 2),
    }
    if torch.cuda.is_available():
        about["gpu"] = torch.cuda.get_device_name()
    versions = {name: version(name) for name in packages}
    return {**about, "python": platform.python_version(), "torch": torch.__version__, **versions}


def version(package: str) -> str:
    """Return the version of a package, or that it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write_results(folder: Path, name: str, title: str, about: dict[str, Any], rows: list[Any], tables: str) -> None:
    """Write ``NAME-DATE.md`` and ``.json`` into ``folder``, and print where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# {title}\n\n" + "\n".join(f"- {key}: {value}" for key, value in about.items())
    for suffix, text in (
        (".md", f"{head}\n\n{tables}"),
        (".json", json.dumps({**about, "rows": rows}, indent=1, default=str)),
    ):
        target = folder / f"{name}-{about['date'][:10]}{suffix}"
        beside = target.with_name(target.name + ".part")
        beside.write_text(text)
        os.replace(beside, target)
        print(target)
