"""The error for a MODEL that there is not, with what may have been meant."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from equicoherence.models.timm_names import is_timm_name


def no_model(text: str) -> FileNotFoundError:
    """Return the error that quotes what is no MODEL, with what may have been meant."""
    file, at, arch = text.rpartition("@")
    if at and Path(file).is_dir():
        return FileNotFoundError(f"model {text!r}: {file!r} is a folder, which says itself what it is: give {file}")
    if at:
        return FileNotFoundError(f"model {text!r}: there is no file {file!r} of weights for {arch}{near_path(file)}")
    return FileNotFoundError(
        f"model {text!r} is neither a run directory, nor timm:NAME, hf-hub:OWNER/NAME or baseline:NAME, nor a weights "
        f"file (FILE@ARCH) or an exported folder{meant(text)}"
    )


def meant(text: str) -> str:
    """Return the end of a sentence that says what may have been meant: a model of timm, or a path near; else ""."""
    if Path(text).name == text and is_timm_name(text):
        return f"; for timm's weights write timm:{text}"
    return near_path(text)


def near_path(text: str) -> str:
    """Return the end of a sentence that names a path near one that there is not; "" for none, or if it is there."""
    path = Path(text)
    if path.exists():
        return ""
    if path.parent.is_dir() and (near := difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)):
        return f"; is it {str(path.parent / near[0])!r}?"
    return ""
