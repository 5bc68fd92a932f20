"""Experiment trackers of accelerate: they receive a run's metrics, film strips and configuration."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from equicoherence.json_file import read_json, write_json
from equicoherence.training.comma_lists import listed

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

TRACKERS = ("tensorboard", "trackio", "wandb", "mlflow")  # each is called so by `import` and `pip install`
PROJECT = "equicoherence"  # by which trackers that have projects gather runs
FOLDER = "tensorboard"  # of the event files, in the run
IDENTITIES = "trackers.json"  # in the run: by which trackio, wandb and MLflow know it again when it is resumed
FILMS = "film strips"


def need_trackers(track: str) -> None:
    """Raise ImportError, with the line that installs it, where a tracker is not installed."""
    for name in listed(track):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"--track {name} needs {name}, which is not installed: pip install {name}")


class Trackers:
    """The trackers of a run, on its first process.

    names: which.
    out: the run's directory, whose name the run has there.
    config: the resolved configuration, nested plain values.
    start: steps that a resumed run has done; it continues as the same run.
    """

    def __init__(self, names: Sequence[str], out: Path, config: Mapping[str, Any], start: int) -> None:
        self._trackers: dict[str, GeneralTracker] = {}
        path = out / IDENTITIES
        identities = read_json(path, "remove it: the trackers then begin a run of their own") if path.is_file() else {}
        for name in names:
            tracker = _STARTED[name](out, start, identities)
            self._trackers[name] = tracker
            if start:
                continue
            if name == "tensorboard":  # whose table of hyperparameters would be a run of its own beside this one
                text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
                tracker.log({"config": f"```yaml\n{text}```"}, step=0)
            else:
                tracker.store_init_configuration(flat(config))
        if identities:
            write_json(path, identities, indent=2)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Show those of the values after ``step`` steps that are numbers."""
        numbers = {k: v for k, v in values.items() if k != "step" and isinstance(v, int | float)}
        for tracker in self._trackers.values():
            tracker.log(numbers, step=step)

    def show_films(self, step: int, strips: np.ndarray) -> None:
        """Show pictures (N, H, W, 3), uint8, as they were after ``step`` steps."""
        for name, tracker in self._trackers.items():
            _SHOWN[name](tracker, strips, step)

    def close(self) -> None:
        """Let each tracker finish writing."""
        for tracker in self._trackers.values():
            tracker.finish()


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested plain values by their dotted names, lists and None as text, as trackers take them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return found


def _tensorboard(out: Path, start: int, identities: dict[str, Any]) -> GeneralTracker:
    from accelerate.tracking import TensorBoardTracker

    return _begun(TensorBoardTracker(FOLDER, out, purge_step=start + 1 if start else None))


def _trackio(out: Path, start: int, identities: dict[str, Any]) -> GeneralTracker:
    from accelerate.tracking import TrackioTracker

    name = f"{out.name}-{_own('trackio', start, identities)}"  # trackio knows a run by its name alone
    return _begun(TrackioTracker(PROJECT, name=name, resume="allow" if start else "never"))


def _wandb(out: Path, start: int, identities: dict[str, Any]) -> GeneralTracker:
    from accelerate.tracking import WandBTracker

    return _begun(WandBTracker(PROJECT, name=out.name, id=_own("wandb", start, identities), resume="allow"))


def _mlflow(out: Path, start: int, identities: dict[str, Any]) -> GeneralTracker:
    from accelerate.tracking import MLflowTracker

    known = identities.get("mlflow") if start else None
    tracker = _begun(MLflowTracker(PROJECT, run_id=known, run_name=None if known else out.name))
    identities["mlflow"] = tracker.tracker.info.run_id  # type: ignore[attr-defined]
    return tracker


def _own(name: str, start: int, identities: dict[str, Any]) -> str:
    """Return the identity of a run in a tracker: the same if it is resumed, else a new one."""
    if not start or name not in identities:
        identities[name] = uuid.uuid4().hex[:8]
    return identities[name]


def _begun(tracker: GeneralTracker) -> GeneralTracker:
    tracker.start()
    return tracker


def _show_in_tensorboard(tracker: Any, strips: np.ndarray, step: int) -> None:
    tracker.log_images({FILMS: strips}, step=step, dataformats="NHWC")


def _show_in_trackio(tracker: Any, strips: np.ndarray, step: int) -> None:
    import trackio  # pyright: ignore[reportMissingImports]

    tracker.log({f"{FILMS}/{number}": trackio.Image(strip) for number, strip in enumerate(strips)}, step=step)


def _show_in_wandb(tracker: Any, strips: np.ndarray, step: int) -> None:
    tracker.log_images({FILMS: list(strips)}, step=step)


def _show_in_mlflow(tracker: Any, strips: np.ndarray, step: int) -> None:
    import mlflow  # pyright: ignore[reportMissingImports]

    for number, strip in enumerate(strips):
        mlflow.log_image(strip, key=f"film-strip-{number}", step=step)


_STARTED: dict[str, Callable[[Path, int, dict[str, Any]], GeneralTracker]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
_SHOWN: dict[str, Callable[[Any, np.ndarray, int], None]] = {
    "tensorboard": _show_in_tensorboard,
    "trackio": _show_in_trackio,
    "wandb": _show_in_wandb,
    "mlflow": _show_in_mlflow,
}
