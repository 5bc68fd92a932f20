"""What an evaluation has done, kept in a file until all of it is: an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from equicoherence.evaluation.model import FrozenModel
from equicoherence.files import write_aside


class PartialResults:
    """Finished parts by name. key: all that their scores depend on; a file written for another key is not used."""

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path = path
        self.key = json.loads(json.dumps(key))  # as it reads in the file: lists for tuples
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.parts: dict[str, dict[str, Any]] = found["parts"] if found.get("key") == self.key else {}

    def get(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the part ``name``, made and written to the file where it is not there yet."""
        if name not in self.parts:
            self.parts[name] = make()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(self.path, json.dumps({"key": self.key, "parts": self.parts}))
        return self.parts[name]

    def drop(self) -> None:
        """Delete the file, when the whole has been written elsewhere."""
        self.path.unlink(missing_ok=True)


def fingerprint(model: FrozenModel) -> str:
    """Return a hash of all weights, so that parts of a run trained further in the meantime are not taken up."""
    digest = hashlib.sha256()
    for module in model.modules():
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
