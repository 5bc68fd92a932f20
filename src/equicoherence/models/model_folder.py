"""A folder that is given as MODEL: of a run, or of a timm model, such as `equicoherence export` writes."""

from __future__ import annotations

from pathlib import Path

from equicoherence.json_file import read_json
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.shared_files import CONFIG

RUN = "config.yaml"  # which only runs have
WEIGHTS = (".safetensors", ".pth", ".pth.tar", ".bin")  # endings of weights that timm reads


def with_source(model: str | Path) -> str:
    """Return MODEL, and for the folder of a timm model ``local-dir:FOLDER``.

    Raises FileNotFoundError for a folder of neither a run nor a timm model, `Damaged` for a damaged ``config.json``.
    """
    folder = Path(model)
    if not folder.is_dir() or (folder / RUN).is_file():
        return str(model)
    if lack := _lack(folder):
        raise FileNotFoundError(
            f"{model} is not a run directory: it has no {RUN}; nor is it the folder of a timm model: {lack}"
        )
    return f"{LOCAL}{folder}"


def _lack(folder: Path) -> str:
    """Return what keeps a folder from being that of a timm model; "" for nothing."""
    path = folder / CONFIG
    if not path.is_file():
        return f"it has no {CONFIG}"
    if not isinstance(read_json(path, "export the run again with --overwrite").get("architecture"), str):
        return f"its {CONFIG} names no architecture of timm"
    has_weights = any(file.name.endswith(WEIGHTS) for file in folder.iterdir())
    return "" if has_weights else f"it has {CONFIG}, but no weights, such as model.safetensors"
