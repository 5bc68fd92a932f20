"""What a step is fed: which images it sees, and the views that are made of them."""

from __future__ import annotations

import abc
import copy
import dataclasses

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
from equicoherence.paths import Between, PathViews, Transformation, Views
from equicoherence.paths.transformation import Parameter
from equicoherence.paths.view_batch import share_of
from equicoherence.training.views_config import POSE_LATENTS


class Feed(abc.ABC):
    """source: the images. group: how many of them make one item of a batch. parameters: what theta holds. remark: a
    line for the screen on what of the images is seen; empty if all are."""

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
    def scale(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation (P,) of theta over the pairs of views that may be seen; 1 for what never changes.

        Raises TypeError where theta has ranges instead (`Parameter`).
        """

    @abc.abstractmethod
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Make the views of whole items."""

    @abc.abstractmethod
    def whole_views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Make the views that `views` makes with such a generator, all of every item, and where its path begins.

        States whose places are drawn are at the even positions here.
        """


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

    def scale(self) -> tuple[Tensor, Tensor]:
        if not isinstance(self.make.path, Between):
            raise TypeError("theta is drawn from ranges, by which it is scaled")
        return self.make.path.scale(self.make.first, self.make.second, self.make.flip)

    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        return self.make(batch.images, generator, batch.aspect)

    def whole_views(self, batch: Batch, generator: torch.Generator) -> Views:
        make = copy.copy(self.make)
        make.base, make.share, make.others = isinstance(make.path, Transformation), 1.0, False
        make.spacing = "even"
        views = make(batch.images, generator, batch.aspect)
        begin = views.v1 if isinstance(make.path, Between) else views.v2
        return views if make.base else dataclasses.replace(views, base=begin)


class PoseFeed(Feed):
    """Renders of objects: of each object two views, and the states between them where they have been rendered.

    Of a set with pose paths only the paths' ends are paired, whether a method reads the states or not.

    data: as `open_images` takes it. share: of the items of a batch, in (0, 1], the first of which have targets. Raises
    ValueError where the data has no poses.
    """

    def __init__(self, data: str, size: int, positions: tuple[float, ...], share: float = 1.0) -> None:
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
        self.source, self.positions, self.share = source, positions, share
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
        first, second = torch.from_numpy(self._latents[self._sampler.pairs()]).double().unbind(dim=1)
        deviation, mean = torch.std_mean(pose_change(first, second), dim=0)
        return mean.float(), deviation.where(deviation > 1e-6, 1.0).float()

    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        views = self._make(batch.images, batch.index)
        count = share_of(len(views.v1), self.share)
        return dataclasses.replace(views, targets=views.targets[:count], times=views.times[:count])

    def whole_views(self, batch: Batch, generator: torch.Generator) -> Views:
        views = self._make(batch.images, batch.index)
        return dataclasses.replace(views, base=views.v1)
