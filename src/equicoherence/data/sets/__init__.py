"""Data sets of downstream tasks: one declaration and one reader for each published layout."""

from equicoherence.data.sets.declaration import Declaration, SetSplit
from equicoherence.data.sets.find import Found, find_sets, no_set
from equicoherence.data.sets.kinds import (
    IGNORE,
    BoxSet,
    DepthSet,
    DetectionSet,
    Keypoints,
    KeypointSet,
    Objects,
    SampleSet,
    SegmentationSet,
    VideoSet,
)
from equicoherence.data.sets.known import DECLARATIONS

__all__ = [
    "DECLARATIONS",
    "IGNORE",
    "BoxSet",
    "Declaration",
    "DepthSet",
    "DetectionSet",
    "Found",
    "KeypointSet",
    "Keypoints",
    "Objects",
    "SampleSet",
    "SegmentationSet",
    "SetSplit",
    "VideoSet",
    "find_sets",
    "no_set",
]
