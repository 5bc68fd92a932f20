"""The section with the slider along the path: the true states, and below them those of all runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equicoherence.reporting.explorer.files import reduced, strip
from equicoherence.reporting.explorer.scene import PathScene
from equicoherence.reporting.markup import Markup, element, note, section
from equicoherence.reporting.template import rendered

DIGITS = 4
LISTED = 4  # places that are said one by one; of more, it is said that they are all, if they are


def explorer_section(scenes: Sequence[PathScene], remarks: Sequence[str], notes: Sequence[str]) -> Markup:
    """Return the section.

    scenes: the paths to show. remarks: on runs without decoded states. notes: on missing parts.
    """
    parts = [*map(note, notes), element("p", " ".join(remarks), class_="quiet") if remarks else ""]
    if not scenes:
        parts.append(note("There are no paths to show: no run has saved decoded states, and none can decode them now."))
    for scene in scenes:
        data = embedded(scene_data(scene))
        parts.append(rendered("scene.html", scene=scene, answers=answers(scene), first=opening(scene), data=data))
    return section("path", "One path, step by step", *parts)


@dataclass(frozen=True)
class Answers:
    """names: of runs that decode the same places. stops: these places, indices into the scene's times. text: both."""

    names: Sequence[str]
    stops: Sequence[int]
    text: str


def answers(scene: PathScene) -> list[Answers]:
    """Return at which places the runs decode, those of the same places together."""
    found: dict[tuple[int, ...], list[str]] = {}
    for decoding in scene.decodings:
        found.setdefault(decoding.stops, []).append(decoding.name)
    last = len(scene.times) - 1
    rows = []
    for stops, names in found.items():
        if len(stops) > LISTED and stops == tuple(range(last + 1)):
            places = "every t"
        elif len(stops) > LISTED and stops == tuple(range(1, last)):
            places = "every t between the ends"
        else:
            places = f"t = {', '.join(f'{scene.times[stop]:.2f}' for stop in stops)}"
        rows.append(Answers(names, stops, f"{', '.join(names)}: decoded at {places}"))
    return rows


def opening(scene: PathScene) -> int:
    """Return the place that is shown first: the first one after the beginning that most runs decode; 0 if none does."""
    counts = Counter(stop for decoding in scene.decodings for stop in decoding.stops if stop > 0)
    return min(counts, key=lambda stop: (-counts[stop], stop), default=0)


def scene_data(scene: PathScene) -> dict[str, Any]:
    """Return what the page's script reads of a scene: pictures as addresses, numbers, errors."""
    small = reduced(scene.states)
    still = np.round(scene.still(), DIGITS)
    runs = []
    for decoding in scene.decodings:
        pictures, errors = reduced(decoding.pictures), np.round(scene.errors(decoding), DIGITS)
        runs.append(
            {
                "stops": decoding.stops,
                "by": decoding.by,
                "strips": [strip(each) for each in pictures],
                "errors": errors.tolist(),
            }
        )
    return {
        "size": small.shape[-2],
        "begin": scene.begin,
        "times": np.round(scene.times, DIGITS).tolist(),
        "v1": [strip(each[None]) for each in reduced(scene.v1)],
        "states": [strip(each) for each in small],
        "theta": [[[float(f"{x:.4g}") for x in place] for place in sample] for sample in scene.theta.tolist()],
        "still": still.tolist(),
        "runs": runs,
    }


def embedded(value: Any) -> Markup:
    """Return a value as JSON for a data block of a page: nothing in it can end the block."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
