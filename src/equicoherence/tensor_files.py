"""Files of tensors, torch's and safetensors: read without executing code; what is damaged is named in one sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from equicoherence.files import Damaged
from equicoherence.finite import not_finite

TORCH = (b"PK", b"\x80")  # how torch's files begin: as zip archives, earlier ones as pickles


def write_torch(content: object, file: BinaryIO, path: Path) -> None:
    """Write what `read_torch` reads into an open file, to be put at ``path``.

    Raises OSError, with the path, where it cannot be written: torch says "unexpected pos" of a disk that is full.
    """
    noting = _Noting(file)
    try:
        torch.save(content, noting)  # type: ignore[arg-type]
    except (RuntimeError, OSError) as error:
        if noting.error is None:
            raise
        raise OSError(noting.error.errno, noting.error.strerror, str(path)) from error


class _Noting:
    """A file that remembers why it could not be written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def digest_of(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 of tensors and their names, in hexadecimal letters."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())  # type: ignore[arg-type]
    return digest.hexdigest()


def read_safetensors(path: Path, advice: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    advice: what to do where it is damaged. Raises `Damaged` where it is, or holds a value that is not finite.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, OverflowError, OSError) as error:
        raise Damaged(path, _why(path, "safetensors"), advice) from error
    refuse_not_finite(tensors, path, advice)
    return tensors


def read_torch(
    path: Path, advice: str, *, device: torch.device | str = "cpu", safe: Sequence[type] = ()
) -> dict[str, Any]:
    """Return the dictionary that a torch file holds, by ``weights_only``.

    safe: classes that it may hold beside tensors and plain values. Raises `Damaged` where it cannot be read, holds
    Python objects, which could run code, or no dictionary.
    """
    try:
        with torch.serialization.safe_globals(list(safe)):
            held = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise Damaged(path, _why(path, "torch", error), advice) from error
    if not isinstance(held, dict):
        raise Damaged(path, f"it holds a {type(held).__name__} where a dictionary is expected", advice)
    return held


def refuse_not_finite(tensors: dict[str, Tensor], path: Path, advice: str) -> None:
    """Raise `Damaged` where a tensor of a file holds a value that is not finite."""
    if name := not_finite(tensors):
        raise Damaged(path, f"its tensor {name} holds values that are not finite", advice)


def _why(path: Path, kind: str, error: Exception | None = None) -> str:
    """Say in a few words, which are not the library's own, why a file cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as problem:
        return f"it cannot be opened: {problem.strerror}"
    refused = re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", str(error))
    if refused:
        return f"it holds a Python object, {refused[1]}, which could run code"
    if not size:
        return "it is empty"
    right = start[8:] == b"{" if kind == "safetensors" else start.startswith(TORCH)
    return f"it is cut off or overwritten; it has {size} bytes" if right else f"it is no {kind} file"
