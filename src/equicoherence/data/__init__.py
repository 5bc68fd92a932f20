"""Images in, uint8 batches out: folders, archives, tar shards, objects with poses; sampling and threaded loading.

``equicoherence.data.objects`` (rendered objects) is imported only when it is asked for.
"""

from equicoherence.data.archive import unpack_archive
from equicoherence.data.cache import cache_folder
from equicoherence.data.images import ImageFolder, decode
from equicoherence.data.loader import Batch, Loader, TooManyBadImages
from equicoherence.data.open import open_images
from equicoherence.data.poses.pairs import PoseSampler
from equicoherence.data.poses.paths import PosePaths
from equicoherence.data.poses.threediebench import ThreeDIEBench
from equicoherence.data.poses.views import PoseViews, pose_views
from equicoherence.data.sampler import batch_indices, epoch_order, steps_per_epoch
from equicoherence.data.shards import ShardSource
from equicoherence.data.source import BadImage, ImageSource, Sample, Subset

__all__ = [
    "BadImage",
    "Batch",
    "ImageFolder",
    "ImageSource",
    "Loader",
    "PosePaths",
    "PoseSampler",
    "PoseViews",
    "Sample",
    "ShardSource",
    "Subset",
    "ThreeDIEBench",
    "TooManyBadImages",
    "batch_indices",
    "cache_folder",
    "decode",
    "epoch_order",
    "open_images",
    "pose_views",
    "steps_per_epoch",
    "unpack_archive",
]
