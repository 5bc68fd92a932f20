"""What the name of a timm model stands for: an architecture, and the arguments that its source keeps for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm

from equicoherence.json_file import read_json


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """Return the architecture of a `timm.create_model` name, and the saved arguments of it.

    A name is one of timm's own, or says where a model is: ``local-dir:FOLDER``, an exported run among them, or
    ``hf-hub:OWNER/MODEL``, whose configuration is fetched. Raises ValueError for a name that timm does not know,
    FileNotFoundError for a folder without ``config.json``.
    """
    source, place = timm.models.parse_model_name(name) if ":" in name else (None, name)
    if source == "local-dir":
        path = Path(place) / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{name} cannot be loaded: {path} does not exist; give an exported run's folder")
        advice = "export the run again with --overwrite"
        config = read_json(path, advice)
        architecture, args = config.get("architecture"), config.get("model_args") or {}
        if not isinstance(architecture, str) or not isinstance(args, dict):
            raise ValueError(f"{path} is damaged (it does not say which model of timm it is for): {advice}")
        return architecture, args
    if source is not None:
        _, architecture, args = timm.models.load_model_config_from_hf(place)
        return architecture, dict(args or {})
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:8])
        raise ValueError(f"timm has no model {name!r}" + (f"; near it: {near}" if near else ""))
    return name, {}
