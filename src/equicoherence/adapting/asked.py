"""The options of an adaptation besides its configuration: ``adapt.yaml`` in its directory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from equicoherence.errors import unknown
from equicoherence.files import Damaged, write_aside
from equicoherence.json_file import read_yaml
from equicoherence.models.prefixes import HUB
from equicoherence.training.resume_command import ADAPTS

ADVICE = "remove it, and say --check again with --resume"


def default_out(name: str, model: str) -> Path:
    """Return the run directory of an adaptation where none is given. name: of the configuration."""
    model = model.removeprefix("timm:")
    if model.startswith(HUB):
        repository = model.partition(":")[2].partition("@")[0]  # without the revision
        return Path("runs") / f"{name}-{PurePath(repository).name}"
    place, _, arch = model.rpartition("@")
    return Path("runs") / f"{name}-{arch if place else Path(model).stem}"


@dataclass(frozen=True)
class Asked:
    """What is scored before and after.

    check: images with classes that the encoder is not adapted on; None for none.
    images: for the training of the probes; two fifths as many test them.
    limit: labelled images of each split, for k-NN and the linear probe.
    """

    check: str | None = None
    images: int = 2000
    limit: int = 5000

    def __post_init__(self) -> None:
        """Refuse numbers that score nothing, quoting them."""
        for name, least in (("images", 5), ("limit", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}")

    @property
    def tested(self) -> int:
        """Images that test the probes."""
        return max(2, self.images * 2 // 5)

    def changed(self, **given: str | int | None) -> Asked:
        """Return the same with what is given in place; None leaves a field as it is."""
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(self, **changes)

    def write(self, run: Path) -> None:
        """Write the file into a run directory."""
        run.mkdir(parents=True, exist_ok=True)
        write_aside(run / ADAPTS, yaml.safe_dump(dataclasses.asdict(self), sort_keys=False, allow_unicode=True))

    @classmethod
    def of_run(cls, run: Path) -> Asked:
        """Read the file of a run. Raises FileNotFoundError where there is none, `Damaged` where it is another."""
        path = run / ADAPTS
        if not path.is_file():
            raise FileNotFoundError(
                f"{run} holds no adaptation to resume (no {ADAPTS}); to begin one, leave --resume out"
            )
        values = read_yaml(path, ADVICE)
        try:
            for name in values:
                if name not in (known := [field.name for field in dataclasses.fields(cls)]):
                    raise unknown("field", name, known)
            return cls(**values)
        except ValueError as error:
            raise Damaged(path, str(error), ADVICE) from error
