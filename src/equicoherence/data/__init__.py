"""Images in, batches out: folders, archives, tar shards, tables, lists, objects with poses; sampling, threaded loading.

Each name is loaded when it is first used: reading files needs no torch. ``equicoherence.data.objects`` (rendered
objects) is imported only when needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equicoherence.data.archive import unpack_archive
    from equicoherence.data.cache import cache_folder
    from equicoherence.data.describe import describe_images
    from equicoherence.data.images import ImageFolder, decode
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
    "archive": ("unpack_archive",),
    "cache": ("cache_folder",),
    "describe": ("describe_images",),
    "images": ("ImageFolder", "decode"),
    "lists": ("ImageList",),
    "loader": ("Batch", "Loader", "first_of_each"),
    "locate": ("check_data", "data_identity"),
    "open": ("open_images",),
    "pixel_format": ("PixelFormat",),
    "poses.pairs": ("PoseSampler",),
    "poses.paths": ("PosePaths",),
    "poses.threediebench": ("ThreeDIEBench",),
    "poses.views": ("PoseViews", "pose_views"),
    "sampler": ("batch_indices", "epoch_order", "steps_per_epoch"),
    "shards": ("ShardSource",),
    "source": ("BadImage", "ImageSource", "Sample", "Split", "Subset", "TooManyBadImages", "some_sizes"),
    "tables": ("TableSource",),
}
_PLACES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}

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
    "open_images",
    "pose_views",
    "some_sizes",
    "steps_per_epoch",
    "unpack_archive",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
