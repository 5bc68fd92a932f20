"""A folder that is given as MODEL: of a run, or of a timm model, such as `equicoherence export` writes."""

from __future__ import annotations

from pathlib import Path

from equicoherence.json_file import read_json
from equicoherence.models.missing import KINDS, near_path
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.shared_files import CONFIG

RUN = "config.yaml"  # which only runs have
ENDINGS = (".safetensors", ".pth", ".pth.tar", ".bin")  # of weights that timm reads, whatever they are called


def with_source(model: str | Path) -> str:
    """Return MODEL, and for the folder of a timm model ``local-dir:FOLDER``; a folder without a name gets its own.

    Raises FileNotFoundError for a folder of neither a run nor a timm model, and for ``local-dir:FOLDER`` that is not
    the folder of a timm model; `Damaged` for a damaged ``config.json``; ValueError for an empty name.
    """
    text = str(model)
    before, is_timm, place = text.partition(LOCAL) if text.startswith((LOCAL, f"timm:{LOCAL}")) else ("", "", text)
    if not place:
        raise ValueError(f"model {text!r} names nothing; give {KINDS}")
    folder = Path(place)
    if not is_timm and (not folder.is_dir() or (folder / RUN).is_file()):
        return text
    if lack := _lack(folder):
        if is_timm:
            advice = f"; it is a run that timm cannot load; write {folder}" if (folder / RUN).is_file() else ""
            raise FileNotFoundError(f"{text!r} is not the folder of a timm model: {lack}{advice}")
        raise FileNotFoundError(
            f"{text!r} is not a run directory: it has no {RUN}; nor is it the folder of a timm model: {lack}"
        )
    if folder.name in ("", ".."):  # "." and the like
        folder = folder.resolve()
    elif is_timm:
        return text
    return f"{before}{LOCAL}{folder}"


def check_run_folder(run: Path) -> None:
    """Raise FileNotFoundError for a folder that is no run."""
    if not (run / RUN).is_file():
        raise FileNotFoundError(f"{run} is not a run directory: it has no {RUN}{near_path(str(run))}")


def _lack(folder: Path) -> str:
    """Return what keeps a folder from being that of a timm model; "" for nothing."""
    if not folder.is_dir():
        return "there is no such folder"
    path = folder / CONFIG
    if not path.is_file():
        return f"it has no {CONFIG}"
    if not isinstance(read_json(path, "export the run again with --overwrite").get("architecture"), str):
        return f"its {CONFIG} names no architecture of timm"
    has_weights = any(file.name.endswith(ENDINGS) for file in folder.iterdir())
    return "" if has_weights else f"it has {CONFIG}, but no weights, such as model.safetensors"
