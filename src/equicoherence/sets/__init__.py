"""Data sets of downstream tasks: one declaration and one reader for each published layout."""

from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.find import Found, find_sets, no_set
from equicoherence.sets.kinds import (
    IGNORE,
    BoxSet,
    DepthSet,
    DetectionSet,
    Keypoints,
    KeypointSet,
    Objects,
    PointPair,
    PointPairSet,
    PosedViewSet,
    SampleSet,
    SegmentationSet,
    Surface,
    VideoSet,
)
from equicoherence.sets.known import DECLARATIONS

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
    "PointPair",
    "PointPairSet",
    "PosedViewSet",
    "SampleSet",
    "SegmentationSet",
    "SetSplit",
    "Surface",
    "VideoSet",
    "find_sets",
    "no_set",
]
