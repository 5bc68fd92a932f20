"""Scenes of the samples that a run kept at the end of its training: no weights and no images are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equicoherence.reporting.explorer.scene import UNITS, Decoding, Number, PathScene, geodesic_numbers
from equicoherence.reporting.runs import Run

GEODESIC_NUMBERS = 19
NUMERIC = "fiu"  # numpy's kinds of numbers: floating, signed and unsigned


def kept_scenes(runs: Sequence[Run]) -> list[PathScene]:
    """Return a scene for each set of views that runs kept, those of equal views together.

    Of each run ``samples.npz``: uint8 pictures v1, base, v2 (n, H, W, 3), targets and decoded (n, K, H, W, 3), numbers
    positions (K,), theta (n, P), theta_names (P,) and optionally theta_units (P,). A run without views, or without
    states between them, or whose positions do not lie in [0, 1], is left out.
    """
    found: dict[bytes, list[tuple[Run, PathScene]]] = {}
    for run in runs:
        scene = _scene(run)
        if scene is not None:
            shown = b"".join(part.tobytes() for part in (scene.v1, scene.states, scene.times))
            found.setdefault(shown, []).append((run, scene))
    scenes = []
    for alike in found.values():
        first = alike[0][1]
        decodings = [decoding for _, scene in alike for decoding in scene.decodings]
        title = ", ".join(run.name for run, _ in alike)
        scenes.append(
            PathScene(
                f"kept by {title}",
                first.begin,
                first.v1,
                first.states,
                first.times,
                first.numbers,
                first.theta,
                decodings,
            )
        )
    return scenes


def _scene(run: Run) -> PathScene | None:
    samples = run.samples
    v1, base, v2 = (_pictures(samples, name, 4) for name in ("v1", "base", "v2"))
    targets, decoded = (_pictures(samples, name, 5) for name in ("targets", "decoded"))
    if v1 is None or base is None or v2 is None or targets is None or v1.shape != v2.shape or v1.shape != base.shape:
        return None
    positions = np.asarray(samples.get("positions", ())).ravel()
    if len(positions) != targets.shape[1] or targets.shape[0] != len(v1) or targets.shape[2:] != v1.shape[1:]:
        return None
    if positions.dtype.kind not in NUMERIC or not ((positions >= 0) & (positions <= 1)).all():  # nor NaN
        return None
    order = np.argsort(positions, kind="stable")
    if not len(positions) and np.array_equal(base, v2):
        return None  # trained without a path
    inside = [int(k) for k in order if 0 < positions[k] < 1]
    times = np.array([0.0, *(float(positions[k]) for k in inside), 1.0])
    states = np.concatenate([base[:, None], targets[:, inside], v2[:, None]], axis=1)
    numbers, theta = _theta(samples, len(v1), times)
    decodings = []
    if decoded is not None and decoded.shape == targets.shape:
        place = {int(k): inside.index(int(k)) + 1 if k in inside else round(float(positions[k])) * (len(times) - 1)
                 for k in order}  # fmt: skip
        columns = list(place)
        decodings.append(Decoding(run.name, tuple(place.values()), ("",) * len(place), decoded[:, columns]))
    begin = "v1" if np.array_equal(v1, base) else "u"
    return PathScene(run.name, begin, v1, states, times, numbers, theta, decodings)


def _theta(samples: dict[str, np.ndarray], count: int, times: np.ndarray) -> tuple[list[Number], np.ndarray]:
    """Return the numbers of the whole path, at each place where they grow evenly; none if the file has none."""
    theta, names = samples.get("theta"), [str(name) for name in np.ravel(samples.get("theta_names", ()))]
    fits = theta is not None and theta.dtype.kind in NUMERIC and theta.shape == (count, len(names))
    if theta is None or not fits or not np.isfinite(theta).all():
        return [], np.zeros((count, 1, 0))
    if len(names) == GEODESIC_NUMBERS and names[0].startswith("move_"):
        return geodesic_numbers(theta, times.tolist())
    units = [str(unit) for unit in np.ravel(samples.get("theta_units", ()))]
    if len(units) != len(names):
        units = [UNITS.get(name.rsplit("_", 1)[-1], "") for name in names]
    return [Number(*each) for each in zip(names, units)], theta[:, None].astype(np.float64)


def _pictures(samples: dict[str, np.ndarray], name: str, dimensions: int) -> np.ndarray | None:
    array = samples.get(name)
    fits = array is not None and array.dtype == np.uint8 and array.ndim == dimensions and array.shape[-1] == 3
    return array if fits and array is not None and len(array) and array.shape[-2] else None
