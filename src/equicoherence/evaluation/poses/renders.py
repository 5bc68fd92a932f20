"""Features of many renders of each object, cached, with what the renders show; and draws of pairs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.data.poses.latents import relative_rotation, upright
from equicoherence.finite import NotFinite


@dataclass(frozen=True)
class Renders:
    """features: name -> (O, V, C), of any floating type, O objects in V views; parts of one tensor cost no memory.

    rotations: (O, V, 4), unit quaternions (x, y, z, w) of either sign. hues: (O, V, 2), of floor and light, in [0, 1].
    labels: (O,), classes from 0. All on one device. Raises ValueError for shapes that do not agree, fewer than two
    views, negative labels and quaternions not of unit length, `NotFinite` for features that are not.
    """

    features: Mapping[str, Tensor]
    rotations: Tensor
    hues: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.rotations.ndim != 3 or self.rotations.shape[1] < 2 or self.rotations.shape[2] != 4:
            raise ValueError(f"rotations are {tuple(self.rotations.shape)}, but must be (objects, 2 or more views, 4)")
        objects, views, _ = self.rotations.shape
        if self.hues.shape != (objects, views, 2) or self.labels.shape != (objects,):
            shapes = f"hues {tuple(self.hues.shape)} and labels {tuple(self.labels.shape)}"
            raise ValueError(f"{shapes} do not fit rotations of {objects} objects in {views} views")
        if not self.features:
            raise ValueError("there are no features; give at least one representation")
        for name, z in self.features.items():
            if z.ndim != 3 or z.shape[:2] != (objects, views):
                raise ValueError(f"features {name!r} are {tuple(z.shape)}, but must be ({objects}, {views}, channels)")
            if not torch.isfinite(z.sum(dtype=torch.float32)):
                raise NotFinite(f"features {name!r} are not all finite; check the encoder they are of")
        if self.labels.is_floating_point() or bool((self.labels < 0).any()):
            raise ValueError(f"labels are {self.labels.dtype} from {self.labels.min().item()}, but must count from 0")
        length = self.rotations.norm(dim=-1)
        if float((length - 1).abs().max()) > 1e-3:
            raise ValueError(f"quaternions have lengths {float(length.min()):.4g} to {float(length.max()):.4g}, not 1")
        object.__setattr__(self, "rotations", upright(self.rotations).float())

    @property
    def objects(self) -> int:
        """Number of objects."""
        return self.rotations.shape[0]

    @property
    def views(self) -> int:
        """Number of views of each object."""
        return self.rotations.shape[1]

    def targets(self, pairs: ViewPairs) -> dict[str, Tensor]:
        """Return the targets of pairs of renders; targets of single renders are of the first.

        ``relative_rotation`` (N, 4), ``color`` (N, 2), the second's hues less the first's, ``absolute_rotation``
        (N, 4), ``class`` (N,).
        """
        first, second = ((pairs.objects, views) for views in (pairs.first, pairs.second))
        return {
            "relative_rotation": relative_rotation(self.rotations[first], self.rotations[second]),
            "color": (self.hues[second] - self.hues[first]).float(),
            "absolute_rotation": self.rotations[first],
            "class": self.labels[pairs.objects],
        }

    def draw(self, generator: torch.Generator) -> ViewPairs:
        """Return one pair of different views of each object, objects in random order; drawn on the CPU."""
        order = torch.randperm(self.objects, generator=generator)
        first = torch.randint(self.views, (self.objects,), generator=generator)
        second = (first + torch.randint(1, self.views, (self.objects,), generator=generator)) % self.views
        return ViewPairs(*(x.to(self.rotations.device) for x in (order, first, second)))


def view_changes(rotations: Tensor, hues: Tensor, sources: int) -> Tensor:
    """Return theta (O, S, V, 6) from the first S views of each object to all, named as by `change_names` of 7 latents.

    rotations: (O, V, 4). hues: (O, V, 2). Methods that receive poses receive these numbers, as from `pose_change`: the
        relative rotation, then the differences of floor and light hue.
    """
    relative = relative_rotation(rotations[:, :sources, None], rotations[:, None])
    return torch.cat([relative, (hues[:, None] - hues[:, :sources, None]).to(relative.dtype)], dim=-1)


@dataclass(frozen=True)
class ViewPairs:
    """Objects (N,) and, of each, a first and a second view (N,)."""

    objects: Tensor
    first: Tensor
    second: Tensor

    def __len__(self) -> int:
        return len(self.objects)

    def split(self, size: int) -> list[ViewPairs]:
        """Return parts of up to ``size`` pairs."""
        parts = (x.split(size) for x in (self.objects, self.first, self.second))
        return [ViewPairs(*part) for part in zip(*parts)]

    @staticmethod
    def join(parts: list[ViewPairs]) -> ViewPairs:
        """Return parts as one."""
        return ViewPairs(*(torch.cat(x) for x in zip(*((p.objects, p.first, p.second) for p in parts))))
