"""The path from one view of an image to another: the geodesic in the group of all augmentations.

View 1 is at t = 0 and view 2 at t = 1; neither is changed. With G1 and G2 the matrices that make the two views from the
source, and A1 and A2 their color matrices, the state at t has

* the geometry ``G1 exp(t log(G1^-1 G2))``,
* the colors ``exp(t log(A2 A1^-1)) A1``, as 4x4 matrices of colors and an offset,
* a blur whose variance changes linearly from one to the other,
* a solarize threshold that changes linearly from one to the other; for a view without it, from or to just above white.

If a map has no real logarithm (grayscale, which keeps one of three color dimensions; a mirror; a rotation by 180
degrees), or if a float32 is too coarse for it (colors of which little is left), there is no such path. Then the
matrices are interpolated linearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.flips import Flip, joint_flips
from equicoherence.paths.geometry import bounding_boxes
from equicoherence.paths.lie import affine_logarithm, exponential
from equicoherence.paths.outputs import Output
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import COLORS, render_all
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Transformation

BETWEEN = "between"  # the name of this path
UNSOLARIZED = 1 + 1e-6  # a threshold just above white
REACHED = 1e-5  # largest error of the colors at t = 1
DRAWS = 4096  # pairs of views from which the scale of theta is taken


@dataclass(frozen=True)
class Geodesic:
    """The path from the state ``first`` to the state ``second`` of the same sources.

    move: (B, 3, 3), logarithm of the place of the second as seen from the first; moves: (B,), where there is one.
    colors: (2, B, 4, 4) maps of both. tint: (B, 4, 4), logarithm of what leads from one to the other; tints: (B,).
    """

    first: State
    second: State
    move: Tensor
    moves: Tensor
    colors: Tensor
    tint: Tensor
    tints: Tensor

    @classmethod
    def between(cls, first: State, second: State, means: Tensor) -> Geodesic:
        """Find the path; ``means`` (2, B, 3) are the mean colors of the two, which contrast keeps.

        Raises ValueError for states that are not known to be affine.
        """
        if not (first.affine and second.affine):
            raise ValueError("the path between two views needs augmentations without perspective: those are not affine")
        move, moves = affine_logarithm(torch.linalg.inv_ex(first.geometry).inverse @ second.geometry)
        colors = torch.stack([_with_shift(state.color, mean) for state, mean in zip((first, second), means)])
        # an inverse of what is singular is not finite, so such maps are left out before and after
        _, regular = affine_logarithm(colors)
        tints = regular.all(dim=0)
        eye = torch.eye(4, device=colors.device)
        begin, end = torch.where(tints[:, None, None], colors, eye)
        tint, real = affine_logarithm(end @ torch.linalg.inv_ex(begin).inverse)
        reached = (exponential(tint) @ begin - end).abs().amax(dim=(-2, -1)) < REACHED
        return cls(first, second, move, moves, colors, tint, tints & real & reached)

    def at(self, t: Tensor) -> State:
        """Return the states at ``t`` (B,), to be rendered with a mean color of one."""
        blend = t[:, None, None]
        a, b = self.first, self.second
        straight = torch.lerp(a.geometry, b.geometry, blend)
        place = torch.where(self.moves[:, None, None], a.geometry @ exponential(blend * self.move), straight)
        straight = torch.lerp(self.colors[0], self.colors[1], blend)
        colors = torch.where(self.tints[:, None, None], exponential(blend * self.tint) @ self.colors[0], straight)
        return State(
            geometry=place,
            color=_of_shift(colors),
            sigma=torch.lerp(a.sigma.square(), b.sigma.square(), t).sqrt(),
            threshold=_threshold(a.threshold, b.threshold, t),
            sigma_bound=max(a.sigma_bound, b.sigma_bound),
            affine=True,
        )

    @property
    def ends(self) -> tuple[State, State]:
        """Return both ends as they are, to be rendered with a mean color of one."""
        first, second = (s.replace(color=_of_shift(c)) for s, c in zip((self.first, self.second), self.colors))
        return first, second

    @property
    def theta(self) -> Tensor:
        """Return the numbers (B, 19) of the path; see `Between.parameters`."""
        tint = torch.where(self.tints[:, None, None], self.tint, self.colors[1] - self.colors[0])
        variance = self.second.sigma.square() - self.first.sigma.square()
        return torch.cat([self.move[:, :2].flatten(1), tint[:, :3].flatten(1), variance[:, None]], dim=1)


def _with_shift(color: Tensor, mean: Tensor) -> Tensor:
    """Return maps ``x -> C x + D m`` (B, 3, 6) of images with the mean ``m`` (B, 3) as (B, 4, 4) matrices."""
    top = torch.cat([color[..., :3], color[..., 3:] @ mean[..., None]], dim=-1)
    last = constant((0.0, 0.0, 0.0, 1.0), color.device).expand(len(color), 1, 4)
    return torch.cat([top, last], dim=-2)


def _of_shift(colors: Tensor) -> Tensor:
    """Return (B, 4, 4) matrices as maps (B, 3, 6) whose shift is right for a mean color of one."""
    return torch.cat([colors[:, :3, :3], torch.diag_embed(colors[:, :3, 3])], dim=-1)


def _threshold(first: Tensor | None, second: Tensor | None, t: Tensor) -> Tensor | None:
    if first is None and second is None:
        return None
    none = torch.full_like(t, UNSOLARIZED)
    begin, end = (none if each is None else each.clamp_max(UNSOLARIZED) for each in (first, second))
    return torch.lerp(begin, end, t)


class Between:
    """The two views and the states between them, without a further transformation.

    parameters: of theta, 19 numbers: the logarithm of the geometry of view 2 relative to view 1 (2x3, row by row, in
        normalised coordinates); that of its colors (3x4, row by row), or without a logarithm the difference of the two
        color maps; and the variance of its blur minus that of view 1.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = (
        *(Parameter(f"move_{row}{column}", -1.0, 1.0) for row in "xy" for column in "xy1"),
        *(Parameter(f"tint_{row}{column}", -1.0, 1.0) for row in "rgb" for column in "rgb1"),
        Parameter("blur_variance", -1.0, 1.0, "px2"),
    )

    def render(
        self,
        pyramid: Pyramid,
        first: State,
        second: State,
        ends: tuple[Tensor, Tensor],
        states: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Render both views and states of the path between them; return theta (B, 19).

        first, second: of the views, as states of the sources. ends: the pixels (B, C, S, S) of both. states: positions
        (B,) and pixels (B, C, S, S) of each. Each output is read from its source once.
        """
        frames = torch.stack([first.geometry, second.geometry], dim=1)
        means = pyramid.means(bounding_boxes(frames, affine=True)).transpose(0, 1)
        means = F.pad(means, (0, COLORS - pyramid.channels))  # which cuts where it is negative
        path = Geodesic.between(first, second, means)
        outputs = [Output(state, None, pixels) for state, pixels in zip(path.ends, ends)]
        outputs += [Output(path.at(t), None, pixels) for t, pixels in states]
        render_all(pyramid, outputs, mean=torch.ones_like(means[0]))
        return path.theta

    def scale(self, first: Transformation, second: Transformation, flip: Flip) -> tuple[Tensor, Tensor]:
        """Return mean and deviation (19,) of theta over views of grey images; 1 for what never changes."""
        generator = torch.Generator().manual_seed(0)
        drawn = [(view, view.sample(DRAWS, generator)) for view in (first, second)]
        joint_flips(flip, drawn)
        one, two = (view.state(theta) for view, theta in drawn)
        theta = Geodesic.between(one, two, torch.full((2, DRAWS, 3), 0.5)).theta
        deviation, mean = torch.std_mean(theta, dim=0)
        return mean, deviation.where(deviation > 1e-6, 1.0)
