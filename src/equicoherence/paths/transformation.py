"""The abstract base of every transformation: parameters, states, paths, and a check of its own algebra."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.expected import pixel_deviation
from equicoherence.paths.state import State

Range = tuple[float, float]
Mirror = Literal["left-right", "up-down"]
"""The mirrors of an image: left-right swaps its left and its right side."""
PIXELS = 0.02  # five levels of 255: bytes are rounded twice, and read bilinearly


@dataclass(frozen=True)
class Parameter:
    """One continuous parameter of a transformation: zero is the identity, samples are uniform in [low, high].

    odd: mirrors under which it changes its sign and nothing else: transforming the mirror image by its negative gives
        the mirror image of the transformed image. The other parameters of the transformation are odd or do not change.
    side: absolute value above which the evaluation counts the sign of an odd parameter.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    odd: tuple[Mirror, ...] = ()
    side: float = 0.0

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(
                f"{self.name}: range ({self.low}, {self.high}) is empty; give (low, high) with low <= high"
            )


class Transformation(abc.ABC):
    """A family of maps of an image, given by parameters ``theta`` (B, P).

    A subclass sets ``parameters`` and defines ``state``. If the family is closed under composition, it also defines
    ``compose`` and ``inverse``; if its path is not the ray ``t * theta``, it defines ``at``. In a file of the folder
    ``transformations`` and with a name (`register_path`), it can be used by name everywhere.
    """

    def __init__(self, *parameters: Parameter, probability: float = 1.0) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie in [0, 1], got {probability}")
        self.parameters = parameters
        self.probability = probability

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of ``theta``."""
        return tuple(p.name for p in self.parameters)

    @abc.abstractmethod
    def state(self, theta: Tensor) -> State:
        """Return the state of the transformed images for ``theta`` (B, P)."""

    @property
    def flips(self) -> tuple[tuple[int, float], ...]:
        """Columns of ``theta`` that mirror the image left-right if they are 1, each with its probability."""
        return ()

    def mirrored(self, theta: Tensor, mirror: Mirror) -> Tensor:
        """Return the parameters (B, P) of the mirrored transformation: they do to mirror images what ``theta`` does to
        images.
        """
        return theta * constant(tuple(-1.0 if mirror in p.odd else 1.0 for p in self.parameters), theta.device)

    def sample(self, batch: int, generator: torch.Generator, aspect: Tensor | None = None) -> Tensor:
        """Draw ``theta`` (B, P), uniform in each range; with probability ``1 - probability`` a whole row is zero (the
        identity).

        ``aspect`` (B,), width / height of the sources, is used by crops only. Random numbers are drawn on the
        generator's device.
        """
        uniform = torch.rand(batch, len(self.parameters) + 1, generator=generator, device=generator.device)
        low = constant(tuple(p.low for p in self.parameters), uniform.device)
        span = constant(tuple(p.high - p.low for p in self.parameters), uniform.device)
        theta = low + span * uniform[:, 1:]
        return theta if self.probability == 1 else theta * (uniform[:, :1] < self.probability)

    def at(self, theta: Tensor, t: float | Tensor) -> Tensor:
        """Return the parameters at ``t`` in [0, 1], one or (B, 1), of the path: 0 is the identity, 1 is ``theta``."""
        return t * theta

    def interpolate(self, theta: Tensor, k: int, count: int) -> Tensor:
        """Return the parameters of state ``k`` of ``count`` between: position ``k / (count + 1)`` [P2, section 3]."""
        if not 0 <= k <= count + 1:
            raise ValueError(f"state {k} of {count} does not exist; k runs from 0 (identity) to {count + 1} (the end)")
        return self.at(theta, k / (count + 1))

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the parameters of ``first``, then ``second``."""
        raise TypeError(f"{type(self).__name__} is not closed under composition; compose states with State.then")

    def inverse(self, theta: Tensor) -> Tensor:
        """Return the parameters that undo ``theta``."""
        raise TypeError(f"{type(self).__name__} has no inverse among its own parameters")

    def check(self, batch: int = 64, seed: int = 0, tolerance: float = 1e-4) -> dict[str, float]:
        """Measure how exact algebra and pixels are; return the largest deviation for each law.

        Laws: zero is the identity; a path ends at ``theta``; ``compose`` agrees with composed states; ``inverse``
        inverts; parameters declared odd change their sign in that mirror; and in both renderers, the pixels at the end
        and in the middle of paths agree with the states, to within ``PIXELS``. Raises ArithmeticError naming the law
        that is off by more than ``tolerance``, and TypeError if a state has numbers that no renderer reads.
        """
        generator = torch.Generator().manual_seed(seed)
        first, second = self.sample(batch, generator), self.sample(batch, generator)
        identity = State.identity(batch)
        found = {
            "zero is the identity": distance(self.state(torch.zeros_like(first)), identity),
            "a path begins at the identity": distance(self.state(self.at(first, 0.0)), identity),
            "a path ends at theta": float((self.at(first, 1.0) - first).abs().max()),
        }
        try:
            composed = self.compose(first, second)
            found["compose agrees with composed states"] = distance(
                self.state(composed), self.state(first).then(self.state(second))
            )
            undone = self.compose(first, self.inverse(first))
            found["inverse undoes"] = distance(self.state(undone), identity)
        except TypeError:
            pass  # not a group: no such law to hold
        declared: list[Mirror] = [mirror for p in self.parameters for mirror in p.odd]
        for mirror in declared:
            seen = self.state(self.mirrored(first, mirror))
            law = f"in a mirror ({mirror}) odd parameters change their sign"
            found[law] = distance(seen, in_mirror(self.state(first), mirror))
        shown = {
            "pixels show the end of a path": pixel_deviation(self.state(first)),
            "pixels show a state half-way": pixel_deviation(self.state(self.at(first, 0.5))),
        }
        for laws, limit in ((found, tolerance), (shown, PIXELS)):
            for law, deviation in laws.items():
                if not deviation <= limit:
                    raise ArithmeticError(f"{type(self).__name__}: '{law}' is off by {deviation:.2e} (> {limit:.0e})")
        return found | shown


def in_mirror(state: State, mirror: Mirror) -> State:
    """Return the state that shows of mirror images the mirror image of what ``state`` shows of the images."""
    swap = constant((-1.0, 1.0, 1.0) if mirror == "left-right" else (1.0, -1.0, 1.0), state.geometry.device)
    return state.replace(geometry=swap[:, None] * state.geometry * swap, affine=state.affine)


def distance(a: State, b: State) -> float:
    """Return the largest absolute difference between the numbers of two states.

    Matrices that are multiples of each other are the same map, so they are taken at a depth of 1 at the centre.
    """
    none = torch.full_like(a.sigma, 1.0 + 1e-6)
    thresholds = [s.threshold.clamp_max(1.0 + 1e-6) if s.threshold is not None else none for s in (a, b)]
    maps = [s.geometry / s.geometry[:, 2:, 2:] for s in (a, b)]
    pairs = [(maps[0], maps[1]), (a.color, b.color), (a.sigma, b.sigma), (thresholds[0], thresholds[1])]
    return max(float((x - y).abs().max()) for x, y in pairs)
