"""A configuration as others may read it: without paths of this machine."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from equicoherence.models.prefixes import HUB, LOCAL
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict


def public_values(config: PretrainConfig) -> dict[str, Any]:
    """Return nested plain values; of the data, of an encoder in a folder and of weights only the last name is left."""
    values = to_dict(config)
    values["data"] = last_name(config.data)
    values["encoder"] |= {key: last_name(values["encoder"][key]) for key in ("name", "weights")}
    return values


def last_name(place: str) -> str:
    """Return a name of timm's or of the Hub's as it is, and of a path its last part."""
    bare = place.removeprefix("timm:")
    if bare.startswith(HUB):
        return place
    path = bare.removeprefix(LOCAL)
    last = PurePath(path).name or path
    return place if last == bare else last
