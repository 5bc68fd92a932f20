"""The numbers that define a rendered set, and the latents of each object as a pure function of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from equicoherence.rendering.latent import interpolate
from equicoherence.rendering.presets import PresetName, find_preset


@dataclass(frozen=True)
class RenderPlan:
    """The numbers that fix every pixel of a set of meshes.

    Raises:
        ValueError: a number is out of its range.
    """

    views: int = 50
    """Images of each object, at least 1."""
    size: int = 128
    """Pixels on a side, 16 to 2048."""
    seed: int = 0
    """At least 0."""
    paths: int = 0
    """Pairs of views with states between them, of each object; at most all pairs."""
    states: int = 2
    """States between the views of a pair, at least 1."""
    turn: float = 90.0
    """Largest rotation of the object about each axis, in degrees, above 0, at most that of the preset."""
    preset: PresetName = "3diebench"
    """Kind of scene."""

    def __post_init__(self) -> None:
        limits = {
            "views": (1, None),
            "size": (16, 2048),
            "seed": (0, None),
            "paths": (0, self.views * (self.views - 1) // 2),
            "states": (1, None),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                bound = f"at least {low}" if high is None else f"between {low} and {high}"
                why = f", the number of pairs of {self.views} views" if name == "paths" and value > 0 else ""
                raise ValueError(f"{name} must be {bound}{why}, got {value}")
        most = find_preset(self.preset).turn
        if not 0 < self.turn <= most:
            raise ValueError(f"turn must be above 0 and at most {most:g} degrees, got {self.turn}")


def draw_latents(plan: RenderPlan, path: str) -> np.ndarray:
    """Draw the latents (V, 7) of the object at ``path`` (category/name).

    Keyed by (seed, path, view): an object is the same in every process, whatever other objects are drawn.
    """
    turn, seeds = np.radians(plan.turn), [[plan.seed, _key(path), 1 + i] for i in range(plan.views)]
    draw = find_preset(plan.preset).draw
    return np.stack([draw(np.random.default_rng(seed), turn) for seed in seeds])


def draw_view_pairs(plan: RenderPlan, path: str) -> np.ndarray:
    """Draw the pairs of views (P, 2) int64 that have states between them; none comes twice."""
    first, second = np.triu_indices(plan.views, 1)
    rng = np.random.default_rng([plan.seed, _key(path), 0])
    chosen = rng.permutation(len(first))[: plan.paths]
    return np.stack([first[chosen], second[chosen]], axis=1)


def states_between(plan: RenderPlan, latents: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the latents (P, K, 7) of the states at shares k / (K + 1) of the way, k = 1 to K."""
    shares = [k / (plan.states + 1) for k in range(1, plan.states + 1)]
    states = [[interpolate(latents[a], latents[b], share) for share in shares] for a, b in pairs]
    return np.array(states).reshape(len(pairs), plan.states, 7)


def _key(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")
