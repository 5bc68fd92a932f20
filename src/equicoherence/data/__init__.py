"""Images in, batches out: folders, archives, tar shards, tables, lists, objects with poses; sampling, threaded loading.

Each name is loaded when it is first used: reading files needs no torch. ``equicoherence.data.objects`` (rendered
objects) is imported only when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.when_used import when_used

if TYPE_CHECKING:
    from equicoherence.data.archive import unpack_archive
    from equicoherence.data.cache import cache_folder
    from equicoherence.data.decoding import decode
    from equicoherence.data.describe import describe_images, described_once, left_to_train, say_images
    from equicoherence.data.images import ImageFolder
    from equicoherence.data.lists import ImageList
    from equicoherence.data.loader import Batch, Loader, first_of_each
    from equicoherence.data.locate import check_data, data_identity
    from equicoherence.data.open import open_images
    from equicoherence.data.pixel_format import PixelFormat
    from equicoherence.data.poses.pairs import PoseSampler
    from equicoherence.data.poses.paths import PosePaths
    from equicoherence.data.poses.threediebench import ThreeDIEBench
    from equicoherence.data.poses.views import PoseViews, pose_views
    from equicoherence.data.sampler import batch_indices, epoch_order, steps_per_epoch
    from equicoherence.data.shards import ShardSource
    from equicoherence.data.source import (
        BadImage,
        ImageSource,
        Sample,
        Split,
        Subset,
        TooManyBadImages,
        some_sizes,
    )
    from equicoherence.data.tables import TableSource

_MODULES = {
    "data.archive": ("unpack_archive",),
    "data.cache": ("cache_folder",),
    "data.describe": ("describe_images", "described_once", "left_to_train", "say_images"),
    "data.decoding": ("decode",),
    "data.images": ("ImageFolder",),
    "data.lists": ("ImageList",),
    "data.loader": ("Batch", "Loader", "first_of_each"),
    "data.locate": ("check_data", "data_identity"),
    "data.open": ("open_images",),
    "data.pixel_format": ("PixelFormat",),
    "data.poses.pairs": ("PoseSampler",),
    "data.poses.paths": ("PosePaths",),
    "data.poses.threediebench": ("ThreeDIEBench",),
    "data.poses.views": ("PoseViews", "pose_views"),
    "data.sampler": ("batch_indices", "epoch_order", "steps_per_epoch"),
    "data.shards": ("ShardSource",),
    "data.source": ("BadImage", "ImageSource", "Sample", "Split", "Subset", "TooManyBadImages", "some_sizes"),
    "data.tables": ("TableSource",),
}
__getattr__, __dir__ = when_used(__name__, _MODULES)

__all__ = [
    "BadImage",
    "Batch",
    "ImageFolder",
    "ImageList",
    "ImageSource",
    "Loader",
    "PixelFormat",
    "PosePaths",
    "PoseSampler",
    "PoseViews",
    "Sample",
    "ShardSource",
    "Split",
    "Subset",
    "TableSource",
    "ThreeDIEBench",
    "TooManyBadImages",
    "batch_indices",
    "cache_folder",
    "check_data",
    "data_identity",
    "decode",
    "describe_images",
    "epoch_order",
    "first_of_each",
    "left_to_train",
    "open_images",
    "pose_views",
    "described_once",
    "say_images",
    "some_sizes",
    "steps_per_epoch",
    "unpack_archive",
]
