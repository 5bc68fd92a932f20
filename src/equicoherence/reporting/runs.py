"""Read run directories: their files, and a sentence for each file that is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equicoherence.data.npy import read_npz
from equicoherence.evaluation.store import FILE as SCORES
from equicoherence.evaluation.store import read_scores
from equicoherence.files import Damaged
from equicoherence.json_file import read_json_lines, read_yaml
from equicoherence.models.train_setting import HEAD

ADAPT_PAGE = "adapt.html"  # the page of a run that `equicoherence adapt` made
REMEDY = {
    "metrics.jsonl": "`equicoherence pretrain` writes it while it trains",
    "samples.npz": "`equicoherence pretrain` writes it when the auxiliary task is on",
    SCORES: "`equicoherence evaluate RUN` writes it",
}


@dataclass(frozen=True)
class Run:
    """One run directory. Parts that are missing are empty; ``problems`` says which file, why, and how to get it."""

    path: Path
    name: str
    config: dict[str, Any]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def adapted(self) -> bool:
        """Whether `equicoherence adapt` evaluated it, on a page of its own."""
        return (self.path / ADAPT_PAGE).is_file()

    @property
    def frozen(self) -> bool:
        """Whether its encoder was not trained, so that all that the training measured of it is constant."""
        encoder = self.config.get("encoder")
        return isinstance(encoder, dict) and encoder.get("train") == HEAD

    @property
    def seed(self) -> object:
        """Return the seed it was trained with, None if no file says it."""
        return self.config.get("seed", self.scores.get("seed"))


def read_run(path: Path) -> Run:
    """Read one run directory.

    Raises FileNotFoundError where ``path`` holds no config.yaml, ValueError where that file is not a mapping.
    """
    path = Path(path)
    if not is_run(path):
        reason = "it holds no config.yaml" if path.is_dir() else "it is not a folder"
        raise FileNotFoundError(
            f"{str(path)!r} is not a run directory: {reason}; give the folder that `equicoherence pretrain` wrote"
        )
    config = read_yaml(path / "config.yaml", "restore the file, or train the run again")
    problems: dict[str, str] = {}
    parts: dict[str, Any] = {}
    for file, read in READERS.items():
        if not (path / file).is_file():
            problems[file] = f"missing; {REMEDY[file]}"
            continue
        try:
            parts[file] = read(path / file, REMEDY[file])
        except Damaged as error:
            problems[file] = f"damaged ({error.reason}); {REMEDY[file]}"
            continue
        if not parts[file]:
            problems[file] = f"empty; {REMEDY[file]}"
    if SCORES in problems and (path / ADAPT_PAGE).is_file():
        problems[SCORES] = f"{problems[SCORES]}; {ADAPT_PAGE} in its folder has the scores before and after"
    return Run(
        path=path,
        name=str(config.get("name") or path.resolve().name),
        config=config,
        metrics=parts.get("metrics.jsonl", []),
        samples=parts.get("samples.npz", {}),
        scores=parts.get(SCORES, {}),
        problems=problems,
    )


def is_run(path: Path) -> bool:
    """Return whether a folder is a run directory."""
    return (Path(path) / "config.yaml").is_file()


def group_by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group the seeds of one recipe: runs with the same name, names in the order they first appear."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.name, []).append(run)
    return groups


def random_sources(groups: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    """Return for each name those whose random weights are of its architecture and input size, its own first."""
    kinds = {name: (run.scores.get("arch"), run.scores.get("size")) for name, (run, *_) in groups.items()}
    return {
        name: [name, *(other for other in groups if other != name and kinds[other] == kinds[name] != (None, None))]
        for name in groups
    }


def labels(runs: Sequence[Run]) -> list[str]:
    """Return a short label for each run: its name, with its folder where several runs share the name."""
    names = [run.name for run in runs]
    return [run.name if names.count(run.name) == 1 else f"{run.name} ({run.path.name})" for run in runs]


def curve(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values), float64, of one metric; NaN where its file has null, for a value that was not finite."""
    pairs = [
        (float(line["step"]), float(math.nan if line[key] is None else line[key]))
        for line in run.metrics
        if is_number(line.get("step")) and key in line and (line[key] is None or is_number(line[key]))
    ]
    steps, values = zip(*pairs) if pairs else ((), ())
    return np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_samples(file: Path, advice: str) -> dict[str, np.ndarray]:
    try:
        return read_npz(file)
    except (OSError, ValueError) as error:
        raise Damaged(file, "it is no whole .npz archive", advice) from error


READERS: dict[str, Callable[[Path, str], Any]] = {
    "metrics.jsonl": read_json_lines,
    "samples.npz": _read_samples,
    SCORES: lambda path, advice: read_scores(path),
}
