"""A configuration out of a file: a run's own ``config.yaml``, or a short one that names a recipe and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equicoherence.json_file import read_yaml
from equicoherence.recipes import is_file_name, recipe
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import from_dict, to_dict

ADVICE = "give a run's config.yaml, or a file that names a recipe and what differs, such as `recipe: vicreg-tiny`"


def named_config(text: str, *, plain: bool = False) -> PretrainConfig:
    """Return the configuration of a recipe's name or of a file. plain: without the task (`PretrainConfig.plain`)."""
    if is_file_name(text):
        return config_of_file(Path(text), plain=plain)
    return recipe(text).plain() if plain else recipe(text)


def config_of_file(path: Path, *, plain: bool = False) -> PretrainConfig:
    """Return the configuration that a YAML file holds, such as a run's own; what it does not name has its default.

    With ``recipe: NAME`` it is that recipe, but for the fields that are named beside; ``coherence: null`` is no task,
    and another ``method.kind`` or other ``encoder.args`` replace those of the recipe as a whole. With
    ``encoder.weights``, the encoder and its normalisation are those of what they are of, and not the recipe's.

    Raises FileNotFoundError for no file, and ValueError, naming file and field, for what is no configuration.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: {ADVICE}")
    values = read_yaml(path, ADVICE)
    try:
        name = values.pop("recipe", None)
        encoder = values.get("encoder")
        if isinstance(encoder, dict) and encoder.get("weights"):  # they say all that is not said beside them
            values["encoder"] = {"name": "", "args": {}, "mean": None, "std": None, **encoder}
        if name is not None:
            if not isinstance(name, str):
                raise ValueError(f"recipe cannot be {name!r}; the name of one is expected")
            optim = values.get("optim")
            if isinstance(optim, dict) and "epochs" in optim:  # they stand in place of the recipe's own steps
                values = {"max_steps": 0, **values}
            values = _merged(to_dict(recipe(name)), values, "")
        if plain:
            values["coherence"] = None  # so that nothing is asked of a task that is left out
        config = from_dict(values)
        return config.plain() if plain else config
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _merged(base: dict[str, Any], changes: dict[Any, Any], where: str) -> dict[str, Any]:
    """Return nested values with changes in them, which are checked later."""
    merged: dict[str, Any] = dict(base)
    for name, value in changes.items():
        place, old = f"{where}.{name}".lstrip("."), base.get(name)
        if isinstance(old, dict) and isinstance(value, dict) and place != "encoder.args":
            other_kind = place == "method" and value.get("kind", old["kind"]) != old["kind"]
            value = value if other_kind else _merged(old, value, place)
        merged[name] = value
    return merged
