"""What the name of a timm model stands for: an architecture, and the arguments that its source keeps for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm

from equicoherence.files import Damaged
from equicoherence.json_file import read_json
from equicoherence.models.on_hub import hub_folder, is_on_hub
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.timm_names import unknown_model


def read_config(path: Path) -> dict[str, Any]:
    """Return a ``config.json`` of timm. Raises ValueError for a file that names no architecture that timm has."""
    advice = "export the run again with --overwrite"
    config = read_json(path, advice)
    architecture = config.get("architecture")
    if not isinstance(architecture, str):
        raise Damaged(path, "it does not say which model of timm it is for", advice)
    if not timm.is_model(architecture):
        raise ValueError(f"{path} is for {architecture!r}, which is no model that timm has; give another folder")
    for field in ("pretrained_cfg", "model_args"):
        if not isinstance(config.get(field) or {}, dict):
            raise Damaged(path, f"its {field} is no mapping", advice)
    return config


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """Return the architecture of a `timm.create_model` name, and the saved arguments of it.

    A name is one of timm's own, or says where a model is: ``local-dir:FOLDER``, an exported run among them, or
    ``hf-hub:OWNER/MODEL``, whose configuration is fetched. Raises ValueError for a name that timm does not know,
    FileNotFoundError for a folder without ``config.json``.
    """
    folder = folder_of(name)
    if folder is not None:
        path = folder / "config.json"
        if not path.is_file():
            is_run = (folder / "config.yaml").is_file()
            advice = f"it is a run that timm cannot load; write {folder}" if is_run else "give an exported run's folder"
            raise FileNotFoundError(f"{name} cannot be loaded: {path} does not exist; {advice}")
        config = read_config(path)
        return config["architecture"], dict(config.get("model_args") or {})
    if not timm.is_model(name):
        raise unknown_model(name)
    return name, {}


def folder_of(name: str) -> Path | None:
    """Return the folder that holds the model of a name, fetched where it is on the Hub; None for one of timm's own."""
    if is_on_hub(name):
        return hub_folder(name)
    return Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None


def split_file(model: str) -> tuple[str, str | None]:
    """Return the file and the architecture of FILE@ARCH, which must exist; another text as it is, and None."""
    file, at, arch = model.rpartition("@")
    return (file, arch) if at and not Path(model).exists() and Path(file).is_file() else (model, None)
