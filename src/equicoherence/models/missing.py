"""The error for a MODEL that there is not, with what may have been meant."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from equicoherence.models.timm_names import is_timm_name, near_timm_name

_NAMED = "a run directory, timm:NAME, hf-hub:OWNER/NAME"
_FILES = "a weights file (FILE@ARCH), or the folder of a timm model, such as an export"
KINDS = f"{_NAMED}, baseline:NAME, {_FILES}"
"""All that MODEL of `equicoherence evaluate` can be."""
PRETRAINED = f"{_NAMED}, {_FILES}"
"""All that a training can start from: `KINDS` without baselines."""
ENDINGS = (".bin", ".ckpt", ".pt", ".pth", ".safetensors", ".tar", ".yaml")  # of files, which no name of timm has


def no_model(text: str) -> FileNotFoundError:
    """Return the error that quotes what is no MODEL, with what may have been meant."""
    file, at, arch = text.rpartition("@")
    if at and Path(file).is_dir():
        return FileNotFoundError(f"model {text!r}: {file!r} is a folder, which says itself what it is: give {file}")
    if at:
        return FileNotFoundError(f"model {text!r}: there is no file {file!r} of weights for {arch}{near_path(file)}")
    return no_kind("model", text, KINDS, "MODEL")


def no_kind(what: str, text: str, kinds: str, option: str) -> FileNotFoundError:
    """Return the error that quotes what is no MODEL; what may have been meant comes first.

    what: what the text is given as, such as "model".
    kinds: what it can be.
    option: the argument that takes it, such as "--encoder.weights".
    """
    if near := meant(text):
        return FileNotFoundError(f"{what} {text!r}: is it {near}? {option} is {kinds}")
    return FileNotFoundError(f"{what} {text!r} is none of what {option} is: {kinds}")


def meant(text: str) -> str:
    """Return the MODEL that may have been meant: one of timm without its prefix, or a path near; else ""."""
    may_be_timm = Path(text).name == text and not text.endswith(ENDINGS)
    if may_be_timm and is_timm_name(text):
        return f"timm:{text}"
    if near := _near(text):
        return repr(near)
    name = near_timm_name(text) if may_be_timm else ""
    return f"timm:{name}" if name else ""


def near_path(text: str) -> str:
    """Return the end of a sentence that names a path near one that there is not; "" for none, or if it is there."""
    near = _near(text)
    return f"; is it {near!r}?" if near else ""


def _near(text: str) -> str:
    """Return a path near one that there is not; "" for none, or if it is there."""
    path = Path(text)
    if path.exists() or not path.parent.is_dir():
        return ""
    near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    return str(path.parent / near[0]) if near else ""
