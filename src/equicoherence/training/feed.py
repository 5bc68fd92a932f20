"""What a step is fed: which images it sees, and the views that are made of them."""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import (
    Batch,
    ImageSource,
    PosePaths,
    PoseSampler,
    PoseViews,
    ThreeDIEBench,
    batch_indices,
    open_images,
)
from equicoherence.data.poses.latents import pose_change
from equicoherence.paths import PathViews, Views
from equicoherence.paths.transformation import Parameter
from equicoherence.training.config import POSE_LATENTS


class Feed(abc.ABC):
    """source: the images. group: how many of them make one item of a batch. parameters: what theta holds. remark: a
    line for the screen on what of the images is seen; empty where all are."""

    source: ImageSource
    group: int
    positions: tuple[float, ...]
    parameters: tuple[Parameter, ...]
    remark: str = ""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Count the items of an epoch."""

    @abc.abstractmethod
    def indices(self, batch_size: int, seed: int, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
        """Return the images (batch_size * group,) that a rank sees at a step; see `batch_indices`."""

    @abc.abstractmethod
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Make the views of whole items."""

    @abc.abstractmethod
    def base(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return where the paths of whole items begin, (B, 3, S, S); the generator in the state `views` had it."""


class ImageFeed(Feed):
    """Images, each by itself, and views that augmentations and a path make of them."""

    group = 1

    def __init__(self, source: ImageSource, make: PathViews) -> None:
        self.source, self.make, self.positions = source, make, make.positions
        self.parameters = make.path.parameters if make.path is not None else ()

    def __len__(self) -> int:
        return len(self.source)

    def indices(self, batch_size: int, seed: int, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
        return batch_indices(len(self), batch_size, seed, step, rank, world)

    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        return self.make(batch.images, generator, batch.aspect)

    def base(self, batch: Batch, generator: torch.Generator) -> Tensor:
        make = self.make
        if make.path is None:
            return self.views(batch, generator).v2
        first = PathViews(
            make.first,
            make.second,
            make.path,
            size=make.size,
            positions=(0.0,),
            border=make.border,
            flip=make.flip,
        )
        return first(batch.images, generator, batch.aspect).targets[:, 0]


class PoseFeed(Feed):
    """Renders of objects: of each object two views, and the states between them where they have been rendered.

    Of a set with pose paths only the paths' ends are paired, whether a method reads the states or not.

    data: as `open_images` takes it. Raises ValueError where that has no poses.
    """

    def __init__(self, data: str, size: int, positions: tuple[float, ...]) -> None:
        opened = None if data == "objects" else open_images(data, "train")
        if not isinstance(opened, ThreeDIEBench):
            raise ValueError(
                f"views.path is poses, but {data!r} holds no objects in poses: give with --data a folder in "
                "3DIEBench's layout, which `equicoherence render` writes, or another --views.path"
            )
        source: PosePaths | ThreeDIEBench = opened
        if len(opened.index.path_latents) or any(0 < position < 1 for position in positions):
            source = PosePaths(opened.root, "train", positions)  # for all methods alike, which see the same pairs
            source.origin = opened.origin
        self.source, self.positions = source, positions
        self._sampler = PoseSampler(source)
        self._latents = source.latents[:, :POSE_LATENTS]
        self._make = PoseViews(self._latents, self._sampler.between, size=size, positions=positions)
        self.group, self.parameters = self._make.group, self._make.parameters
        if isinstance(source, PosePaths):
            ends, views = len(np.unique(source.groups[:, :2])), len(source.benchmark)
            self.remark = f"{ends} of {views} views lie on paths; only those are paired"

    def __len__(self) -> int:
        return len(self._sampler)

    def indices(self, batch_size: int, seed: int, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
        return self._sampler.indices(batch_size, seed, step, rank, world)

    def scale(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation (P,) of theta over the pairs that may be seen; 1 for what never changes."""
        first, second = torch.from_numpy(self._latents[self._sampler.pairs()]).double().unbind(dim=1)
        deviation, mean = torch.std_mean(pose_change(first, second), dim=0)
        return mean.float(), deviation.where(deviation > 1e-6, 1.0).float()

    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        return self._make(batch.images, batch.index)

    def base(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.views(batch, generator).v1
